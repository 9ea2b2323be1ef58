//! Looks at workers that a component does not give back, from a thread of its own.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Worker;
use super::handle::{self, Succession};
use super::takeover::{Heritage, about};
use crate::clock::{Clock, Nanos, nanos};
use crate::config::Overrun;
use crate::loader::estate::Estate;
use crate::observe::inside::{self, Seen};
use crate::observe::notice::{self, Notice};
use crate::system::{self, Progress, Waits};

/// Looks at workers, for as long as the host runs.
#[derive(Clone)]
pub struct Watchdog(Arc<Shared>);

struct Shared {
    overrun: Mutex<Overrun>,
    watched: Mutex<Vec<Watched>>,
}

/// A worker, as the watchdog sees it.
struct Watched {
    worker: usize,
    estate: Estate<Worker>,
    succession: Succession,
    /// Of its thread.
    waits: Waits,
    /// The call that it was last seen in.
    call: Option<Call>,
    pulse: Pulse,
    rounds: Rounds,
}

/// How often a worker had come round when it was last looked at, and for how long it has not since.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    count: u64,
    silent: Nanos,
}

impl Rounds {
    fn look(&mut self, count: u64, passed: Nanos) {
        let silent = count == self.count && count != Pulse::ENDED;
        *self = Rounds { count, silent: if silent { self.silent.saturating_add(passed) } else { 0 } };
    }

    /// For so long that it would be missed soon.
    fn are_missed(&self, patience: Duration) -> bool {
        self.silent >= nanos(patience / 2)
    }
}

/// Counts how often a worker comes round, where whoever has started the process wants to know whether it is stuck.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    count: Arc<AtomicU64>,
    /// So often.
    every: Option<Duration>,
}

impl Pulse {
    /// What it counts to once the worker has ended in order.
    const ENDED: u64 = u64::MAX;

    /// Of a worker that is to come round four times before it would be missed.
    fn new(patience: Option<Duration>) -> Self {
        Pulse { count: Arc::default(), every: patience.map(|patience| patience / 8) }
    }

    /// Counts, on the worker's runtime, for as long as that goes round.
    pub(super) async fn beat(self) {
        let Some(every) = self.every else { return };
        loop {
            // Relaxed: only that it goes on counts.
            self.count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(every).await;
        }
    }

    /// The worker has ended, and is missed by nobody.
    pub(super) fn end(&self) {
        self.count.store(Self::ENDED, Ordering::Relaxed);
    }
}

/// A call that was seen more than once, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    seen: Seen,
    /// For how long, …
    lasts: Nanos,
    /// … of which the thread could have run, and had no processor to run on.
    waited: Nanos,
    /// What it had waited in all its life, when it was last looked at.
    waited_before: Nanos,
    told: bool,
    /// It counts against its version.
    counted: bool,
    /// Another thread is on its way to take over.
    given_up: bool,
}

/// The time between two looks.
#[derive(Clone, Copy, Debug)]
struct Passed {
    in_all: Nanos,
    /// A process that was stopped, and a machine that slept, have taken no time: so much of it may be a thread's own. What that has
    /// waited for a processor is known, however late it is looked at.
    most: Nanos,
}

/// What is to be done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// To say that it takes too long.
    Report,
    /// To count it against its version: it takes too long, also without what its thread has waited for a processor.
    Count,
    /// To have another worker take over.
    TakeOver,
}

/// So many threads may be given up and not have come back. Each may want a processor for itself, and keeps what it has.
const GIVEN_UP_MAX: usize = 64;

