//! `[traces]`: where the steps of traces are exported to.

use serde::{Deserialize, Deserializer};
use tandem_component::Sampling;

/// `[traces]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Where a collector takes OTLP over HTTP: `http://127.0.0.1:4318`, whose path is `/v1/traces` where none is said.
    pub endpoint: Endpoint,
    /// The share of the traces that begin here which is exported. Of those that others have begun, they decide.
    #[serde(default = "all", deserialize_with = "share")]
    pub sample: Sampling,
}

/// `http://HOST:PORT/PATH`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(pub String);

/// Where collectors take traces (OTLP 1.x, section "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` {why}; write \"http://127.0.0.1:4318\""));
        let uri: hyper::Uri = match text.parse() {
            Ok(uri) => uri,
            Err(_) => return wrong("is no address of a collector"),
        };
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) => {}
            (Some("https"), _) => return wrong("wants TLS, which a collector beside the gateway takes on from there"),
            _ => return wrong("is no address of a collector"),
        }
        Ok(Endpoint(match uri.path() {
            "/" | "" => format!("{}{PATH}", text.trim_end_matches('/')),
            _ => text,
        }))
    }
}

fn all() -> Sampling {
    Sampling::share(1.0).unwrap_or_default()
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sampling, D::Error> {
    let share = f64::deserialize(deserializer)?;
    let reason = || serde::de::Error::custom(format!("{share} is no share; write 0.1 for one in ten, 1.0 for all"));
    Sampling::share(share).ok_or_else(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_enough_and_the_rest_has_its_reasons() {
        let of = |text: &str| toml::from_str::<Traces>(text).map_err(|error| error.to_string());
        let plain = of("endpoint = 'http://127.0.0.1:4318'").unwrap();
        assert_eq!((plain.endpoint.0.as_str(), plain.sample), ("http://127.0.0.1:4318/v1/traces", all()));
        let whole = of("endpoint = 'http://collector:4318/else'\nsample = 0.25").unwrap();
        assert_eq!(
            (whole.endpoint.0.as_str(), Some(whole.sample)),
            ("http://collector:4318/else", Sampling::share(0.25))
        );
        assert_eq!(of("endpoint = 'http://c:4318/'").unwrap().endpoint.0, "http://c:4318/v1/traces");
        for (text, reason) in [
            ("", "missing field `endpoint`"),
            ("endpoint = 'c:4318'", "`c:4318` is no address of a collector; write"),
            ("endpoint = '/v1/traces'", "is no address of a collector"),
            ("endpoint = 'https://c'", "`https://c` wants TLS"),
            ("endpoint = 'http://c'\nsample = 2.0", "2 is no share; write 0.1"),
            ("endpoint = 'http://c'\nratio = 0.1", "unknown field `ratio`"),
        ] {
            let said = of(text).unwrap_err();
            assert!(said.contains(reason), "{text}: {said}");
        }
    }
}
