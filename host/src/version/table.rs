//! Which version serves: [`Table`], one immutable snapshot, published with one atomic store.
//!
//! A reader looks at it with one atomic load; only when another snapshot was published does it take that one. Model-checked
//! in `tests/loom`, with a stand-in for arc-swap that has its documented ordering (arc-swap itself is checked by its own
//! authors).

use crate::sync::{Arc, Cache, Swap};

/// Publishes snapshots of `S`.
pub struct Table<S> {
    current: Arc<Swap<S>>,
}

/// One reader's look at a table. Each worker has its own.
pub struct Reader<S> {
    cache: Cache<S>,
}

impl<S> Table<S> {
    /// A table that begins with a snapshot.
    pub fn new(first: S) -> Self {
        Table { current: Arc::new(Swap::new(Arc::new(first))) }
    }

    /// Publishes a snapshot: readers take it with their next look.
    pub fn publish(&self, snapshot: S) {
        self.current.store(Arc::new(snapshot));
    }

    /// The snapshot now.
    pub fn current(&self) -> Arc<S> {
        self.current.load_full()
    }

    /// Another reader.
    pub fn reader(&self) -> Reader<S> {
        Reader { cache: Cache::new(Arc::clone(&self.current)) }
    }
}

impl<S> Reader<S> {
    /// The snapshot now: one atomic load where nothing was published since the last look.
    #[inline]
    pub fn look(&mut self) -> &Arc<S> {
        self.cache.load()
    }
}
