//! Versions: where each is in its life ([`stage`]), which serves ([`table`]), what keeps one mapped ([`lease`]), and what
//! a reload makes of the files that it found ([`rollout`]).

pub mod canary;
mod exchanges;
pub mod instance;
pub mod lease;
pub mod rollout;
pub mod stage;
pub mod table;
pub mod verdicts;

pub use exchanges::{Counted, Exchanges};
pub use instance::{Counts, Instance, Service, Snapshot, Started};
pub use lease::Lease;
