//! Whether a rate allows so much now: the generic cell rate algorithm, as pure functions.
//!
//! By hand, since `governor` keeps its theoretical arrival time to itself: it cannot be written down, and goes to no other quota.
//!
//! All that a rate has to remember is that time. It is ahead of now by what was used of the burst.

use serde::Deserialize;

use crate::clock::nanos;
use crate::config::Span;

/// So long a share of a rate may be used, in nanoseconds.
pub const SHARE_SPAN: u64 = 2_000_000;
/// A rate that allows less within [`SHARE_SPAN`] is too small to split: what is taken of it is used at once.
const SPLIT_MIN: u64 = 8;
/// A rate whose burst takes longer than this to come back is written down ahead of its use; of others a crash takes the burst.
const SLOW: u64 = 10_000_000_000;
/// … so much of the burst at a time.
const SLOW_STEPS: u64 = 16;

/// `of` in each `per` nanoseconds, and `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct Rate {
    /// How many.
    pub of: u64,
    /// In how many nanoseconds.
    pub per: u64,
    /// How many at once.
    pub burst: u64,
    /// How long the burst takes to come back.
    span: u64,
    /// How many are taken in advance at most; 1 where it is too small to split.
    pub share: u64,
}

/// `{ of = 100, per = "1s", burst = 200 }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    of: u64,
    per: Span,
    burst: Option<u64>,
}

impl TryFrom<Keys> for Rate {
    type Error = String;

    fn try_from(Keys { of, per, burst }: Keys) -> Result<Self, String> {
        Rate::new(of, per, burst)
    }
}

/// So many at most in a span, so that none takes less than a nanosecond.
pub const OF_MAX_PER_SECOND: u64 = 1_000_000_000;

impl Rate {
    /// A rate.
    ///
    /// # Errors
    /// It allows nothing, or more than can be counted.
    pub fn new(of: u64, per: Span, burst: Option<u64>) -> Result<Self, String> {
        let (per, burst) = (nanos(per.get()), burst.unwrap_or(of));
        if of == 0 || per == 0 || burst == 0 {
            return Err("it allows nothing; write { of = 100, per = \"1s\", burst = 200 }".to_owned());
        }
        let most = u128::from(per) * u128::from(OF_MAX_PER_SECOND) / 1_000_000_000;
        let span = u128::from(burst) * u128::from(per) / u128::from(of);
        if u128::from(of) > most || span > u128::from(u64::MAX / 8) {
            return Err(format!(
                "it is beyond counting: {OF_MAX_PER_SECOND} a second at most, and a burst of 70 years"
            ));
        }
        let span = span as u64;
        let share = (u128::from(SHARE_SPAN) * u128::from(of) / u128::from(per)) as u64;
        let splits = share >= SPLIT_MIN && span >= 8 * SHARE_SPAN;
        Ok(Rate { of, per, burst, span, share: if splits { share } else { 1 } })
    }

    /// Whether parts of it are taken in advance.
    pub fn splits(&self) -> bool {
        self.share > 1
    }

    /// How long this many take.
    pub fn cost(&self, units: u64) -> u64 {
        match units.checked_mul(self.per) {
            Some(product) => product.div_ceil(self.of),
            None => u64::try_from((u128::from(units) * u128::from(self.per)).div_ceil(u128::from(self.of)))
                .unwrap_or(u64::MAX),
        }
    }

    /// How many it allows now, of those that are wanted. `tat` is the theoretical arrival time.
    ///
    /// # Errors
    /// Not even `least`: until then, or for good.
    pub fn allows(&self, tat: u64, now: u64, least: u64, wanted: u64) -> Result<u64, Option<u64>> {
        let ahead = tat.saturating_sub(now);
        let left = self.span().saturating_sub(ahead);
        let cost = self.cost(least);
        if cost > left {
            return Err((cost <= self.span()).then(|| now.saturating_add(cost - left)));
        }
        if self.cost(wanted) <= left {
            return Ok(wanted);
        }
        let units = (u128::from(left) * u128::from(self.of) / u128::from(self.per)) as u64;
        Ok(units.clamp(least, wanted))
    }

    /// The arrival time after these.
    pub fn after(&self, tat: u64, now: u64, units: u64) -> u64 {
        tat.max(now).saturating_add(self.cost(units))
    }

