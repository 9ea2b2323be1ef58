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

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::new_without_default, reason = "a clock starts at a moment, which a default would hide")]
    pub fn new() -> Self {
        Clock { started: instant(), wall: time_of_day(), wall_taken: 0 }
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
            self.wall = time_of_day();
            self.wall_taken = self.now();
        }
        self.wall + now.saturating_sub(self.wall_taken)
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
