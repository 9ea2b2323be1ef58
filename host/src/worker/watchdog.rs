//! Looks at workers that a component does not give back, from a thread of its own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::clock::{Clock, Nanos, nanos};
use crate::config::Overrun;
use crate::observe::inside::{self, Place, Seen};
use crate::observe::notice::{self, Notice};

/// Looks at workers, for as long as it is there.
pub struct Watchdog(Arc<Shared>);

struct Shared {
    overrun: Mutex<Overrun>,
    watched: Mutex<Vec<Watched>>,
}

/// A worker, as the watchdog sees it.
struct Watched {
    worker: usize,
    place: &'static Place,
    /// The call that it was last seen in.
    call: Option<Call>,
}

/// A call that was seen more than once, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    seen: Seen,
    /// For how long.
    lasts: Nanos,
    told: bool,
}

/// What is to be done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// To say that it takes too long.
    Report,
}

impl Watchdog {
    /// Starts it.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(clock: Clock) -> io::Result<Self> {
        let shared = Arc::new(Shared { overrun: Mutex::default(), watched: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("watchdog".into()).spawn(move || watch(&weak, &clock))?;
        Ok(Watchdog(shared))
    }

    /// How long a call may take from now on.
    pub fn set(&self, overrun: Overrun) {
        *self.0.overrun.lock().unwrap_or_else(PoisonError::into_inner) = overrun;
    }

    /// Has it look at a worker as well.
    pub(super) fn watch(&self, worker: usize, place: &'static Place) {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.push(Watched { worker, place, call: None });
    }
}

fn watch(shared: &Weak<Shared>, clock: &Clock) {
    let mut looked = clock.now();
    while let Some(shared) = shared.upgrade() {
        let overrun = *shared.overrun.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, pause) = (clock.now(), pause(&overrun));
        // A process that was stopped, and a machine that slept, have taken no time.
        let passed = (now - looked).min(2 * nanos(pause));
        looked = now;
        for watched in shared.watched.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            watched.look(passed, &overrun);
        }
        drop(shared);
        thread::sleep(pause);
    }
}

/// So often it looks that what it says comes not much later than it should.
fn pause(overrun: &Overrun) -> Duration {
    (overrun.report.get() / 8).clamp(Duration::from_millis(2), Duration::from_millis(100))
}

impl Watched {
    fn look(&mut self, passed: Nanos, overrun: &Overrun) {
        let (call, due) = Call::after(self.call.take(), self.place.look(), passed, overrun);
        self.call = call;
        let Some(Call { seen, lasts, .. }) = call else { return };
        if due == Due::Report {
            report(self.worker, seen, lasts);
        }
    }
}

impl Call {
    /// The call that a worker is in, by what was seen before, what is seen now, and how long that was ago.
    fn after(before: Option<Call>, seen: Option<Seen>, passed: Nanos, overrun: &Overrun) -> (Option<Call>, Due) {
        let Some(seen) = seen else { return (None, Due::Nothing) };
        let mut call = match before.filter(|before| before.seen == seen) {
            Some(before) => Call { lasts: before.lasts.saturating_add(passed), ..before },
            // It may have begun since: what was not seen does not count.
            None => Call { seen, lasts: 0, told: false },
        };
        let due = if !call.told && call.lasts >= nanos(overrun.report.get()) { Due::Report } else { Due::Nothing };
        call.told |= due == Due::Report;
        (Some(call), due)
    }
}

/// Says that a call takes too long, and counts it against its version.
fn report(worker: usize, seen: Seen, lasts: Nanos) {
    let Some(name) = inside::named(seen.instance) else { return };
    name.counts.overruns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let lasts = Duration::from_millis(lasts / 1_000_000);
    notice::give(
        Notice::EventOverrun,
        &format!("{}: it is {} for {lasts:?} now, on worker {worker}", about(&name, seen), seen.what),
    );
}

fn about(name: &inside::Name, seen: Seen) -> String {
    let session = if seen.session == 0 { String::new() } else { format!(" session {}", seen.session) };
    format!("service.{} {}{session}", name.service, name.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a worker, one look after the other, by the number of the call; and what is due then.
    fn dues(seen: &[Option<u64>], passed: Duration) -> Vec<Due> {
        let mut call = None;
        let look = |seen: &Option<u64>| {
            let seen = seen.map(|turn| Seen::of(turn, 7, 1));
            let due;
            (call, due) = Call::after(call, seen, nanos(passed), &Overrun::default());
            due
        };
        seen.iter().map(look).collect()
    }

    #[test]
    fn a_call_that_lasts_is_said_once() {
        let seen = [Some(1); 6];
        let due = dues(&seen, Duration::from_millis(100));
        assert_eq!(due.iter().position(|due| *due == Due::Report), Some(3), "{due:?}");
        assert_eq!(due.iter().filter(|due| **due == Due::Report).count(), 1, "{due:?}");
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
