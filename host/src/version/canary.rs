//! A version that is tried beside the one that serves: whose sessions it takes ([`Canary`]), and how the two compare ([`compare`]):
//! pure functions.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tandem_component::{Peer, Policy};

use super::instance::Service;
use super::{Counted, Instance, Lease};
use crate::config;

/// What a service is served by beside its active instance.
#[derive(Clone)]
pub struct Canary {
    /// The instance.
    pub instance: Lease<Instance>,
    /// The share of peers, and the accounts.
    pub settings: Arc<config::Canary>,
}

impl Canary {
    /// Whether it takes whoever hashes to this. For one canary that is always the same, for another it is others.
    fn takes(&self, whom: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        (&*self.instance.identity, whom).hash(&mut hasher);
        // The 53 bits that a float holds exactly.
        ((hasher.finish() >> 11) as f64) < self.settings.share.get() * (1_u64 << 53) as f64
    }
}

impl Service {
    /// What serves a new session: of this peer, or, where that has no address, of this number.
    pub fn for_new(&self, peer: Peer, number: u64) -> Option<&Lease<Instance>> {
        let takes = |canary: &&Canary| match peer.ip() {
            Some(ip) => canary.takes(ip),
            None => canary.takes(number),
        };
        self.canary.as_ref().filter(takes).map(|canary| &canary.instance).or(self.instance.as_ref())
    }

    /// What serves a session that is opened for a request: for this account, or, where it is nobody's, of the session with this number.
    pub fn for_call(&self, account: &str, label: Option<&str>, number: u64) -> Option<&Lease<Instance>> {
        let takes = |canary: &&Canary| {
            let labelled = label.is_some_and(|label| canary.settings.labels.matches(label));
            labelled
                || match account {
                    "" => canary.takes(number),
                    account => canary.settings.accounts.contains(account) || canary.takes(account),
                }
        };
        self.canary.as_ref().filter(takes).map(|canary| &canary.instance).or(self.instance.as_ref())
    }

    /// What serves a session that is there. It stays with a canary that it is on; a canary takes those of the accounts that are named,
    /// those that have in hand what is labelled as it wants, and of sessions that are renewed those of its peers. No other one comes to
    /// it, and one that has in hand what is labelled otherwise does not stay for that alone.
    pub fn for_open(
        &self,
        at: &Lease<Instance>,
        peer: Peer,
        account: Option<&str>,
        label: Option<&str>,
    ) -> Option<&Lease<Instance>> {
        let takes = |canary: &&Canary| {
            let named = || account.is_some_and(|account| canary.settings.accounts.contains(account));
            let peers = || at.policy == Policy::Renew && peer.ip().is_some_and(|ip| canary.takes(ip));
            let here = match label {
                Some(label) => canary.settings.labels.matches(label),
                None => canary.instance.same(at),
            };
            here || named() || peers()
        };
        self.canary.as_ref().filter(takes).map(|canary| &canary.instance).or(self.instance.as_ref())
    }

    /// Whether sessions are a canary's by their accounts.
    pub fn asks_accounts(&self) -> bool {
        self.canary.as_ref().is_some_and(|canary| !canary.settings.accounts.is_empty())
    }
}

/// How a canary does beside what serves.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// There is too little of it to say.
    TooFew,
    /// No worse.
    Fit,
    /// Worse, and by what.
    Worse(String),
}

/// Compares a canary with what serves, of which both were counted in the same time.
pub fn compare(canary: &Counted, active: &Counted, settings: &config::Canary) -> Verdict {
    let samples = u64::from(settings.samples);
    if canary.ended() < samples || active.ended() < samples {
        return Verdict::TooFew;
    }
    let (one, other) = (canary.failing(), active.failing());
    // That chance alone would make so many more of them fail is less likely than one in a thousand.
    let (n, m) = (canary.ended() as f64, active.ended() as f64);
    let whole = (canary.failed() + active.failed()) as f64 / (n + m);
    let deviation = (whole * (1.0 - whole) * (1.0 / n + 1.0 / m)).sqrt();
    if one - other > settings.worse.get() && one - other > 3.0 * deviation {
        return Verdict::Worse(format!(
            "{:.1} % of its {} exchanges failed, and {:.1} % of the {} of what serves",
            one * 100.0,
            canary.ended(),
            other * 100.0,
            active.ended()
        ));
    }
    let (one, other) = (canary.ninth_tenth(), active.ninth_tenth());
    if one as f64 > other as f64 * settings.slower && one > other + 1000 {
        return Verdict::Worse(format!(
            "nine in ten of its exchanges took up to {one} µs, and of what serves {other} µs"
        ));
    }
    Verdict::Fit
}

#[cfg(test)]
mod tests {
    use tandem_component::Outcome;

    use super::*;
    use crate::version::Exchanges;

    fn settings() -> config::Canary {
        toml::from_str("share = '5%'").unwrap()
    }

    fn counted(ended: u64, failed: u64, micros: u64) -> Counted {
        let exchanges = Exchanges::default();
        let outcome = |n| if n < failed { Outcome::Failed } else { Outcome::Done };
        (0..ended).for_each(|n| exchanges.count(0, outcome(n), micros * 1000));
        let mut counted = Counted::default();
        exchanges.add_to(&mut counted);
        counted
    }

    #[test]
    fn what_is_worse_by_chance_alone_is_not() {
        let rows = [
            ((99, 99, 100), (1000, 0, 100), "TooFew"),
            ((1000, 0, 100), (99, 0, 100), "TooFew"),
            ((100, 0, 100), (1000, 0, 100), "Fit"),
            ((100, 100, 100), (1000, 0, 100), "Worse"),
            ((100, 2, 100), (1000, 5, 100), "Fit"),
            ((10_000, 200, 100), (100_000, 500, 100), "Worse"),
            ((10_000, 60, 100), (100_000, 500, 100), "Fit"),
            ((200, 100, 100), (200, 100, 100), "Fit"),
            ((100, 0, 1500), (1000, 0, 100), "Worse"),
            ((100, 0, 900), (1000, 0, 100), "Fit"),
            ((100, 0, 15_000), (1000, 0, 10_000), "Fit"),
        ];
        for (canary, active, expected) in rows {
            let of = |(ended, failed, micros)| counted(ended, failed, micros);
            let verdict = compare(&of(canary), &of(active), &settings());
            assert!(format!("{verdict:?}").starts_with(expected), "{canary:?} beside {active:?}: {verdict:?}");
        }
    }
}
