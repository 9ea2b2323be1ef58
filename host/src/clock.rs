//! The only place that reads a clock.

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
        Clock { started: Instant::now(), wall: time_of_day(), wall_taken: 0 }
    }

    /// Nanoseconds since the clock was made.
    #[inline]
    pub fn now(&self) -> Nanos {
        nanos(self.started.elapsed())
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

/// The time of day now, in nanoseconds since 1970.
pub fn time_of_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// A span in nanoseconds; one that does not fit is for ever.
pub fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
