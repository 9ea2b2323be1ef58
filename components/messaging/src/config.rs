//! What an operator configures: [`Config`], checked before anything is served with it.

mod throttle;

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::text::Concatenation;
use tandem_sms::{Sms, fit};

pub use self::throttle::Throttle;

/// `[service.NAME.config]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where messages go: the first that fits decides.
    pub routes: Vec<Route>,
    /// What there is to say of the services that send to networks. One that is not named here is as `Network`'s defaults say.
    #[serde(default)]
    pub networks: BTreeMap<String, Network>,
    /// Whose addresses are which, and by which front the account is reached.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// The front of an account that is not named, or that names none: nothing reaches such an account where this is left out.
    #[serde(default)]
    pub front: Option<String>,
    /// When is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// How long a message that says nothing of it is worth something.
    #[serde(default = "two_days", with = "humantime_serde")]
    pub validity: Duration,
    /// How long a message can be asked after once it has its final state; and for how long a front that is away is told something
    /// again.
    #[serde(default = "three_days", with = "humantime_serde")]
    pub keep: Duration,
    /// How a text that is longer than one message is sent: `udh8`, `udh16`, `sar` or `payload`.
    #[serde(default)]
    pub long: Concatenation,
    /// Whether the parts of a long message of a phone are joined for an account that says nothing of it. An ESME joins them itself.
    #[serde(default)]
    pub joined: bool,
    /// How long is waited for the missing parts of one; then those that are there go on as they are.
    #[serde(default = "an_hour", with = "humantime_serde")]
    pub join_within: Duration,
    /// How many messages may wait for their end.
    #[serde(default)]
    pub waiting: Waiting,
    /// What becomes of a message that was with a network, unanswered, when the gateway was killed.
    #[serde(default)]
    pub on_uncertain: Uncertain,
}

/// Which messages go where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// How the destination begins, without a `+`; any, where it is empty.
    #[serde(default)]
    pub prefix: String,
    /// Whose messages; anybody's, where it is left out.
    #[serde(default)]
    pub account: Option<String>,
    /// The services that send to a network, each with its share. Where one does not take a message it goes to the others.
    pub to: BTreeMap<String, u32>,
}

/// A service that sends to a network.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How many messages may be with it unanswered, for each worker.
    pub window: u32,
    /// How long it may take to answer.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
    /// Whether it tells what becomes of a message. Where it does not, one that it has taken is delivered.
    pub receipts: bool,
    /// How many messages it is given in a span of time, by all workers and versions together; the others wait.
    pub throttle: Option<Throttle>,
}

impl Default for Network {
    fn default() -> Self {
        Network { window: 200, within: Duration::from_secs(30), receipts: true, throttle: None }
    }
}

/// An account, as messages for it go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// The destinations whose messages are for it: `100`, or `4917*` for all that begin so. The longest that fits decides.
    pub addresses: Vec<String>,
    /// The service by which it is reached.
    pub front: Option<String>,
    /// Whether the parts of a long message are joined for it.
    pub joined: Option<bool>,
    /// How many of its messages may wait, where that is another number than `waiting.account`.
    pub waiting: Option<i64>,
}

/// How many messages may wait for their end: more are refused, and not stored.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Waiting {
    /// Of an account that says nothing of it.
    pub account: i64,
    /// Of all of them.
    pub all: i64,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting { account: 1_000_000, all: 5_000_000 }
    }
}

/// When is tried again.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The first wait; each next one is twice as long …
    #[serde(with = "humantime_serde")]
    pub from: Duration,
    /// … up to this.
    #[serde(with = "humantime_serde")]
    pub to: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { from: Duration::from_secs(1), to: Duration::from_secs(300) }
    }
}

