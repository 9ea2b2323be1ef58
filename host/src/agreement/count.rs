//! What an account has used of one agreement and service: [`Count`], one for all workers and versions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_component::Limit;

use super::left::{Left, allowance};
use super::rate::{Rate, SHARE_SPAN};
use super::terms::{Agreement, ahead, periods};
use super::{Moment, Refusal};

/// Whose it is, by names that no version, publication or limit is a part of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The agreement.
    pub agreement: String,
    /// The account; empty for a group.
    pub account: String,
    /// The service.
    pub service: String,
}

/// What was used. The limits come with each use.
#[derive(Debug)]
pub struct Count {
    /// Whose.
    pub key: Key,
    /// A lock, since rate and quotas are taken together or not at all. It is taken once a share, for some operations in memory.
    used: Mutex<Used>,
    /// Exchanges that are held, and sessions. Relaxed, as all here: they order nothing else.
    pub concurrent: AtomicU64,
    /// …
    pub sessions: AtomicU64,
    /// How often something was refused.
    pub refused: AtomicU64,
}

/// Rate and quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// When the rate would be as if nothing had been used.
    pub tat: Arrival,
    /// What the store has of that.
    pub kept: Kept,
    /// One for each period.
    pub quotas: [Quota; 4],
}

/// The theoretical arrival time of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Then.
    At(u64),
    /// Then, by the store, but not later than where nothing of the burst is left: that is what a crash leaves.
    Stored(u64),
}

impl Default for Arrival {
    fn default() -> Self {
        Arrival::At(0)
    }
}

/// What the store has of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nothing of this run.
    #[default]
    No,
    /// That it is used.
    Open,
    /// Everything up to an arrival time.
    Until(u64),
}

/// What was used of a quota, in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// When the window has begun.
    pub start: u64,
    /// What was given to workers.
    pub given: u64,
    /// What the store has as used. Never less than what was given.
    pub kept: u64,
}

/// What was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How much.
    pub units: u64,
    /// Until when it may be used, by the steady clock.
    pub until: u64,
    /// The store is to reserve more before it is asked for.
    pub reserve: bool,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// A limit would be exceeded.
    Refused(Refusal),
    /// The store has to reserve it first.
    Unreserved,
}

/// What a worker may keep for so long that no rate bounds.
const KEEPING: u64 = 250_000_000;

