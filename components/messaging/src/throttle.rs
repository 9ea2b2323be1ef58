//! How much a network is given in a span of time: [`THROTTLES`], one number for each network.
//!
//! The number is the time up to which what was sent has used the rate (GCRA's theoretical arrival time). Whoever sends takes of it first, by
//! compare-and-set: as much as is wanted and there is, for all that is sent in one go. So there is one rate whatever the version and
//! the worker, and after a crash, and no span of time has more than the rate and the burst allow. What is not sent within a second is lost.
//! What has to wait is a row that is due, as it is when a window is full.

use std::time::Duration;

use tandem_component::prelude::*;

use crate::Messaging;
use crate::config::Throttle;
use crate::desk::Desk;
use crate::message::nanos;
use crate::then::Then;

/// How much of each network's throttle is used.
pub const THROTTLES: Table = Table {
    name: "throttles",
    key: &["network"],
    columns: &[Column::new("network", Kind::Text), Column::new("used_until", Kind::Integer)],
};

/// A row of [`THROTTLES`].
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    network: std::borrow::Cow<'a, str>,
    used_until: i64,
}

#[derive(Serialize)]
struct Used {
    used_until: i64,
}

/// What a desk knows of a network's throttle, and has taken of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// So many parts may be sent …
    left: u32,
    /// … until then.
    until: Time,
    /// So many parts could not be since the last were taken …
    short: u32,
    /// … and so many of them were the first message's.
    first: u32,
    /// The row, as it was when it was last looked at.
    used_until: Option<i64>,
    /// The store is asked, or a timer runs.
    asking: bool,
    /// What is left is for those that wait, which are looked for now.
    #[serde(default)]
    awaited: bool,
}

/// What is taken of a throttle, or when.
#[derive(Debug, PartialEq, Eq)]
enum Take {
    Now { units: u32, used_until: i64 },
    Later(Duration),
}

impl Desk {
    /// Whether a network may be given so many parts now. They are taken then; else it is looked for them again when it may. What has
    /// come later (`behind`) takes nothing from those that wait.
    pub(crate) fn keeps_pace(
        &mut self,
        m: &Messaging,
        network: &str,
        (parts, behind): (u32, bool),
        out: &mut Out<'_, Desk>,
    ) -> bool {
        let Some(throttle) = m.config.network(network).throttle else { return true };
        let pace = self.paces.entry(network.to_owned()).or_default();
        if pace.until <= out.now() {
            pace.left = 0;
        }
        let others_wait = behind && (pace.awaited || pace.short > 0);
        if parts <= pace.left && !others_wait {
            pace.left -= parts;
            return true;
        }
        if pace.short == 0 {
            pace.first = parts;
        }
        pace.short = pace.short.saturating_add(parts);
        pace.take(throttle, network, out);
        false
    }

    /// Those that wait have been looked for: what they have left is anybody's.
    pub(crate) fn nobody_waits(&mut self) {
        self.paces.values_mut().for_each(|pace| pace.awaited = false);
    }

    /// What was taken for a message is not used: it is another's. Whether there is any left.
    pub(crate) fn give_pace_back(&mut self, network: &str, parts: u32, now: Time) -> bool {
        let Some(pace) = self.paces.get_mut(network).filter(|pace| pace.until > now) else { return false };
        (pace.left, pace.awaited) = (pace.left.saturating_add(parts), true);
        true
    }

