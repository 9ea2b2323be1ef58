//! A version that is tried beside the one that serves: whose sessions it takes ([`Canary`]), what is counted of both ([`Exchanges`]), and
//! how they compare ([`compare`]): pure functions.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_component::{Peer, Policy};

use super::instance::Service;
use super::{Instance, Lease};
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

/// So many spans for each power of two of microseconds …
const STEPS: u32 = 4;
/// … up to an hour.
const SPANS: usize = 32 * STEPS as usize;

/// How exchanges have ended and how long they took.
#[derive(Debug)]
pub struct Exchanges {
    ended: AtomicU64,
    failed: AtomicU64,
    spans: [AtomicU64; SPANS],
}

impl Default for Exchanges {
    fn default() -> Self {
        Exchanges { ended: AtomicU64::new(0), failed: AtomicU64::new(0), spans: [const { AtomicU64::new(0) }; SPANS] }
    }
}

impl Exchanges {
    /// One has ended. Relaxed, as are all counts.
    pub fn count(&self, failed: bool, micros: u64) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(failed.into(), Ordering::Relaxed);
        self.spans[span_of(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted by now is added to what was counted of another.
    pub fn add_to(&self, counted: &mut Counted) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        counted.ended += load(&self.ended);
        counted.failed += load(&self.failed);
        counted.spans.resize(SPANS, 0);
        counted.spans.iter_mut().zip(&self.spans).for_each(|(sum, span)| *sum += load(span));
    }
}

/// The span that so many microseconds lie in.
fn span_of(micros: u64) -> usize {
    let octave = micros.max(1).ilog2();
    let within = if octave >= 2 { (micros >> (octave - 2)) & 3 } else { 0 };
    ((octave * STEPS) as usize + within as usize).min(SPANS - 1)
}

/// The longest time in microseconds that a span has.
fn end_of(span: usize) -> u64 {
    let (octave, within) = (span as u32 / STEPS, span as u64 % u64::from(STEPS));
    if octave >= 2 { ((5 + within) << (octave - 2)) - 1 } else { (2 << octave) - 1 }
}

/// What was counted of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Exchanges that have ended.
    pub ended: u64,
    /// Those that have failed.
    pub failed: u64,
    spans: Vec<u64>,
}

impl Counted {
    /// What was counted since then.
    #[must_use]
    pub fn since(&self, then: &Counted) -> Self {
        let spans = self
            .spans
            .iter()
            .enumerate()
            .map(|(at, span)| span.saturating_sub(then.spans.get(at).copied().unwrap_or(0)));
        Counted {
            ended: self.ended.saturating_sub(then.ended),
            failed: self.failed.saturating_sub(then.failed),
            spans: spans.collect(),
        }
    }

    /// In microseconds, how long nine in ten took at most; as exactly as a quarter of it.
    pub fn ninth_tenth(&self) -> u64 {
        let all: u64 = self.spans.iter().sum();
        let mut sum = 0;
        let at = self.spans.iter().position(|span| {
            sum += span;
            sum * 10 >= all * 9
        });
        if all == 0 { 0 } else { at.map_or(0, end_of) }
    }

    fn failing(&self) -> f64 {
        if self.ended == 0 { 0.0 } else { self.failed as f64 / self.ended as f64 }
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
    if canary.ended < samples || active.ended < samples {
        return Verdict::TooFew;
    }
    let (one, other) = (canary.failing(), active.failing());
    // That chance alone would make so many more of them fail is less likely than one in a thousand.
    let (n, m) = (canary.ended as f64, active.ended as f64);
    let whole = (canary.failed + active.failed) as f64 / (n + m);
    let deviation = (whole * (1.0 - whole) * (1.0 / n + 1.0 / m)).sqrt();
    if one - other > settings.worse.get() && one - other > 3.0 * deviation {
        return Verdict::Worse(format!(
            "{:.1} % of its {} exchanges failed, and {:.1} % of the {} of what serves",
            one * 100.0,
            canary.ended,
            other * 100.0,
            active.ended
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
    use super::*;

    fn settings() -> config::Canary {
        toml::from_str("share = '5%'").unwrap()
    }

    fn counted(ended: u64, failed: u64, micros: u64) -> Counted {
        let exchanges = Exchanges::default();
        (0..ended).for_each(|n| exchanges.count(n < failed, micros));
        let mut counted = Counted::default();
        exchanges.add_to(&mut counted);
        counted
    }

    #[test]
    fn spans_follow_each_other_without_a_gap() {
        let mut last = 0;
        for micros in 1..100_000 {
            let span = span_of(micros);
            assert!(span >= last && micros <= end_of(span), "{micros} in {span}");
            assert!(span == last || span_of(micros - 1) < span);
            last = span;
        }
        assert_eq!(span_of(u64::MAX), SPANS - 1);
        assert_eq!((counted(10, 0, 1000).ninth_tenth(), counted(0, 0, 0).ninth_tenth()), (1023, 0));
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

    #[test]
    fn what_was_counted_before_does_not_count() {
        let exchanges = Exchanges::default();
        let look = || {
            let mut counted = Counted::default();
            exchanges.add_to(&mut counted);
            counted
        };
        exchanges.count(true, 5);
        let then = look();
        exchanges.count(false, 90);
        let since = look().since(&then);
        assert_eq!((since.ended, since.failed, since.ninth_tenth()), (1, 0, 95));
    }
}
