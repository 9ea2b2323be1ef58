//! The only place that reads a clock.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time on the clock that only goes forward, in nanoseconds since the clock was made.
pub type Nanos = u64;

/// Monotonic time for timers, and from it the time of day for components.
///
/// The time of day is taken anew at most every second, so that a step of the system's clock is followed, while two
/// events within a second never see it go back because of one.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    wall: Nanos,
    wall_taken: Nanos,
}

const RETAKE: Nanos = 1_000_000_000;
/// Two clocks that are read within this are read at one moment …
const AT_ONCE: Nanos = 20_000;
/// … which is tried so often.
const TRIES: usize = 5;

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::new_without_default, reason = "a clock starts at a moment, which a default would hide")]
    pub fn new() -> Self {
        let mut clock = Clock { started: instant(), wall: 0, wall_taken: 0 };
        clock.retake();
        clock
    }

    /// Nanoseconds since the clock was made.
    #[inline]
    pub fn now(&self) -> Nanos {
        nanos(instant().saturating_duration_since(self.started))
    }

    /// The time of day at `now`, in nanoseconds since 1970.
    #[inline]
    pub fn wall(&mut self, now: Nanos) -> u64 {
        if now.wrapping_sub(self.wall_taken) > RETAKE {
            self.retake();
        }
        self.wall + now.saturating_sub(self.wall_taken)
    }

    /// Takes the time of day anew. A thread that waits for its turn between two clocks would have them apart by as long, and the times of
    /// two threads with them: then once more.
    #[cold]
    fn retake(&mut self) {
        for _ in 0..TRIES {
            let before = self.now();
            self.wall = time_of_day();
            self.wall_taken = self.now();
            if self.wall_taken.saturating_sub(before) < AT_ONCE {
                break;
            }
        }
    }

    /// The moment that `at` is for the runtime's timers.
    pub fn instant(&self, at: Nanos) -> Instant {
        self.started + Duration::from_nanos(at)
    }
}

/// This moment. It is the runtime's, so that who stops the runtime's clock stops this one.
#[inline]
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day now, in nanoseconds since 1970.
pub fn time_of_day() -> u64 {
    match FROM.get() {
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos),
        Some((then, wall)) => wall + nanos(instant().saturating_duration_since(then)),
    }
}

/// On this thread it is that time of day now, and goes on from there as the runtime's clock does.
#[doc(hidden)] // For the simulation.
pub fn begin_at(wall: u64) {
    FROM.set(Some((instant(), wall)));
}

thread_local! {
    static FROM: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// A span in nanoseconds; one that does not fit is for ever.
pub fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
