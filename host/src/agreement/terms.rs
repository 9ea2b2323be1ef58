//! What an agreement says: `[agreement.NAME]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::calendar::{Hours, Period};
use super::rate::Rate;

/// Agreements by name, as workers look at them.
pub type Agreements = BTreeMap<String, Arc<Agreement>>;

/// `[agreement.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The accounts that have it, each with a count of its own; `*` is every one …
    accounts: Option<BTreeSet<String>>,
    /// … or those that have it together, with one count.
    group: Option<BTreeSet<String>>,
    /// The services that it is about; all of them where it is not said. Each has a count of its own.
    services: Option<BTreeSet<String>>,
    rate: Option<Rate>,
    #[serde(default)]
    quota: QuotaKeys,
    /// Exchanges at a time, of those that components hold.
    pub concurrent: Option<u64>,
    /// Sessions at a time.
    pub sessions: Option<u64>,
    /// The senders' addresses that are allowed; `*` stands for anything.
    senders: Option<BTreeSet<String>>,
    /// The hours of the day, in UTC.
    pub hours: Option<Hours>,
}

/// `quota = { … }`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct QuotaKeys {
    minute: Option<u64>,
    hour: Option<u64>,
    day: Option<u64>,
    month: Option<u64>,
}

/// The account that stands for a group in its count. No account has this name.
const GROUP: &str = "";
/// Every account.
const ANY: &str = "*";
/// A block of a quota is such a part of it …
const BLOCKS: u64 = 64;
/// … and so many at most.
const BLOCK_MAX: u64 = 8192;

impl Agreement {
    /// Checks what a type cannot say.
    ///
    /// # Errors
    /// The key, and why.
    pub fn check<'a>(&self, known: impl Iterator<Item = &'a String> + Clone) -> Result<(), (&'static str, String)> {
        match (&self.accounts, &self.group) {
            (None, None) => {
                return Err((
                    "accounts",
                    "it is nobody's; write accounts = [\"acme\"] or group = [\"acme\", \"other\"]".into(),
                ));
            }
            (Some(_), Some(_)) => {
                return Err((
                    "group",
                    "it has `accounts` as well; each has a count of its own, or all have one".into(),
                ));
            }
            (Some(names), None) | (None, Some(names)) if names.is_empty() => {
                return Err(("accounts", "it is nobody's; name an account, or write \"*\" for every one".into()));
            }
            _ => {}
        }
        crate::account::check_services(self.services.as_ref(), known).map_err(|reason| ("services", reason))?;
        if self.senders.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(("senders", "none is allowed; leave `senders` out for all of them".into()));
        }
        let most = i64::MAX as u64;
        if let Some(quota) = self.quotas().into_iter().flatten().find(|quota| *quota > most) {
            return Err(("quota", format!("{quota} is more than can be counted, {most} at most")));
        }
        let QuotaKeys { minute, hour, day, month } = self.quota;
        let nothing = self.rate.is_none()
            && minute.or(hour).or(day).or(month).is_none()
            && self.concurrent.or(self.sessions).is_none()
            && self.senders.is_none()
            && self.hours.is_none();
        if nothing {
            let keys = "rate, quota, concurrent, sessions, senders or hours";
            return Err(("", format!("it limits nothing; write {keys}")));
        }
        Ok(())
    }

    /// The account whose count it is that an account has of a service; `None` where it has none.
    pub fn counts_for<'a>(&self, account: &'a str, service: &str) -> Option<&'a str> {
        if self.services.as_ref().is_some_and(|services| !services.contains(service)) {
            return None;
        }
        let has = |names: &BTreeSet<String>| names.contains(account) || names.contains(ANY);
        match (&self.accounts, &self.group) {
            (Some(names), _) if has(names) => Some(account),
            (None, Some(names)) if has(names) => Some(GROUP),
            _ => None,
        }
    }

    /// The rate.
    pub fn rate(&self) -> Option<&Rate> {
        self.rate.as_ref()
    }

    /// The quotas, in the order of [`Period::ALL`].
    pub fn quotas(&self) -> [Option<u64>; 4] {
        [self.quota.minute, self.quota.hour, self.quota.day, self.quota.month]
    }

    /// Whether senders are looked at.
    pub fn asks_senders(&self) -> bool {
        self.senders.is_some()
    }

    /// Whether a sender's address is allowed.
    pub fn allows_sender(&self, sender: &str) -> bool {
        self.senders.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| is_like(sender, pattern)))
    }

    /// How many are taken in advance at most.
    pub fn share(&self) -> u64 {
        /// Of what is counted by neither.
        const ANY: u64 = 4096;
        let quotas = self.quotas().into_iter().flatten().map(|quota| (block(quota) / 2).max(1));
        quotas.chain(self.rate().map(|rate| rate.share)).min().unwrap_or(ANY)
    }
}