impl Watchdog {
    /// Starts it.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(clock: Clock) -> io::Result<Self> {
        let watchdog = Watchdog::asleep();
        let shared = Arc::clone(&watchdog.0);
        thread::Builder::new().name("watchdog".into()).spawn(move || watch(&shared, &clock))?;
        Ok(watchdog)
    }

    /// One that never looks.
    pub fn asleep() -> Self {
        Watchdog(Arc::new(Shared { overrun: Mutex::default(), watched: Mutex::default() }))
    }

    /// How long a call may take from now on.
    pub fn set(&self, overrun: Overrun) {
        *self.0.overrun.lock().unwrap_or_else(PoisonError::into_inner) = overrun;
    }

    /// Has it look at the thread that calls this, which is a worker's, and at no earlier one of that.
    pub(super) fn watch(&self, worker: usize, estate: Estate<Worker>, succession: Succession) -> Pulse {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|other| other.worker != worker);
        let (waits, pulse) = (Waits::of_this_thread(), Pulse::new(system::patience()));
        let watching =
            Watched { worker, estate, succession, waits, call: None, pulse: pulse.clone(), rounds: Rounds::default() };
        watched.push(watching);
        pulse
    }
}

fn watch(shared: &Shared, clock: &Clock) {
    let (mut looked, patience) = (clock.now(), system::patience());
    let mut said: Option<Nanos> = None;
    loop {
        let overrun = *shared.overrun.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, pause) = (clock.now(), pause(&overrun));
        let passed = Passed { in_all: now - looked, most: 2 * nanos(pause) };
        looked = now;
        let mut stuck = None;
        for watched in shared.watched.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            watched.look(passed, &overrun);
            stuck = stuck.or(patience.filter(|patience| watched.is_stuck(*patience)).map(|_| watched.worker));
        }
        if let Some(patience) = patience
            && said.is_none_or(|said| now - said >= nanos(patience / 2))
        {
            said = Some(now);
            match stuck {
                None => system::tell(Progress::Alive),
                Some(worker) => tracing::error!(
                    "worker {worker} is stuck: whoever has started the host is not told that it is alive"
                ),
            }
        }
        thread::sleep(pause);
    }
}

/// So often it looks that what it says comes not much later than it should.
fn pause(overrun: &Overrun) -> Duration {
    (overrun.report.get() / 8).clamp(Duration::from_millis(2), Duration::from_millis(100))
}

impl Watched {
    /// Whether a new process is all that helps: it does not come round, and not since a component has it that it can be taken from.
    ///
    /// The host's own thread is not asked: without it no reload comes to its end, which its operator sees, and traffic goes on.
    fn is_stuck(&self, patience: Duration) -> bool {
        let excused = self.call.is_some() && inside::given_up() < GIVEN_UP_MAX;
        self.rounds.are_missed(patience) && !excused
    }

    fn look(&mut self, passed: Passed, overrun: &Overrun) {
        self.rounds.look(self.pulse.count.load(Ordering::Relaxed), passed.in_all.min(passed.most));
        let seen = self.estate.place().look();
        let waited = seen.and_then(|_| self.waits.so_far()).map_or(0, nanos);
        let (call, due) = Call::after(self.call.take(), seen, (passed, waited), overrun);
        self.call = call;
        let Some(call) = call else { return };
        match due {
            Due::Nothing => {}
            Due::Report => {
                self.estate.place().say_late();
                call.report(self.worker);
            }
            Due::Count => call.count(),
            Due::TakeOver => self.take_over(call.seen),
        }
    }

    /// Has another thread take over, if the worker is in that call still once that thread is there.
    fn take_over(&self, seen: Seen) {
        let given_up = inside::given_up();
        if given_up >= GIVEN_UP_MAX {
            let reason = format!(
                "worker {}: {} is {}, and {given_up} threads were given up",
                self.worker,
                about(seen),
                seen.what
            );
            return notice::give(Notice::WorkerStuck, &reason);
        }
        let (estate, succession) = (self.estate.clone(), self.succession.clone());
        let taken_over = move |slept| {
            let abandoned = estate.place().abandon(seen)?;
            let before = estate.open(&abandoned);
            Some((before.taken_over(slept), Some(Heritage::new(before, abandoned, seen))))
        };
        if let Err(error) = handle::run(self.worker, succession, taken_over) {
            let reason = format!("worker {}: no thread could be had to take over from it: {error}", self.worker);
            notice::give(Notice::WorkerStuck, &reason);
        }
    }
}

