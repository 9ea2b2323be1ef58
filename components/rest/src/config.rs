//! The configuration as operators write it, `[service.NAME.config]`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tandem_component::Refusal;
use tandem_http1::is_field_value;

/// The whole of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The service that takes messages, and is asked after them.
    pub submit_to: String,
    /// What is refused for its size or number.
    #[serde(default)]
    pub limits: Limits,
    /// What is waited for, and how long.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What is kept until an account takes it.
    #[serde(default)]
    pub events: Events,
    /// What was answered to requests that have a key.
    #[serde(default)]
    pub keys: Keys,
    /// How webhooks are told.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// What is said of single accounts.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// Whether each exchange is recorded; where it is left out, as soon as the service has `records`.
    pub access_log: Option<bool>,
}

/// One account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// Where its events are sent. Without one it fetches them.
    pub webhook: Option<Webhook>,
    /// How many events are kept for it, where it is another number than `events.max`.
    pub events_max: Option<u32>,
}

/// Where an account's events are sent: a server that the operator has chosen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The upstream's name.
    pub upstream: String,
    /// The path, with its query.
    pub path: String,
    /// What the upstream is told as `Host`; the upstream's name, where it is left out.
    pub host: Option<String>,
    /// What the events are signed with.
    pub secret: String,
}

/// What is refused for its size or number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The head of a request: 431.
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
    /// The recipients of a request: 400.
    pub recipients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { head_bytes: 16 << 10, target_bytes: 4 << 10, headers: 100, body_bytes: 1 << 20, recipients: 1000 }
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
    /// From a request's end until the service that it is for has answered: 503.
    #[serde(with = "humantime_serde")]
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let (half, minute) = (Duration::from_secs(30), Duration::from_secs(60));
        Timeouts { idle: Duration::from_secs(75), head: minute, body: minute, answer: half }
    }
}

/// What is kept until an account takes it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// How many for each account.
    pub max: u32,
    /// For how long: what is older is dropped.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// For how long a client may wait for one at most.
    #[serde(with = "humantime_serde")]
    pub wait_max: Duration,
    /// How often it is looked whether there is one, for who waits and for a webhook.
    #[serde(with = "humantime_serde")]
    pub look: Duration,
}

impl Default for Events {
    fn default() -> Self {
        let (days, minute) = (Duration::from_secs(3 * 86_400), Duration::from_secs(60));
        Events { max: 10_000, keep: days, wait_max: minute, look: Duration::from_millis(500) }
    }
}

/// What was answered to requests that have an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// For how long the same is answered to the same.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

impl Default for Keys {
    fn default() -> Self {
        Keys { keep: Duration::from_secs(86_400) }
    }
}

/// How webhooks are told.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// How many events a request has at most.
    pub batch: u32,
    /// How long the answer to one may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long is waited after the first failure; after each further one twice as long.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    /// How long at most.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
}

impl Default for Webhooks {
    fn default() -> Self {
        let [ten, one, five_minutes] = [10, 1, 300].map(Duration::from_secs);
        Webhooks { batch: 50, timeout: ten, retry_min: one, retry_max: five_minutes }
    }
}

impl Config {
    /// The configuration, where all of it can be served.
    ///
    /// # Errors
    /// Part of it is wrong: the key, and why.
    pub fn checked(self, upstreams: &[&str]) -> Result<Self, Refusal> {
        if self.submit_to.is_empty() {
            return Err(Refusal::from("submit_to: the name of a service"));
        }
        let spans = [
            ("timeouts.idle", self.timeouts.idle),
            ("timeouts.head", self.timeouts.head),
            ("timeouts.body", self.timeouts.body),
            ("timeouts.answer", self.timeouts.answer),
            ("events.keep", self.events.keep),
            ("events.look", self.events.look),
            ("keys.keep", self.keys.keep),
            ("webhooks.timeout", self.webhooks.timeout),
            ("webhooks.retry_min", self.webhooks.retry_min),
        ];
        if let Some((name, _)) = spans.iter().find(|(_, span)| *span < Duration::from_millis(1)) {
            return Err(Refusal::from(format!("{name}: at least 1ms")));
        }
        if self.webhooks.retry_max < self.webhooks.retry_min {
            return Err(Refusal::from("webhooks.retry_max: at least webhooks.retry_min"));
        }
        if !(1..=PAGE_MAX).contains(&self.webhooks.batch) {
            return Err(Refusal::from(format!("webhooks.batch: between 1 and {PAGE_MAX}")));
        }
        for (name, account) in &self.accounts {
            if let Some(webhook) = &account.webhook {
                webhook.check(upstreams).map_err(|why| Refusal::from(format!("accounts.{name}.webhook.{why}")))?;
            }
        }
        Ok(self)
    }

    /// Where an account's events are sent.
    pub(crate) fn webhook(&self, account: &str) -> Option<&Webhook> {
        self.accounts.get(account)?.webhook.as_ref()
    }

    /// How many events are kept for an account.
    pub(crate) fn events_max(&self, account: &str) -> i64 {
        self.accounts.get(account).and_then(|it| it.events_max).unwrap_or(self.events.max).into()
    }
}

impl Webhook {
    fn check(&self, upstreams: &[&str]) -> Result<(), String> {
        let sound = |text: &str| text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !upstreams.contains(&self.upstream.as_str()) {
            return Err(format!("upstream: there is no `{}`", self.upstream));
        }
        if !self.path.starts_with('/') || !sound(&self.path) || self.path.contains('#') {
            return Err(format!("path: {:?} is none; it begins with `/`", self.path));
        }
        if self.host.as_ref().is_some_and(|host| host.is_empty() || !is_field_value(host) || !sound(host)) {
            return Err("host: no name of a server".to_owned());
        }
        if self.secret.is_empty() {
            return Err("secret: what cannot be guessed; an empty one can".to_owned());
        }
        Ok(())
    }

    /// What the upstream is told as `Host`.
    pub(crate) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or(&self.upstream)
    }
}

impl Limits {
    /// The limits as a reader of heads takes them.
    ///
    /// # Errors
    /// One of them is out of its range.
    pub fn checked(&self) -> Result<tandem_http1::Limits, Refusal> {
        // A body is part of a session's state, which another version has to take.
        if !(1..=BODY_MAX).contains(&self.body_bytes) {
            return Err(Refusal::from("limits.body_bytes: between 1B and 16MiB"));
        }
        if !(1..=RECIPIENTS_MAX).contains(&self.recipients) {
            return Err(Refusal::from(format!("limits.recipients: between 1 and {RECIPIENTS_MAX}")));
        }
        tandem_http1::Limits::checked(self.head_bytes, self.target_bytes, self.headers).map_err(Refusal::from)
    }
}

/// The largest body that may be configured.
const BODY_MAX: u64 = 16 << 20;
/// The most recipients that may be configured.
const RECIPIENTS_MAX: usize = 1000;
/// The most events that are read at once.
pub(crate) const PAGE_MAX: u32 = 500;

#[cfg(test)]
#[path = "../../../tests/support/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Config, reference};

    #[test]
    fn each_key_is_told_of_as_it_is() {
        let whole = json!({
            "submit_to": "messages", "limits": {}, "timeouts": {}, "events": {}, "keys": {}, "webhooks": {},
            "accounts": { "acme": { "webhook": { "upstream": "shop", "path": "/", "secret": "s" } } },
        });
        reference::check::<Config>("`rest`", &whole);
    }
}
