//! Waiting with a bound.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that a loaded machine does in a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer.
///
/// # Panics
/// After [`PATIENCE`], with `what` did not come.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks until the answer is the one that is expected, so that what is seen in between is in the failure's text.
///
/// # Panics
/// After [`PATIENCE`], with the last answer.
pub fn settled<T: PartialEq + std::fmt::Debug>(expected: T, mut ask: impl FnMut() -> T) {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if answer == expected {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "after {PATIENCE:?} still {answer:?} instead of {expected:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sets a flag when it is dropped, so that the threads of a test that look at it end also where the test has failed.
#[derive(Debug)]
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
