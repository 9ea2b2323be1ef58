//! How exchanges of a version ended and how long they took: counted as they do ([`Exchanges`]), and as it is read ([`Counted`]).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_component::Outcome;

/// Where spans of time end, each at most a quarter longer than the one before: in hundredths of the beginning of a decade. Decimal, so that
/// what metrics and people ask for is an end of one, and nothing is counted where it does not belong.
const ENDS: [u64; 13] = [125, 150, 175, 200, 250, 300, 350, 400, 500, 600, 700, 800, 1000];
/// So many decades, after the first span.
const DECADES: usize = 9;
/// Ten microseconds: the turn of a worker in which an exchange ends takes no less.
const FIRST: u64 = 10_000;
/// In nanoseconds, the last of each span but of the last one, which has no end: from 10 µs to 10,000 s.
const LAST: [u64; 1 + ENDS.len() * DECADES] = last();
const SPANS: usize = LAST.len() + 1;
const OUTCOMES: usize = Outcome::ALL.len();

const fn last() -> [u64; 1 + ENDS.len() * DECADES] {
    let mut last = [FIRST; 1 + ENDS.len() * DECADES];
    let (mut at, mut decade) = (1, FIRST);
    while at < last.len() {
        let within = (at - 1) % ENDS.len();
        last[at] = decade / 100 * ENDS[within];
        if within + 1 == ENDS.len() {
            decade *= 10;
        }
        at += 1;
    }
    last
}

/// How the exchanges of an instance have ended and how long they took. Workers count for themselves, so none waits for another's cache line.
#[derive(Debug)]
pub struct Exchanges {
    workers: [OnceLock<Box<Share>>; SHARES],
}

/// More workers than these share.
const SHARES: usize = 16;

/// What one worker has counted.
#[derive(Debug)]
struct Share {
    spans: [[AtomicU64; OUTCOMES]; SPANS],
    micros: AtomicU64,
}

impl Default for Share {
    fn default() -> Self {
        let none = || AtomicU64::new(0);
        Share { spans: std::array::from_fn(|_| std::array::from_fn(|_| none())), micros: none() }
    }
}

impl Default for Exchanges {
    fn default() -> Self {
        Exchanges { workers: [const { OnceLock::new() }; SHARES] }
    }
}

impl Exchanges {
    /// The revision of the API from which on components tell of exchanges that are not recorded.
    pub const SINCE: u32 = 7;

    /// One has ended, on this worker. Relaxed, as are all counts.
    pub fn count(&self, worker: usize, outcome: Outcome, nanos: u64) {
        let share = self.workers[worker % SHARES].get_or_init(Box::default);
        share.spans[span_of(nanos)][outcome as usize].fetch_add(1, Ordering::Relaxed);
        share.micros.fetch_add(nanos.saturating_add(500) / 1000, Ordering::Relaxed);
    }

    /// What was counted by now is added to what was counted of another.
    pub fn add_to(&self, counted: &mut Counted) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        counted.spans.resize(SPANS, 0);
        for share in self.workers.iter().filter_map(OnceLock::get) {
            counted.micros += load(&share.micros);
            for (sum, span) in counted.spans.iter_mut().zip(&share.spans) {
                for (outcomes, count) in counted.outcomes.iter_mut().zip(span) {
                    let count = load(count);
                    *outcomes += count;
                    *sum += count;
                }
            }
        }
    }
}

/// The span that so much time lies in.
fn span_of(nanos: u64) -> usize {
    LAST.partition_point(|last| *last < nanos)
}

/// What was counted of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    outcomes: [u64; OUTCOMES],
    spans: Vec<u64>,
    micros: u64,
}

impl Counted {
    /// Exchanges that have ended …
    pub fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// … so.
    pub fn ended_as(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Those that have failed.
    pub fn failed(&self) -> u64 {
        self.ended_as(Outcome::Failed)
    }

    /// The share of those that have failed.
    pub fn failing(&self) -> f64 {
        let ended = self.ended();
        if ended == 0 { 0.0 } else { self.failed() as f64 / ended as f64 }
    }

    /// How long they took together, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros
    }

    /// How many took how long: the longest time of each span in microseconds, but of the last, which has none. Those with none are left out.
    pub fn spans(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let spans = self.spans.iter().enumerate().filter(|(_, count)| **count > 0);
        spans.map(|(at, count)| (LAST.get(at).map(|last| last / 1000), *count))
    }

    /// What was counted since then.
    #[must_use]
    pub fn since(&self, then: &Counted) -> Self {
        let spans = self.spans.iter().enumerate();
        let spans = spans.map(|(at, span)| span.saturating_sub(then.spans.get(at).copied().unwrap_or(0)));
        Counted {
            outcomes: std::array::from_fn(|at| self.outcomes[at].saturating_sub(then.outcomes[at])),
            spans: spans.collect(),
            micros: self.micros.saturating_sub(then.micros),
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
        if all == 0 { 0 } else { at.map_or(0, |at| LAST[at.min(LAST.len() - 1)] / 1000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(exchanges: &Exchanges) -> Counted {
        let mut counted = Counted::default();
        exchanges.add_to(&mut counted);
        counted
    }

    #[test]
    fn spans_follow_each_other_without_a_gap() {
        for (at, last) in LAST.into_iter().enumerate() {
            assert_eq!((span_of(last), span_of(last + 1)), (at, at + 1));
        }
        for pair in LAST.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] * 4 <= pair[0] * 5, "{pair:?}");
        }
        assert_eq!((span_of(0), LAST[LAST.len() - 1], span_of(u64::MAX)), (0, 10_000_000_000_000, SPANS - 1));
        for whole in [100_000, 2_500_000, 50_000_000, 1_000_000_000, 60_000_000_000] {
            assert!(LAST.contains(&whole), "people ask for {whole} ns");
        }
    }

    #[test]
    fn workers_count_what_is_read_as_one() {
        let exchanges = Exchanges::default();
        for (worker, outcome) in (0..SHARES + 4).zip(Outcome::ALL.into_iter().cycle()) {
            exchanges.count(worker, outcome, 1_000_400);
        }
        let counted = counted(&exchanges);
        assert_eq!(Outcome::ALL.map(|outcome| counted.ended_as(outcome)), [5; 4]);
        assert_eq!((counted.ended(), counted.failed(), counted.micros()), (20, 5, 20_000));
        assert_eq!(counted.spans().collect::<Vec<_>>(), [(Some(1250), 20)]);
    }

    #[test]
    fn what_was_counted_before_does_not_count() {
        let exchanges = Exchanges::default();
        exchanges.count(0, Outcome::Failed, 5_000);
        let then = counted(&exchanges);
        exchanges.count(1, Outcome::Done, 90_000);
        exchanges.count(1, Outcome::Done, u64::MAX);
        let since = counted(&exchanges).since(&then);
        assert_eq!((since.ended(), since.failed()), (2, 0));
        assert_eq!(since.spans().collect::<Vec<_>>(), [(Some(100), 1), (None, 1)]);
        assert_eq!(
            (since.ninth_tenth(), then.ninth_tenth(), Counted::default().ninth_tenth()),
            (10_000_000_000, 10, 0)
        );
    }
}
