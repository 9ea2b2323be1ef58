//! The primitives that the version table and the leases are made of: the real ones, or loom's under `--cfg loom`.

#[cfg(not(loom))]
pub(crate) use real::{Arc, Cache, Swap};

#[cfg(loom)]
pub use model::{Arc, Cache, Swap};

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::Arc;

    pub(crate) type Swap<S> = arc_swap::ArcSwap<S>;
    pub(crate) type Cache<S> = arc_swap::Cache<Arc<Swap<S>>, Arc<S>>;
}

#[cfg(loom)]
mod model {
    //! arc-swap as its documentation promises it: a store is a release that a load acquires, and a cache compares one
    //! atomically loaded word.

    pub use loom::sync::Arc;
    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    pub struct Swap<S> {
        word: AtomicUsize,
        value: Mutex<Arc<S>>,
    }

    impl<S> Swap<S> {
        pub fn new(first: Arc<S>) -> Self {
            Swap { word: AtomicUsize::new(0), value: Mutex::new(first) }
        }

        pub fn store(&self, value: Arc<S>) {
            let old = {
                let mut current = self.value.lock().unwrap();
                let old = std::mem::replace(&mut *current, value);
                self.word.fetch_add(1, Ordering::Release);
                old
            };
            drop(old);
        }

        pub fn load_full(&self) -> Arc<S> {
            self.value.lock().unwrap().clone()
        }
    }

    pub struct Cache<S> {
        swap: Arc<Swap<S>>,
        seen: usize,
        value: Arc<S>,
    }

    impl<S> Cache<S> {
        pub fn new(swap: Arc<Swap<S>>) -> Self {
            let seen = swap.word.load(Ordering::Acquire);
            let value = swap.load_full();
            Cache { swap, seen, value }
        }

        pub fn load(&mut self) -> &Arc<S> {
            let word = self.swap.word.load(Ordering::Acquire);
            if word != self.seen {
                self.seen = word;
                self.value = self.swap.load_full();
            }
            &self.value
        }
    }
}