impl Call {
    /// The call that a worker is in, by what was seen before, what is seen now, how long that was ago, and what its thread has waited for a
    /// processor in all its life.
    fn after(
        before: Option<Call>,
        seen: Option<Seen>,
        (passed, waited): (Passed, Nanos),
        overrun: &Overrun,
    ) -> (Option<Call>, Due) {
        let Some(seen) = seen else { return (None, Due::Nothing) };
        let mut call = match before.filter(|before| before.seen == seen) {
            Some(before) => {
                let waits = waited.saturating_sub(before.waited_before).min(passed.in_all);
                let own = (passed.in_all - waits).min(passed.most);
                Call {
                    lasts: before.lasts.saturating_add(own + waits),
                    waited: before.waited.saturating_add(waits),
                    waited_before: waited,
                    ..before
                }
            }
            // It may have begun since: what was not seen does not count.
            None => {
                Call { seen, lasts: 0, waited: 0, waited_before: waited, told: false, counted: false, given_up: false }
            }
        };
        let report = nanos(overrun.report.get());
        // First it is said, then it counts, then something is done about it. On a machine that has too much to do a good version waits:
        // that is said, and nobody is blamed for it.
        let due = if !call.told && call.lasts >= report {
            Due::Report
        } else if call.told && !call.counted && call.lasts.saturating_sub(call.waited) >= report {
            Due::Count
        } else if call.counted && !call.given_up && call.lasts >= nanos(overrun.abandon.get()) {
            Due::TakeOver
        } else {
            Due::Nothing
        };
        call.told |= due == Due::Report;
        call.counted |= due == Due::Count;
        call.given_up |= due == Due::TakeOver;
        (Some(call), due)
    }

    /// Says that it takes too long.
    fn report(&self, worker: usize) {
        let seen = self.seen;
        if inside::named(seen.instance).is_none() {
            return;
        }
        let whole = |nanos| Duration::from_millis(nanos / 1_000_000);
        let (lasts, waited) = (whole(self.lasts), whole(self.waited));
        let waited = match waited {
            Duration::ZERO => String::new(),
            waited => format!(", of which its thread has waited {waited:?} for a processor"),
        };
        let reason = format!("{}: it is {} for {lasts:?} now, on worker {worker}{waited}", about(seen), seen.what);
        notice::give(Notice::EventOverrun, &reason);
    }

