//! The version table and the leases, checked under every interleaving of their threads.
//!
//! The two files are the host's own. This is a package apart because they are compiled here against another `sync`, with
//! loom's primitives instead of the real ones, and because nothing else of the host, tokio least of all, needs to be.
//!
//! What is not proven: arc-swap and `Arc` themselves, which [`sync`] replaces by stand-ins with their documented
//! ordering, and which their own authors check.

#[path = "../../host/src/version/lease.rs"]
pub mod lease;
pub mod sync;
#[path = "../../host/src/version/table.rs"]
pub mod table;

#[cfg(test)]
mod models;
