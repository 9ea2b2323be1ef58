//! What a load has seen: [`Figures`], printed as one line of JSON.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cpu;

/// What has come of the requests so far.
pub(crate) struct Figures {
    begun: Instant,
    begun_at: f64,
    /// Those that were taken.
    messages: usize,
    refused: usize,
    /// The numbers of those of which nobody knows.
    unanswered: Vec<u64>,
    /// When the last one was answered.
    last: Instant,
    waits: Vec<Duration>,
}

impl Figures {
    /// From now on.
    pub(crate) fn begin() -> Self {
        let (begun, begun_at) = (Instant::now(), unix_seconds());
        Figures { begun, begun_at, messages: 0, refused: 0, unanswered: Vec::new(), last: begun, waits: Vec::new() }
    }

    /// One was answered.
    pub(crate) fn answered(&mut self, taken: bool, asked: Instant, now: Instant) {
        self.last = now;
        if taken {
            self.messages += 1;
            self.waits.push(now - asked);
        } else {
            self.refused += 1;
        }
    }

    /// One was not, for as long as that is waited for.
    pub(crate) fn unanswered(&mut self, number: u64) {
        self.unanswered.push(number);
    }

    /// Says all of it.
    pub(crate) fn print(mut self) {
        let took = (self.last - self.begun).as_secs_f64();
        self.waits.sort_unstable();
        let ms = |share: f64| {
            let wait = self.waits.get((self.waits.len() as f64 * share) as usize);
            wait.map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
        };
        println!(
            r#"{{"messages": {}, "begun_at": {:.6}, "seconds": {took:.6}, "p50_ms": {:.3}, "p99_ms": {:.3}, "failed": {}, "unanswered": {:?}, "cpu_seconds": {:.6}}}"#,
            self.messages,
            self.begun_at,
            ms(0.5),
            ms(0.99),
            self.refused,
            self.unanswered,
            cpu::seconds()
        );
    }
}

/// A time that two processes call the same.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