    /// The row is there, or is not.
    pub(crate) fn pace_read(
        &mut self,
        m: &Messaging,
        network: &str,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let Some(pace) = self.paces.get_mut(network) else { return Ok(()) };
        pace.asking = false;
        let (Some(throttle), false) = (m.config.network(network).throttle, failed) else { return Ok(()) };
        match answer {
            Answer::Row(Some(row)) => {
                pace.used_until = Some(row.read::<Row<'_>>()?.used_until);
                pace.take(throttle, network, out);
            }
            Answer::Row(None) => {
                if let Take::Now { units, used_until } = pace.due(throttle, 0, out.now()) {
                    let then = Then::PaceTaken { network: network.to_owned(), units, used_until };
                    out.insert(&THROTTLES, &Row { network: network.into(), used_until }, then);
                    pace.asking = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// It is taken, or somebody was faster.
    pub(crate) fn pace_taken(
        &mut self,
        m: &Messaging,
        (network, units, used_until): (&str, u32, i64),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        let Some(pace) = self.paces.get_mut(network) else { return };
        (pace.asking, pace.used_until) = (false, None);
        match answer {
            Answer::Changed(true) => {
                if pace.until <= out.now() {
                    pace.left = 0;
                }
                (pace.left, pace.until) = (pace.left.saturating_add(units), out.now() + GOOD);
                (pace.short, pace.first, pace.used_until) = (0, 0, Some(used_until));
                if !self.leaving {
                    pace.awaited = true;
                    self.look(out);
                }
            }
            Answer::Changed(false) if !failed => {
                if let Some(throttle) = m.config.network(network).throttle {
                    pace.take(throttle, network, out);
                }
            }
            // It is looked for again with what is due, once a second.
            _ => {}
        }
    }

    /// The time has come at which there is some.
    pub(crate) fn pace_due(&mut self, m: &Messaging, network: &str, failed: bool, out: &mut Out<'_, Desk>) {
        let Some(pace) = self.paces.get_mut(network) else { return };
        pace.asking = false;
        if let (Some(throttle), false) = (m.config.network(network).throttle, failed || self.leaving) {
            pace.take(throttle, network, out);
        }
    }
}

impl Pace {
    /// Takes what is wanted, or waits until there is some.
    fn take(&mut self, throttle: Throttle, network: &str, out: &mut Out<'_, Desk>) {
        if self.asking || self.short == 0 {
            return;
        }
        let Some(found) = self.used_until else {
            out.get(&THROTTLES, &network, Then::PaceRead { network: network.to_owned() });
            self.asking = true;
            return;
        };
        match self.due(throttle, found, out.now()) {
            Take::Now { units, used_until } => {
                let then = Then::PaceTaken { network: network.to_owned(), units, used_until };
                out.swap(&THROTTLES, &Row { network: network.into(), used_until: found }, &Used { used_until }, then);
                self.asking = true;
            }
            // What is further away is found by whoever looks once a second for what is due: no timer keeps a session from an
            // older version for longer.
            Take::Later(wait) if wait < Duration::from_secs(1) => {
                out.after(wait, Then::PaceDue { network: network.to_owned() });
                self.asking = true;
            }
            Take::Later(_) => {}
        }
    }

    /// What is there of a throttle that is used up to a time, for what is wanted.
    fn due(&self, throttle: Throttle, used_until: i64, now: Time) -> Take {
        let (now, each, burst) = (nanos(now), throttle.each(), i64::from(throttle.burst));
        // Further than a long message beyond the burst nobody has gone: the clock was set back.
        let used = used_until.clamp(now, now + each * (burst + PARTS_MAX));
        let free = ((now + each * burst - used) / each).max(0);
        // A message of more parts than the burst goes once all of that is there, and what it takes beyond it is missing afterwards.
        let (first, short) = (i64::from(self.first.max(1)), i64::from(self.short));
        if free >= first.min(burst) {
            let units = first.max(short.min(free));
            return Take::Now { units: u32::try_from(units).unwrap_or(1), used_until: used + units * each };
        }
        // Some at a time: a commit for each would be many, and to wait for the whole burst would lose what comes meanwhile.
        let some = short.min(burst / 2).max(first.min(burst));
        let wait = used + (some - burst) * each - now;
        Take::Later(Duration::from_nanos(u64::try_from(wait).unwrap_or_default()))
    }
}

/// So long what was taken may be sent.
const GOOD: Duration = Duration::from_secs(1);
/// The parts of the longest message.
const PARTS_MAX: i64 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000_000_000;

    fn throttle(of: u32, burst: u32) -> Throttle {
        Throttle { of, per: Duration::from_secs(1), burst }
    }

    /// Whoever wants so many parts asks again and again, at times that a seed draws, and from two workers.
    #[test]
    fn no_span_has_more_than_the_rate_and_the_burst() {
        for seed in 1..200_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut below = |n: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 16) % n
            };
            let throttle = throttle(1 + u32::try_from(below(200)).unwrap(), 1 + u32::try_from(below(20)).unwrap());
            let (mut now, mut used, mut taken) = (START, 0, Vec::new());
            for _ in 0..500 {
                now += below(50_000_000);
                let short = 1 + u32::try_from(below(30)).unwrap();
                let pace = Pace { short, first: 1, ..Pace::default() };
                if let Take::Now { units, used_until } = pace.due(throttle, used, Time::from_nanos(now)) {
                    taken.push((now, u64::from(units)));
                    used = used_until;
                }
            }
            for (at, (from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (until, units) in &taken[at..] {
                    sum += units;
                    let allowed = (until - from) / u64::try_from(throttle.each()).unwrap() + u64::from(throttle.burst);
                    assert!(sum <= allowed, "seed {seed}: {sum} in {} ns of {throttle:?}", until - from);
                }
            }
            let (span, each) = (now - START, u64::try_from(throttle.each()).unwrap());
            assert!(taken.len() > 10 || span / each < 20, "seed {seed}: {} in {span} ns", taken.len());
        }
    }

    #[test]
    fn what_is_wanted_is_taken_as_far_as_it_is_there_and_waited_for_in_halves_of_the_burst() {
        let now = Time::from_nanos(START);
        let each = throttle(50, 10).each();
        let due = |short, first, used: i64| {
            Pace { short, first, ..Pace::default() }.due(throttle(50, 10), nanos(now) + used * each, now)
        };
        let taken = |units, used| Take::Now { units, used_until: nanos(now) + used * each };
        let later = |units| Take::Later(Duration::from_nanos(u64::try_from(units * each).unwrap()));
        assert_eq!(due(3, 1, -1000), taken(3, 3), "what was not used before is not there now");
        assert_eq!(due(30, 1, 0), taken(10, 10));
        assert_eq!(due(30, 1, 7), taken(3, 10));
        assert_eq!(due(30, 1, 10), later(5));
        assert_eq!(due(2, 1, 10), later(2));
        assert_eq!(due(12, 12, 3), later(3), "a long message waits for the whole burst");
        assert_eq!(due(12, 12, 0), taken(12, 12));
        assert_eq!(due(1, 1, 12), later(3));
        assert_eq!(due(1, 1, 1_000_000), later(256), "a clock that was set back");
    }
}