impl Retry {
    /// The wait after so many tries. Any number is as likely as another to be `chance`: a quarter of the wait is by chance, so that
    /// what failed in one moment is not tried again in one moment.
    pub(crate) fn wait(&self, tries: u32, chance: u64) -> Duration {
        let doubled = 1_u32.checked_shl(tries).and_then(|times| self.from.checked_mul(times));
        let wait = doubled.map_or(self.to, |wait| wait.min(self.to));
        wait - wait / 4 + wait.mul_f64(0.25 * (chance >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// What becomes of a message of which nobody knows whether the network has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Uncertain {
    /// It is sent again, and is marked: it may be there twice.
    #[default]
    Retry,
    /// It is not sent again. Where no receipt comes of it, it ends with its validity.
    Hold,
}

impl Config {
    /// The services that may take a message, the one to be tried first in front. `chance` decides among them by their shares.
    pub(crate) fn networks_for(&self, account: &str, sms: &Sms, chance: u64) -> Vec<&str> {
        let destination = sms.destination.digits.trim_start_matches('+');
        let fits = |route: &&Route| {
            destination.starts_with(&route.prefix) && route.account.as_deref().is_none_or(|only| only == account)
        };
        let Some(route) = self.routes.iter().find(fits) else { return Vec::new() };
        let all: u64 = route.to.values().map(|share| u64::from(*share)).sum();
        let mut at = chance % all.max(1);
        let first = route.to.iter().position(|(_, share)| match at.checked_sub(u64::from(*share)) {
            Some(left) => {
                at = left;
                false
            }
            None => true,
        });
        let mut networks: Vec<&str> = route.to.keys().map(String::as_str).collect();
        networks.rotate_left(first.unwrap_or_default());
        networks
    }

    pub(crate) fn network(&self, name: &str) -> Network {
        self.networks.get(name).copied().unwrap_or_default()
    }

    /// The account that messages to an address are for.
    pub(crate) fn account_at(&self, address: &str) -> Option<&str> {
        let address = address.trim_start_matches('+');
        let fits = self.accounts.iter().filter_map(|(name, account)| Some((fit(&account.addresses, address)?, name)));
        fits.max_by_key(|(fit, _)| *fit).map(|(_, name)| name.as_str())
    }

    /// The service by which an account is reached.
    pub(crate) fn front_of(&self, account: &str) -> Option<&str> {
        let own = self.accounts.get(account).and_then(|account| account.front.as_ref());
        own.or(self.front.as_ref()).map(String::as_str)
    }

    /// Whether the parts of long messages are joined for an account.
    pub(crate) fn joins_for(&self, account: &str) -> bool {
        self.accounts.get(account).and_then(|account| account.joined).unwrap_or(self.joined)
    }

    /// How many messages of an account may wait.
    pub(crate) fn waiting_of(&self, account: &str) -> i64 {
        self.accounts.get(account).and_then(|account| account.waiting).unwrap_or(self.waiting.account)
    }

    /// The configuration, where it can be served.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub fn checked(mut self) -> Result<Self, Refusal> {
        if self.routes.is_empty() {
            return Err(Refusal::from("routes: at least one, or no message goes anywhere"));
        }
        for (n, route) in self.routes.iter_mut().enumerate() {
            let prefix = route.prefix.trim_start_matches('+').to_owned();
            if !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Refusal::from(format!("routes[{n}].prefix: `{prefix}` has other characters than digits")));
            }
            route.prefix = prefix;
            if route.to.values().all(|share| *share == 0) {
                return Err(Refusal::from(format!("routes[{n}].to: at least one service with a share above 0")));
            }
        }
        for (name, network) in &self.networks {
            if !self.routes.iter().any(|route| route.to.contains_key(name)) {
                return Err(Refusal::from(format!("networks.{name}: no route goes there")));
            }
            if !(1..=WINDOW_MAX).contains(&network.window) {
                return Err(Refusal::from(format!("networks.{name}.window: between 1 and {WINDOW_MAX}")));
            }
            if !(SECOND..=WITHIN_MAX).contains(&network.within) {
                return Err(Refusal::from(format!("networks.{name}.within: between 1s and 5m")));
            }
            if let Some(throttle) = &network.throttle {
                throttle.check().map_err(|reason| Refusal::from(format!("networks.{name}.throttle: {reason}")))?;
            }
        }
        for (name, account) in &self.accounts {
            if account.waiting.is_some_and(|max| max < 0) {
                return Err(Refusal::from(format!("accounts.{name}.waiting: none, or more")));
            }
            for address in &account.addresses {
                let taken = |(other, it): &(&String, &Account)| *other != name && it.addresses.contains(address);
                if let Some((other, _)) = self.accounts.iter().find(taken) {
                    return Err(Refusal::from(format!("accounts.{name}.addresses: {address} is {other}'s as well")));
                }
            }
            if !account.addresses.is_empty() && self.front_of(name).is_none() {
                return Err(Refusal::from(format!("accounts.{name}.front: by which service is it reached?")));
            }
        }
        if self.waiting.account < 1 || self.waiting.all < 1 {
            return Err(Refusal::from("waiting: `account` and `all` are at least 1, or no message is taken"));
        }
        if self.retry.from < Duration::from_millis(100) || self.retry.to < self.retry.from {
            return Err(Refusal::from("retry: `from` is at least 100ms, and `to` is not shorter"));
        }
        for (key, span) in [("validity", self.validity), ("keep", self.keep), ("join_within", self.join_within)] {
            if !(Duration::from_secs(60)..=SPAN_MAX).contains(&span) {
                return Err(Refusal::from(format!("{key}: between 1m and 1 year")));
            }
        }
        Ok(self)
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// A session has up to 1024 calls under way.
const WINDOW_MAX: u32 = 800;
const WITHIN_MAX: Duration = Duration::from_secs(300);
const SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);

fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

fn two_days() -> Duration {
    Duration::from_secs(2 * 86_400)
}

fn three_days() -> Duration {
    Duration::from_secs(3 * 86_400)
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
        let whole = json!({
            "routes": [{ "to": { "smsc": 1 } }], "networks": { "smsc": { "throttle": { "of": 1, "per": "1s" } } },
            "accounts": { "acme": {} }, "retry": {}, "waiting": {},
        });
        reference::check::<Config>("`messaging`", &whole);
    }
}
