//! When which session has to be woken: one entry a session that holds, however many timers it has.
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

    /// How many there are, those among them that hold no more.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Keeps those for which `holds` says so of due time, key and session.
    pub fn retain(&mut self, holds: impl Fn(Nanos, usize, u64) -> bool) {
        self.heap.retain(|Reverse((due, key, id))| holds(*due, *key, *id));
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