/// How much of a quota is reserved and not used at most, for each worker.
pub fn block(quota: u64) -> u64 {
    (quota / BLOCKS).clamp(1, BLOCK_MAX)
}

/// How much is reserved ahead of what the workers have taken. With half a block that each of them has it is a block each at most.
pub fn ahead(quota: u64) -> u64 {
    (block(quota) / 2).max(1)
}

/// The limit of a period among the quotas.
pub fn periods(quotas: [Option<u64>; 4]) -> impl DoubleEndedIterator<Item = (usize, Period, u64)> {
    Period::ALL.into_iter().enumerate().filter_map(move |(at, period)| Some((at, period, quotas[at]?)))
}

/// Whether a text is like a pattern, in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*').filter(|part| !part.is_empty()) {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.len() >= last.len() && left.ends_with(last)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An agreement with these keys, checked.
    pub(in crate::agreement) fn agreement(keys: &str) -> Arc<Agreement> {
        Arc::new(read(keys).unwrap())
    }

    fn read(keys: &str) -> Result<Agreement, String> {
        let agreement: Agreement = toml::from_str(keys).map_err(|error| error.message().to_owned())?;
        let known = ["web".to_owned(), "esme".to_owned()];
        agreement.check(known.iter()).map_err(|(key, reason)| format!("{key}: {reason}"))?;
        Ok(agreement)
    }

    #[test]
    fn whose_count_it_is() {
        let own = agreement("accounts = [\"a\", \"b\"]\nservices = [\"web\"]\nconcurrent = 1");
        assert_eq!((own.counts_for("a", "web"), own.counts_for("b", "web")), (Some("a"), Some("b")));
        assert_eq!((own.counts_for("a", "esme"), own.counts_for("c", "web")), (None, None));
        let together = agreement("group = [\"a\", \"b\"]\nconcurrent = 1");
        assert_eq!((together.counts_for("a", "web"), together.counts_for("b", "esme")), (Some(""), Some("")));
        assert_eq!(together.counts_for("c", "web"), None);
        assert_eq!(agreement("accounts = [\"*\"]\nconcurrent = 1").counts_for("c", "web"), Some("c"));
    }

    #[test]
    fn patterns() {
        let rows = [
            ("49301", "4930*", true),
            ("4930", "4930*", true),
            ("493", "4930*", false),
            ("ACME", "ACME", true),
            ("ACMEX", "ACME", false),
            ("ab-cd-ef", "ab*cd*ef", true),
            ("ab-ef", "ab*cd*ef", false),
            ("aba", "ab*ba", false),
            ("anything", "*", true),
            ("", "*", true),
            ("x12y", "*1*2*", true),
        ];
        for (text, pattern, like) in rows {
            assert_eq!(is_like(text, pattern), like, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rows = [
            ("concurrent = 1", "accounts: it is nobody's"),
            ("accounts = []\nconcurrent = 1", "accounts: it is nobody's"),
            ("accounts = [\"a\"]\ngroup = [\"a\"]\nconcurrent = 1", "group: it has `accounts` as well"),
            ("accounts = [\"a\"]", "it limits nothing"),
            ("accounts = [\"a\"]\nservices = [\"x\"]\nconcurrent = 1", "services: there is no service `x`"),
            ("accounts = [\"a\"]\nrate = { of = 0, per = \"1s\" }", "it allows nothing"),
            ("accounts = [\"a\"]\nrate = 100", "invalid type"),
            ("accounts = [\"a\"]\nsenders = []", "senders: none is allowed"),
            ("accounts = [\"a\"]\nhours = \"8-20\"", "08:00-20:00"),
            ("accounts = [\"a\"]\nquota = { week = 1 }", "unknown field `week`"),
        ];
        for (keys, reason) in rows {
            let error = read(keys).unwrap_err();
            assert!(error.contains(reason), "{keys}: {error}");
        }
    }

    #[test]
    fn what_is_reserved_and_not_used_is_a_block_for_each_worker_at_most() {
        for quota in [1, 10, 64, 1_000, 10_000, 1_000_000, u64::MAX] {
            for workers in 1..4 {
                let share = if block(quota) == 1 { 0 } else { block(quota) / 2 };
                assert!(ahead(quota) + workers * share <= workers * block(quota), "{quota} {workers}");
            }
        }
    }
}
