//! When which session has to be woken: one entry a session at most, however many timers it has.
//!
//! A session's timers are data of its own; the worker only knows the earliest. A timer that is put off costs nothing: the
//! alarm rings at the old time, the session finds nothing due, and sets it anew.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Nanos;

/// The alarms of one worker.
#[derive(Debug, Default)]
pub struct Alarms {
    heap: BinaryHeap<Reverse<(Nanos, usize, u64)>>,
}

impl Alarms {
    /// Wakes the session with this key and number at a time. True where that is now the earliest.
    pub fn set(&mut self, due: Nanos, key: usize, id: u64) -> bool {
        let earliest = self.next().is_none_or(|next| due < next);
        self.heap.push(Reverse((due, key, id)));
        earliest
    }

    /// When the earliest rings.
    pub fn next(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((due, ..))| *due)
    }

    /// Takes the next one that is due: a session's key and number.
    pub fn ring(&mut self, now: Nanos) -> Option<(usize, u64)> {
        self.next().filter(|due| *due <= now)?;
        self.heap.pop().map(|Reverse((_, key, id))| (key, id))
    }
}