impl Count {
    /// Of which this much was used.
    pub fn new(key: Key, used: Used) -> Self {
        Count {
            key,
            used: Mutex::new(used),
            concurrent: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes some, as many as are wanted where there are; `workers` share what there is.
    ///
    /// # Errors
    /// There are not even `least`.
    pub fn take(&self, terms: &Agreement, at: Moment, least: u64, wanted: u64, workers: u64) -> Result<Taken, Untaken> {
        let refused = |limit, frees_at| Err(Untaken::Refused(Refusal { limit, frees_at }));
        let steady = |wall: u64| at.steady.saturating_add(wall.saturating_sub(at.wall));
        let mut until = at.steady.saturating_add(KEEPING);
        if let Some(hours) = terms.hours {
            match hours.open_until(at.wall) {
                Ok(closes) => until = until.min(steady(closes)),
                Err(opens) => return refused(Limit::TimeOfDay, Some(opens)),
            }
        }
        let (mut units, mut reserved, mut reserve) = (wanted.max(least), true, false);
        let mut used = self.used();
        for (place, period, limit) in periods(terms.quotas()).rev() {
            let (start, end) = period.window(at.wall);
            let quota = &mut used.quotas[place];
            quota.roll(start);
            // A clock that was set back does not bring a window again.
            let end = if quota.start > start { period.window(quota.start).1 } else { end };
            let left = limit.saturating_sub(quota.given);
            if left < least {
                return refused(period.limit(), Some(end));
            }
            let kept = quota.kept.saturating_sub(quota.given);
            reserved &= kept >= least;
            units = units.min(kept).min(left / (4 * workers)).max(least);
            reserve |= kept.saturating_sub(units) < ahead(limit) && quota.kept < limit;
            until = until.min(steady(end));
        }
        if let Some(rate) = terms.rate() {
            let tat = used.tat.resolve(rate, at.steady);
            units = match rate.allows(tat, at.steady, least, units) {
                Ok(units) => units,
                Err(frees) => {
                    return refused(Limit::Rate, frees.map(|frees| at.wall.saturating_add(frees - at.steady)));
                }
            };
            match (rate.step(), used.kept) {
                (None, Kept::Open) => {}
                (Some(step), Kept::Until(kept)) if rate.after(tat, at.steady, least) <= kept => {
                    // As far as it is written down.
                    while units > least && rate.after(tat, at.steady, units) > kept {
                        units = (units / 2).max(least);
                    }
                    reserve |= kept.saturating_sub(rate.after(tat, at.steady, units)) < step / 2;
                }
                _ => reserved = false,
            }
            if reserved {
                used.tat = Arrival::At(rate.after(tat, at.steady, units));
            }
            // Where it is too small to split it is used now.
            until = if rate.splits() { until.min(at.steady.saturating_add(SHARE_SPAN)) } else { at.steady };
        }
        if !reserved {
            return Err(Untaken::Unreserved);
        }
        for (place, ..) in periods(terms.quotas()) {
            used.quotas[place].given += units;
        }
        Ok(Taken { units, until, reserve })
    }

    /// Gives back what was taken at `taken` and not used. Of a rate only what was taken just now, since what was used meanwhile
    /// may have relied on it.
    pub fn give_back(&self, terms: &Agreement, taken: Moment, units: u64, just_now: bool) {
        let mut used = self.used();
        for (place, period, _) in periods(terms.quotas()) {
            let quota = &mut used.quotas[place];
            if quota.start == period.window(taken.wall).0 {
                quota.given = quota.given.saturating_sub(units);
            }
        }
        if let (true, Some(rate), Arrival::At(tat)) = (just_now, terms.rate(), used.tat) {
            used.tat = Arrival::At(tat.saturating_sub(rate.cost(units)));
        }
    }

    /// What the store is to have before `need` more are taken, beside what is taken in advance; `None` where it has it.
    pub fn plan(&self, terms: &Agreement, at: Moment, need: u64) -> Option<Used> {
        let mut planned = {
            let mut used = self.used();
            for (place, period, _) in periods(terms.quotas()) {
                used.quotas[place].roll(period.window(at.wall).0);
            }
            used.clone()
        };
        let mut more = false;
        for (place, _, limit) in periods(terms.quotas()) {
            let quota = &mut planned.quotas[place];
            let wanted = quota.given.saturating_add(ahead(limit).max(need)).min(limit);
            more |= wanted > quota.kept;
            quota.kept = quota.kept.max(wanted);
        }
        if let Some(rate) = terms.rate() {
            let tat = planned.tat.resolve(rate, at.steady);
            let kept = match rate.step() {
                None => Kept::Open,
                Some(step) => {
                    let wanted = rate.after(tat, at.steady, need).saturating_add(step);
                    match planned.kept {
                        Kept::Until(kept) if kept >= wanted - step / 2 => Kept::Until(kept),
                        _ => Kept::Until(wanted),
                    }
                }
            };
            more |= kept != planned.kept;
            planned.kept = kept;
        }
        more.then_some(planned)
    }

    /// What was planned is committed.
    pub fn keep(&self, planned: &Used) {
        let mut used = self.used();
        used.kept = planned.kept;
        for (quota, planned) in used.quotas.iter_mut().zip(&planned.quotas) {
            if quota.start == planned.start {
                quota.kept = quota.kept.max(planned.kept);
            }
        }
    }

    /// What is to be written where nothing is taken any more: exactly what was used.
    pub fn settled(&self) -> Used {
        let mut used = self.used();
        if let Arrival::At(tat) = used.tat {
            used.kept = Kept::Until(tat);
        }
        for quota in &mut used.quotas {
            quota.kept = quota.given;
        }
        used.clone()
    }

    /// What was used, as it is now.
    pub fn used_now(&self) -> Used {
        self.used().clone()
    }

    /// What is left of rate and quotas for whoever has taken so many and not used them.
    pub fn tell(&self, terms: &Agreement, at: Moment, taken: u64, left: &mut Left) {
        let mut used = self.used_now();
        for (place, period, limit) in periods(terms.quotas()) {
            let quota = &mut used.quotas[place];
            quota.roll(period.window(at.wall).0);
            let (start, end) = period.window(quota.start);
            let there = limit.saturating_sub(quota.given).saturating_add(taken);
            left.add(allowance(period.limit(), (limit, end - start), there, Some(end)));
        }
        if let Some(rate) = terms.rate() {
            let tat = used.tat.resolve(rate, at.steady);
            let allowed = rate.allowed(tat, at.steady);
            let next = rate.allows(tat, at.steady, allowed + 1, allowed + 1).err().flatten();
            let frees = next.map(|next| at.wall.saturating_add(next - at.steady));
            left.add(allowance(Limit::Rate, (rate.burst, rate.whole_span()), allowed.saturating_add(taken), frees));
        }
    }

    /// Adds one to those at a time; false where there are as many as there may be.
    pub fn enter(count: &AtomicU64, limit: Option<u64>) -> bool {
        let more = |now: u64| (now < limit.unwrap_or(u64::MAX)).then_some(now + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes one away.
    pub fn leave(count: &AtomicU64) {
        count.fetch_sub(1, Ordering::Relaxed);
    }

    /// A poisoned lock is one whose holder panicked between two whole operations.
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrival {
    /// What a crash leaves of one that was not written down.
    pub const LOST: Arrival = Arrival::Stored(u64::MAX);

    fn resolve(&mut self, rate: &Rate, now: u64) -> u64 {
        if let Arrival::Stored(tat) = *self {
            *self = Arrival::At(tat.min(rate.used_up(now)));
        }
        let (Arrival::At(tat) | Arrival::Stored(tat)) = *self;
        tat
    }
}

impl Quota {
    /// A later window begins with nothing used.
    fn roll(&mut self, start: u64) {
        if start > self.start {
            *self = Quota { start, given: 0, kept: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::terms::tests::agreement;
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// 2026-01-31T23:59:58Z
    const EVE: u64 = 1_769_903_998 * SECOND;

    fn at(since: u64) -> Moment {
        Moment { steady: EVE + since, wall: EVE + since }
    }

    fn count(used: Used) -> Count {
        let key = Key { agreement: "gold".into(), account: "acme".into(), service: "web".into() };
        Count::new(key, used)
    }

    /// Takes one by one until nothing is given, reserving what has to be. How many, and why no more.
    fn drain(count: &Count, terms: &Agreement, at: Moment) -> (u64, Refusal) {
        let mut taken = 0;
        loop {
            match count.take(terms, at, 1, 1, 2) {
                Ok(_) => taken += 1,
                Err(Untaken::Refused(refusal)) => return (taken, refusal),
                Err(Untaken::Unreserved) => reserve(count, terms, at, 1),
            }
        }
    }

    fn reserve(count: &Count, terms: &Agreement, at: Moment, need: u64) {
        let planned = count.plan(terms, at, need).expect("what is not reserved can be");
        count.keep(&planned);
    }

    #[test]
    fn a_quota_is_given_once_in_each_window() {
        let (terms, count) =
            (agreement("accounts = [\"a\"]\nquota = { day = 100, month = 150 }"), count(Used::default()));
        let (taken, refusal) = drain(&count, &terms, at(0));
        assert_eq!((taken, refusal.limit, refusal.frees_at), (100, Limit::Day, Some(EVE + 2 * SECOND)));
        // The next day is the next month's first.
        let (taken, refusal) = drain(&count, &terms, at(2 * SECOND));
        assert_eq!((taken, refusal.limit), (100, Limit::Day));
        let (taken, refusal) = drain(&count, &terms, at((2 + 86_400) * SECOND));
        assert_eq!((taken, refusal.limit), (50, Limit::Month));
        assert_eq!(refusal.frees_at, Some(EVE + 2 * SECOND + 28 * 86_400 * SECOND), "February has 28 days");
        // A clock that was set back brings no window again.
        assert_eq!(drain(&count, &terms, at(0)).0, 0);
    }

    /// What is left, of each limit: how many, and when there are more.
    fn left(count: &Count, terms: &Agreement, at: Moment, taken: u64) -> Vec<(Limit, u64, u64, Option<u64>)> {
        let mut left = Left::default();
        count.tell(terms, at, taken, &mut left);
        let mut told = left.told(None);
        told.sort_by_key(|it| it.limit);
        told.iter().map(|it| (it.limit, it.of, it.left, it.frees_at.map(|at| at.nanos() - EVE))).collect()
    }

    #[test]
    fn what_is_left_of_each_limit_is_what_may_still_be_taken() {
        let terms = agreement(
            "accounts = [\"a\"]\nrate = { of = 10, per = \"1s\", burst = 20 }\n\
             quota = { minute = 100, hour = 200, day = 300, month = 400 }",
        );
        let count = count(Used::default());
        let quotas = |used: u64, now: u64| {
            let all = [(Limit::Minute, 100), (Limit::Hour, 200), (Limit::Day, 300), (Limit::Month, 400)];
            all.map(|(limit, of)| (limit, of, of - used, Some(now)))
        };
        let all = |rate, used, frees| [&[rate][..], &quotas(used, frees)].concat();
        // All of them end with the month, two seconds from now.
        assert_eq!(left(&count, &terms, at(0), 0), all((Limit::Rate, 20, 20, None), 0, 2 * SECOND));
        reserve(&count, &terms, at(0), 5);
        count.take(&terms, at(0), 5, 5, 2).unwrap();
        let rate = (Limit::Rate, 20, 15, Some(SECOND / 10));
        assert_eq!(left(&count, &terms, at(0), 0), all(rate, 5, 2 * SECOND));
        // What who asks has taken and not used is there for it.
        assert_eq!(left(&count, &terms, at(0), 2)[0], (Limit::Rate, 20, 17, Some(SECOND / 10)));
        assert_eq!(left(&count, &terms, at(0), 2)[1..], quotas(3, 2 * SECOND));
        // To look changes nothing, and a rate comes back one by one.
        assert_eq!(left(&count, &terms, at(SECOND / 4), 0)[0], (Limit::Rate, 20, 17, Some(SECOND / 10 + SECOND / 5)));
        assert_eq!(drain(&count, &terms, at(0)).0, 15);
        assert_eq!(left(&count, &terms, at(0), 0), all((Limit::Rate, 20, 0, Some(SECOND / 10)), 20, 2 * SECOND));
        let refusal = drain(&count, &terms, at(0)).1;
        assert_eq!(refusal.frees_at, Some(EVE + SECOND / 10), "as the refusal says");
        // The next windows are whole, and end each in its time.
        let next = left(&count, &terms, at(2 * SECOND), 0);
        assert_eq!(next[1], (Limit::Minute, 100, 100, Some(62 * SECOND)));
        assert_eq!(next[4], (Limit::Month, 400, 400, Some((2 + 28 * 86_400) * SECOND)));
    }

    #[test]
    fn a_limit_that_was_lowered_has_nothing_left_and_one_that_was_raised_more() {
        let count = count(Used::default());
        let quota = |day: u64| agreement(&format!("accounts = [\"a\"]\nquota = {{ day = {day} }}"));
        assert_eq!(drain(&count, &quota(10), at(0)).0, 10);
        assert_eq!(left(&count, &quota(4), at(0), 0)[0].2, 0);
        assert_eq!(left(&count, &quota(15), at(0), 0)[0].2, 5);
    }

    #[test]
    fn a_share_ends_with_its_window() {
        let (terms, count) = (agreement("accounts = [\"a\"]\nquota = { minute = 1000 }"), count(Used::default()));
        let late = at(2 * SECOND - 1_000);
        reserve(&count, &terms, late, 1);
        assert_eq!(count.take(&terms, late, 1, 4, 2), Ok(Taken { units: 4, until: EVE + 2 * SECOND, reserve: true }));
        count.give_back(&terms, late, 3, false);
        assert_eq!(count.used_now().quotas[0].given, 1);
        reserve(&count, &terms, at(2 * SECOND), 1);
        count.take(&terms, at(2 * SECOND), 1, 2, 2).unwrap();
        count.give_back(&terms, late, 1, false);
        assert_eq!(count.used_now().quotas[0].given, 2, "what belongs to the minute before comes back to none");
    }

    #[test]
    fn nothing_is_taken_that_is_not_committed_and_a_crash_loses_what_was_reserved() {
        let terms = agreement("accounts = [\"a\"]\nquota = { day = 6400 }");
        let before = count(Used::default());
        assert_eq!(before.take(&terms, at(0), 1, 1, 1), Err(Untaken::Unreserved));
        let planned = before.plan(&terms, at(0), 1).unwrap();
        assert_eq!(planned.quotas[2].kept, 50, "half a block");
        assert_eq!(before.take(&terms, at(0), 1, 1, 1), Err(Untaken::Unreserved), "planned is not committed");
        before.keep(&planned);
        assert!(before.take(&terms, at(0), 1, 50, 1).unwrap().units == 50);
        assert_eq!(before.take(&terms, at(0), 1, 1, 1), Err(Untaken::Unreserved));
        reserve(&before, &terms, at(0), 1);
        before.take(&terms, at(0), 10, 10, 1).unwrap();
        // What the store has is what the next run begins with.
        let stored = before.used_now();
        let given = stored.quotas[2].kept;
        let after =
            count(Used { quotas: stored.quotas.map(|quota| Quota { given: quota.kept, ..quota }), ..Used::default() });
        let (taken, _) = drain(&after, &terms, at(0));
        assert_eq!(60 + taken + (given - 60), 6400);
        assert!(given - 60 <= 100, "{given}");
    }

    #[test]
    fn a_changed_limit_goes_on_with_the_same_count() {
        let count = count(Used::default());
        let small = agreement("accounts = [\"a\"]\nquota = { day = 100 }\nrate = { of = 200, per = \"1s\" }");
        let large = agreement("accounts = [\"a\"]\nquota = { day = 150 }\nrate = { of = 200, per = \"1s\" }");
        let slower = agreement("accounts = [\"a\"]\nquota = { day = 160 }\nrate = { of = 2, per = \"1s\" }");
        assert_eq!(drain(&count, &small, at(0)).0, 100);
        assert_eq!(drain(&count, &large, at(0)).0, 50);
        let (taken, refusal) = drain(&count, &slower, at(0));
        assert_eq!((taken, refusal.limit), (0, Limit::Rate), "150 of 200 at the old rate are more than two of the new");
        assert_eq!(drain(&count, &small, at(0)), (0, Refusal { limit: Limit::Day, frees_at: Some(EVE + 2 * SECOND) }));
    }

    #[test]
    fn a_rate_begins_with_nothing_after_a_crash_and_goes_on_after_a_stop() {
        let terms = agreement("accounts = [\"a\"]\nrate = { of = 10, per = \"1s\", burst = 20 }");
        let before = count(Used::default());
        assert_eq!(drain(&before, &terms, at(0)).0, 20);
        assert_eq!(before.used_now().kept, Kept::Open);
        let crashed = count(Used { tat: Arrival::LOST, ..Used::default() });
        let (taken, refusal) = drain(&crashed, &terms, at(0));
        assert_eq!((taken, refusal.frees_at), (0, Some(EVE + SECOND / 10)));
        assert_eq!(drain(&crashed, &terms, at(SECOND)).0, 10);
        let settled = before.settled();
        assert_eq!(settled.kept, Kept::Until(EVE + 2 * SECOND));
        let stopped = count(Used { kept: Kept::No, ..settled });
        assert_eq!(drain(&stopped, &terms, at(SECOND)).0, 10);
    }

    #[test]
    fn a_slow_rate_is_written_down_ahead_of_its_use() {
        let terms = agreement("accounts = [\"a\"]\nrate = { of = 60, per = \"1h\" }");
        let before = count(Used::default());
        for _ in 0..10 {
            if before.take(&terms, at(0), 1, 1, 2) == Err(Untaken::Unreserved) {
                reserve(&before, &terms, at(0), 1);
                before.take(&terms, at(0), 1, 1, 2).unwrap();
            }
        }
        let Kept::Until(kept) = before.used_now().kept else { panic!("it is written down") };
        let crashed = count(Used { tat: Arrival::Stored(kept), ..Used::default() });
        let (taken, _) = drain(&crashed, &terms, at(0));
        assert!((45..=50).contains(&taken), "a sixteenth of the burst is lost at most: {taken}");
    }

    #[test]
    fn two_threads_are_given_no_more_than_there_is() {
        let terms = agreement("accounts = [\"a\"]\nquota = { month = 100000 }\nrate = { of = 50000, per = \"1s\" }");
        let count = count(Used::default());
        let work = |seed: u64| {
            let (mut mine, mut state) = (0, seed);
            for step in 0..400_000_u64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (now, wanted) = (at(SECOND * 3 + step * 10_000), 1 + (state >> 60));
                match count.take(&terms, now, 1, wanted, 2) {
                    Ok(taken) if state >> 32 & 7 == 0 => count.give_back(&terms, now, taken.units, true),
                    Ok(taken) => mine += taken.units,
                    Err(Untaken::Unreserved) => {
                        if let Some(planned) = count.plan(&terms, now, 1) {
                            count.keep(&planned);
                        }
                    }
                    Err(Untaken::Refused(_)) => {}
                }
            }
            mine
        };
        let total = std::thread::scope(|scope| {
            let other = scope.spawn(|| work(1));
            work(2) + other.join().unwrap()
        });
        let used = count.used_now();
        assert_eq!((total, used.quotas[3].given), (100_000, 100_000));
    }

    #[test]
    fn as_many_at_a_time_as_there_may_be() {
        let count = count(Used::default());
        assert!(Count::enter(&count.sessions, Some(2)) && Count::enter(&count.sessions, Some(2)));
        assert!(!Count::enter(&count.sessions, Some(2)) && Count::enter(&count.sessions, Some(3)));
        Count::leave(&count.sessions);
        assert!(!Count::enter(&count.sessions, Some(2)), "a limit that was lowered ends none");
    }
}