    fn count(&self) {
        if let Some(name) = inside::named(self.seen.instance) {
            name.counts.overruns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a worker, one look after the other, by the number of the call; and what is due then.
    fn dues(seen: &[Option<u64>], passed: Duration) -> Vec<Due> {
        dues_of_one_that_waits(seen, (passed, passed), Duration::ZERO)
    }

    /// … where its thread waits for so long each time, and has so much for itself at most.
    fn dues_of_one_that_waits(seen: &[Option<u64>], (passed, most): (Duration, Duration), waits: Duration) -> Vec<Due> {
        let (mut call, mut waited) = (None, nanos(Duration::from_secs(100)));
        let look = |seen: &Option<u64>| {
            let seen = seen.map(|turn| Seen::of(turn, 7, 1));
            waited += nanos(waits);
            let due;
            let passed = Passed { in_all: nanos(passed), most: nanos(most) };
            (call, due) = Call::after(call, seen, (passed, waited), &Overrun::default());
            due
        };
        seen.iter().map(look).collect()
    }

    #[test]
    fn a_worker_that_does_not_come_round_is_missed_in_good_time_and_one_that_has_ended_is_not() {
        const PATIENCE: Duration = Duration::from_secs(30);
        let missed = |counts: &[u64]| {
            let mut rounds = Rounds::default();
            let look = |count: &u64| {
                rounds.look(*count, nanos(Duration::from_secs(5)));
                rounds.are_missed(PATIENCE)
            };
            counts.iter().map(look).collect::<Vec<_>>()
        };
        assert_eq!(missed(&[1, 1, 1, 1, 2, 2]), [false, false, false, true, false, false]);
        assert_eq!(missed(&[0, 0, 0]), [false, false, true], "it has never come round");
        assert_eq!(missed(&[1, Pulse::ENDED, Pulse::ENDED, Pulse::ENDED, Pulse::ENDED]), [false; 5]);
    }

    #[test]
    fn a_call_that_lasts_is_said_once() {
        let seen = [Some(1); 6];
        let due = dues(&seen, Duration::from_millis(100));
        assert_eq!(due.iter().position(|due| *due == Due::Report), Some(3), "{due:?}");
        assert_eq!(due.iter().filter(|due| **due == Due::Report).count(), 1, "{due:?}");
    }

    #[test]
    fn a_call_that_lasts_for_long_is_taken_over_once_after_it_was_said() {
        let due = dues(&[Some(1); 30], Duration::from_millis(100));
        let at =
            |wanted| due.iter().enumerate().filter(|(_, due)| **due == wanted).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!((at(Due::Report), at(Due::TakeOver)), (vec![3], vec![15]));
        assert_eq!(dues(&[Some(1); 4], Duration::from_secs(5))[1..], [Due::Report, Due::Count, Due::TakeOver]);
    }

    #[test]
    fn a_call_whose_thread_waits_for_a_processor_is_said_and_held_against_nobody() {
        let ms = Duration::from_millis;
        let due = dues_of_one_that_waits(&[Some(1); 30], (ms(100), ms(100)), ms(100));
        assert_eq!(due.iter().filter(|due| **due != Due::Nothing).collect::<Vec<_>>(), [&Due::Report]);
        // A fifth of the time is its own: 250 ms of it after 1.3 s, which is when it counts.
        let due = dues_of_one_that_waits(&[Some(1); 30], (ms(100), ms(100)), ms(80));
        let at = |wanted| due.iter().position(|due| *due == wanted);
        assert_eq!((at(Due::Report), at(Due::Count), at(Due::TakeOver)), (Some(3), Some(13), Some(15)));
    }

    #[test]
    fn a_call_that_is_looked_at_late_on_a_busy_machine_is_taken_over_all_the_same() {
        let ms = Duration::from_millis;
        // A tenth of each second is its own.
        let due = dues_of_one_that_waits(&[Some(1); 10], (ms(1000), ms(100)), ms(900));
        assert_eq!(due[1..5], [Due::Report, Due::Nothing, Due::Count, Due::TakeOver]);
        // A machine that has slept.
        let due = dues_of_one_that_waits(&[Some(1); 3], (ms(100_000), ms(100)), ms(0));
        assert_eq!(due, [Due::Nothing; 3]);
    }

    #[test]
    fn many_short_calls_are_no_long_one() {
        let seen: Vec<Option<u64>> = (0..100).map(|turn| Some(turn / 2)).collect();
        assert!(dues(&seen, Duration::from_millis(200)).iter().all(|due| *due == Due::Nothing));
        let seen: Vec<Option<u64>> = (0..100).map(|turn| (turn % 2 == 0).then_some(1)).collect();
        assert!(dues(&seen, Duration::from_millis(200)).iter().all(|due| *due == Due::Nothing));
    }

    #[test]
    fn each_call_that_lasts_is_said() {
        let seen = [Some(1), Some(1), Some(1), None, Some(2), Some(2), Some(2)];
        let due = dues(&seen, Duration::from_millis(200));
        assert_eq!(due.iter().filter(|due| **due == Due::Report).count(), 2, "{due:?}");
    }
}