    /// The arrival time where nothing of the burst is left.
    pub fn used_up(&self, now: u64) -> u64 {
        now.saturating_add(self.span)
    }

    /// How far ahead it is written down, where it is.
    pub fn step(&self) -> Option<u64> {
        (self.span > SLOW).then_some(self.span / SLOW_STEPS)
    }

    /// How much of the burst is left, in units.
    pub fn left(&self, tat: u64, now: u64) -> u64 {
        let left = self.span.saturating_sub(tat.saturating_sub(now));
        (u128::from(left) * u128::from(self.of) / u128::from(self.per)) as u64
    }

    /// How much it allows now, in units.
    pub fn allowed(&self, tat: u64, now: u64) -> u64 {
        let left = self.span().saturating_sub(tat.saturating_sub(now));
        (u128::from(left) * u128::from(self.of) / u128::from(self.per)) as u64
    }

    /// How long the burst takes to come back.
    pub fn whole_span(&self) -> u64 {
        self.span
    }

    /// What is used a little later than it was taken is not to be more than the burst.
    fn span(&self) -> u64 {
        if self.splits() { self.span - 2 * SHARE_SPAN } else { self.span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOON: u64 = 1_767_268_800 * SECOND;

    fn rate(of: u64, seconds: u64, burst: u64) -> Rate {
        Rate::new(of, Span::seconds(seconds), Some(burst)).unwrap()
    }

    #[test]
    fn a_burst_at_once_and_then_one_after_the_other() {
        let rate = rate(10, 1, 3);
        let (mut tat, mut admitted) = (0, Vec::new());
        for now in (0..SECOND).step_by(50_000_000).map(|since| NOON + since) {
            for _ in 0..10 {
                if rate.allows(tat, now, 1, 1).is_ok() {
                    tat = rate.after(tat, now, 1);
                    admitted.push((now - NOON) / 100_000_000);
                }
            }
        }
        assert_eq!(admitted, [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_refusal_says_when_it_is_none() {
        let rate = rate(10, 1, 3);
        let tat = rate.after(0, NOON, 3);
        assert_eq!(rate.allows(tat, NOON, 1, 1), Err(Some(NOON + SECOND / 10)));
        assert_eq!(rate.allows(tat, NOON + SECOND / 10 - 1, 1, 1), Err(Some(NOON + SECOND / 10)));
        assert_eq!(rate.allows(tat, NOON + SECOND / 10, 1, 1), Ok(1));
        assert_eq!(rate.allows(tat, NOON, 3, 3), Err(Some(NOON + 3 * SECOND / 10)));
        assert_eq!(rate.allows(0, NOON, 4, 4), Err(None), "more than the burst never comes");
        assert_eq!(rate.allows(tat, NOON + SECOND / 5, 1, 10), Ok(2), "as many as there are");
    }

    #[test]
    fn a_change_goes_on_with_the_same_arrival_time() {
        let (slow, fast) = (rate(10, 1, 10), rate(20, 1, 20));
        let tat = slow.after(0, NOON, 10);
        assert_eq!(fast.allows(tat, NOON, 1, 1), Err(Some(NOON + SECOND / 20)));
        assert_eq!(fast.left(tat, NOON + SECOND / 2), 10);
    }

    #[test]
    fn what_is_large_enough_is_split() {
        assert!(!rate(100, 1, 200).splits() && !rate(3_999, 1, 4_000).splits());
        assert_eq!(rate(4_000, 1, 4_000).share, 8);
        assert_eq!(rate(100_000, 1, 100_000).share, 200);
        assert!(!rate(1_000_000, 1, 100).splits(), "its burst is gone before a share is");
        assert!(rate(10, 60, 1_000).step().is_some() && rate(100, 1, 200).step().is_none());
    }

    #[test]
    fn what_allows_nothing_or_cannot_be_counted_is_refused() {
        assert!(Rate::new(0, Span::seconds(1), None).is_err() && Rate::new(1, Span::seconds(0), None).is_err());
        assert!(Rate::new(1, Span::seconds(1), Some(0)).is_err());
        assert!(Rate::new(OF_MAX_PER_SECOND + 1, Span::seconds(1), None).is_err());
        assert!(Rate::new(1, Span::seconds(86_400 * 365), Some(100)).is_err());
        assert_eq!(Rate::new(OF_MAX_PER_SECOND, Span::seconds(1), None).unwrap().cost(u64::MAX), u64::MAX);
    }
}
