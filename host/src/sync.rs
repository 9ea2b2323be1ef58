//! The primitives that the version table and the leases are made of.
//!
//! They are named here, and nowhere else in those two files, so that `tests/loom` can compile the same files against
//! loom's.

pub(crate) use std::sync::Arc;

pub(crate) type Swap<S> = arc_swap::ArcSwap<S>;
pub(crate) type Cache<S> = arc_swap::Cache<Arc<Swap<S>>, Arc<S>>;
