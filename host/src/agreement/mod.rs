//! Agreements: what an account may use of a service, counted for every version of its component together.
//!
//! | module | what it is about |
//! |---|---|
//! | [`terms`] | what an agreement says, as the configuration has it |
//! | [`calendar`] | when the windows of quotas and the hours of a day begin and end |
//! | [`rate`] | whether a rate allows so much now |
//! | [`count`] | what an account has used of one agreement and service: one for all workers |
//! | [`left`] | what is left of it, where somebody asks |
//! | [`shares`] | what a worker has taken of it in advance, so that an admission touches nothing that is shared |
//! | [`usage`] | all counts, and the thread that reserves of them in the store |
//! | [`table`] | their rows |
//!
//! An admission is answered of the worker's share. Where that is used up another is taken of the count; where the count has
//! nothing left that is reserved in the store, the admission waits until a reservation is committed.
//!
//! Invariants:
//! - A quota's unit is given to a worker only when a row that has it as used is committed. So a crash loses what was reserved
//!   and not used, a block a worker at most, and grants nothing twice.
//! - What a share has of a rate was taken from the rate when the share was, and is used within [`rate::SHARE_SPAN`] or not at all;
//!   the burst is by twice that smaller. So no span of time has more than the rate and the burst allow.
//! - What is told to be left is at most what is: what other workers have taken and not used counts as used.
//! - A count belongs to the names of agreement, account and service. No version, instance or publication is a part of it, nor are
//!   the limits, which come with each use: a swap, a rollback and a changed limit leave it as it is.

pub mod calendar;
pub mod count;
pub mod left;
pub mod rate;
pub mod shares;
pub mod table;
pub mod terms;
pub mod usage;

pub use terms::{Agreement, Agreements};
pub use usage::Usage;

use tandem_component::Limit;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds that only go forward: since 1970, as the time of day was when the host started. For rates.
    pub steady: u64,
    /// The time of day, in nanoseconds since 1970. For quotas and hours.
    pub wall: u64,
}

/// Why something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What would be exceeded.
    pub limit: Limit,
    /// When it would be no longer, by the time of day; `None` where that is not a matter of time alone.
    pub frees_at: Option<u64>,
}
