//! What `host/src/sync.rs` has, made of loom's primitives: arc-swap as its documentation promises it.

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};

pub use loom::sync::Arc;

/// A value that is replaced whole.
pub struct Swap<S> {
    /// Which value it is: arc-swap compares the pointer.
    word: AtomicUsize,
    value: Mutex<Arc<S>>,
}

impl<S> Swap<S> {
    /// Begins with a value.
    pub fn new(first: Arc<S>) -> Self {
        Swap { word: AtomicUsize::new(0), value: Mutex::new(first) }
    }

    /// Replaces it; the one before is dropped here, where nobody else has it.
    pub fn store(&self, value: Arc<S>) {
        let mut current = self.value.lock().unwrap();
        let old = std::mem::replace(&mut *current, value);
        // Relaxed, as is the load: the value's own lock, and in arc-swap `load_full`, orders what is read through it.
        self.word.fetch_add(1, Ordering::Relaxed);
        drop(current);
        drop(old);
    }

    /// The value now.
    pub fn load_full(&self) -> Arc<S> {
        self.value.lock().unwrap().clone()
    }
}

/// A reader's copy of a value, renewed when one relaxed load tells that there is another.
pub struct Cache<S> {
    swap: Arc<Swap<S>>,
    seen: usize,
    value: Arc<S>,
}

impl<S> Cache<S> {
    /// Takes the value now.
    pub fn new(swap: Arc<Swap<S>>) -> Self {
        let (seen, value) = swap.both();
        Cache { swap, seen, value }
    }

    /// The value now.
    pub fn load(&mut self) -> &Arc<S> {
        if self.swap.word.load(Ordering::Relaxed) != self.seen {
            (self.seen, self.value) = self.swap.both();
        }
        &self.value
    }
}

impl<S> Swap<S> {
    /// In arc-swap the value's address is the word, so the two are never apart.
    fn both(&self) -> (usize, Arc<S>) {
        let value = self.value.lock().unwrap();
        (self.word.load(Ordering::Relaxed), value.clone())
    }
}
