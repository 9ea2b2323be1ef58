//! How many messages a network is given in a span of time: [`Throttle`], written `"50/s"` or `{ of = 50, per = "1s", burst = 10 }`.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// So many in a span, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// So many parts of messages …
    pub of: u32,
    /// … in such a span …
    pub per: Duration,
    /// … and so many at once.
    pub burst: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    of: u32,
    #[serde(with = "humantime_serde")]
    per: Duration,
    burst: Option<u32>,
}

impl Throttle {
    fn new(Keys { of, per, burst }: Keys) -> Self {
        // As many as come in a fifth of a second, where it is not said: what a moment without a worker takes away is made up for.
        let usual = || (u128::from(of) * 200 / per.as_millis().max(1)).clamp(1, u128::from(OF_MAX));
        let burst = burst.unwrap_or_else(|| u32::try_from(usual()).unwrap_or(1));
        Throttle { of, per, burst }
    }

    /// What would be right, where it is not.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=OF_MAX).contains(&self.of) || !(1..=OF_MAX).contains(&self.burst) {
            return Err(format!("between 1 and {OF_MAX}, in a span and at once"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&self.per) {
            return Err("in a span between 1s and 1day".to_owned());
        }
        // So that times stay numbers: a long message may go beyond it.
        if Duration::from_nanos(self.each().unsigned_abs()).checked_mul(self.burst).is_none_or(|span| span > BURST_MAX)
        {
            return Err("at once no more than what comes in 30 days".to_owned());
        }
        Ok(())
    }

    /// How long one of them takes, in nanoseconds.
    pub(crate) fn each(&self) -> i64 {
        i64::try_from(self.per.as_nanos().div_ceil(u128::from(self.of.max(1)))).unwrap_or(i64::MAX).max(1)
    }
}

impl<'de> Deserialize<'de> for Throttle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Throttle;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Throttle, E> {
                let wrong = || E::custom(format!("`{text}` is no throttle; write {EXPECTED}"));
                let (of, span) = text.split_once('/').ok_or_else(wrong)?;
                let per = match span.trim() {
                    "s" => 1,
                    "m" => 60,
                    "h" => 3600,
                    _ => return Err(wrong()),
                };
                let of = of.trim().parse().map_err(|_| wrong())?;
                Ok(Throttle::new(Keys { of, per: Duration::from_secs(per), burst: None }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Throttle, A::Error> {
                Keys::deserialize(MapAccessDeserializer::new(map)).map(Throttle::new)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

const EXPECTED: &str = "\"50/s\", or { of = 50, per = \"1s\", burst = 10 }";
const BURST_MAX: Duration = Duration::from_secs(30 * 86_400);
const OF_MAX: u32 = 100_000;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn as_it_is_written() {
        let rows = [
            (json!("50/s"), 50, 1, 10),
            (json!("3 / m"), 3, 60, 1),
            (json!("36000/h"), 36_000, 3600, 2),
            (json!({ "of": 50, "per": "1s", "burst": 1 }), 50, 1, 1),
            (json!({ "of": 100, "per": "10s" }), 100, 10, 2),
        ];
        for (written, of, seconds, burst) in rows {
            let throttle = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(Throttle { of, per: Duration::from_secs(seconds), burst }, throttle, "{written}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let read = |written: Value| {
            let throttle: Result<Throttle, _> = serde_json::from_value(written);
            throttle.map_err(|error| error.to_string()).and_then(|throttle| throttle.check())
        };
        for (written, reason) in [
            (json!("50"), "`50` is no throttle; write \"50/s\""),
            (json!("50/day"), "is no throttle"),
            (json!("x/s"), "is no throttle"),
            (json!(50), "expected \"50/s\""),
            (json!("0/s"), "between 1 and 100000"),
            (json!({ "of": 5, "per": "1s", "burst": 0 }), "between 1 and 100000"),
            (json!({ "of": 5, "per": "1ms" }), "between 1s and 1day"),
            (json!({ "of": 1, "per": "1day", "burst": 31 }), "what comes in 30 days"),
            (json!({ "of": 5, "per": "1s", "bursts": 3 }), "unknown field `bursts`"),
        ] {
            let error = read(written.clone()).unwrap_err();
            assert!(error.contains(reason), "{written}: {error}");
        }
    }
}
