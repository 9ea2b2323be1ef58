//! The configuration as operators write it, `[service.NAME.config]`.
//!
//! What can be wrong with it beyond its shape is found where it is turned into what serves: see
//! `Routes` and [`Http`](crate::Http).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tandem_component::Refusal;
use tandem_http1::is_token;

use crate::label::Label;
use crate::sticky::Sticky;

/// The whole of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is served.
    pub routes: Vec<RouteConfig>,
    /// What is refused for its size.
    #[serde(default)]
    pub limits: Limits,
    /// What is waited for, and how long.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// On how many further servers an idempotent request is tried.
    #[serde(default = "two")]
    pub retries: u8,
    /// The field of each answer that names the version that answered.
    pub served_by: Option<String>,
    /// By what name the gateway stands in `Via`.
    #[serde(default = "tandem")]
    pub via: String,
    /// What names a conversation that stays with the version it began on: `{ cookie = "JSESSIONID" }`.
    pub sticky: Option<Sticky>,
    /// The field whose value a request is labelled with, for canaries: `{ header = "x-canary" }`.
    pub label: Option<Label>,
    /// Whether each exchange is recorded; where it is left out, as soon as the service has `records`.
    pub access_log: Option<bool>,
}

/// One route: which requests, and to an upstream or a fixed answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// `example.com`, or `*.example.com`. Any, where it is left out.
    pub host: Option<String>,
    /// A prefix of the path, on the boundaries of its segments.
    pub path: String,
    /// All methods, where it is left out.
    pub methods: Option<Vec<String>>,
    /// The upstream that answers.
    pub upstream: Option<String>,
    /// The status of a fixed answer.
    pub status: Option<u16>,
    /// The body of a fixed answer.
    pub body: Option<String>,
    /// Fields of a fixed answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// That a field or a cookie may have this name, which a key of the configuration gives it.
///
/// # Errors
/// It may not.
pub(crate) fn check_name(key: &str, name: &str) -> Result<(), Refusal> {
    if is_token(name) { Ok(()) } else { Err(Refusal::from(format!("{key}: {name:?} is no name"))) }
}

/// What is refused for its size.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A head, of a request or an answer: 431, 502.
    #[serde(deserialize_with = "tandem_http1::config::size")]
    pub head_bytes: u64,
    /// A request target: 414.
    #[serde(deserialize_with = "tandem_http1::config::size")]
    pub target_bytes: u64,
    /// The fields of a request: 431.
    pub headers: usize,
    /// The body of a request: 413.
    #[serde(deserialize_with = "tandem_http1::config::size")]
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { head_bytes: 32 << 10, target_bytes: 8 << 10, headers: 100, body_bytes: u64::MAX }
    }
}

impl Limits {
    /// The limits as a reader of heads takes them.
    ///
    /// # Errors
    /// One of them is out of its range.
    pub fn checked(&self) -> Result<tandem_http1::Limits, Refusal> {
        tandem_http1::Limits::checked(self.head_bytes, self.target_bytes, self.headers).map_err(Refusal::from)
    }
}

/// What is waited for, and how long.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Between two exchanges: the connection is closed.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// From a request's first byte to the end of its head: 408.
    #[serde(with = "humantime_serde")]
    pub head: Duration,
    /// Between two bytes of a request's body: 408.
    #[serde(with = "humantime_serde")]
    pub body: Duration,
    /// From the request's end to the head of its answer: 504.
    #[serde(with = "humantime_serde")]
    pub response_head: Duration,
    /// Between two bytes of an answer's body that the server sends: it is cut off.
    #[serde(with = "humantime_serde")]
    pub response_body: Duration,
    /// While the client takes nothing of an answer: it is cut off.
    #[serde(with = "humantime_serde")]
    pub send: Duration,
    /// Without a byte in either direction of a tunnel: it is closed.
    #[serde(with = "humantime_serde")]
    pub tunnel: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Timeouts {
            idle: Duration::from_secs(75),
            head: minute,
            body: minute,
            response_head: minute,
            response_body: minute,
            send: minute,
            tunnel: Duration::from_secs(3600),
        }
    }
}

impl Timeouts {
    /// The timeouts, where each of them is one.
    ///
    /// # Errors
    /// One of them is none.
    pub fn checked(self) -> Result<Self, Refusal> {
        for (name, span) in [
            ("idle", self.idle),
            ("head", self.head),
            ("body", self.body),
            ("response_head", self.response_head),
            ("response_body", self.response_body),
            ("send", self.send),
            ("tunnel", self.tunnel),
        ] {
            if span < Duration::from_millis(1) {
                return Err(Refusal::from(format!("timeouts.{name}: at least 1ms")));
            }
        }
        Ok(self)
    }
}

fn two() -> u8 {
    2
}

fn tandem() -> String {
    "tandem".into()
}

#[cfg(test)]
#[path = "../../../tests/support/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Config, reference};

    #[test]
    fn each_key_is_told_of_as_it_is() {
        let whole = json!({ "routes": [{ "path": "/" }], "limits": {}, "timeouts": {} });
        reference::check::<Config>("`http`", &whole);
    }
}
