//! Messaging: the service in the middle. A front (`rest`, `smpp` with ESMEs) asks it to submit a message; it is kept before that is
//! answered, sent to the network that the routes name, again and elsewhere where that fails, and followed until it has a final state,
//! of which its front is told. What a network has for an account goes to that account's front, and is kept until it is there.
//!
//! **Everything that has to happen is a row with a time** ([`MESSAGES`], [`INCOMING`]: `due_at`). Whoever does something about a row
//! first moves that time on; if nothing comes of it, because a network does not answer or the gateway was killed, the time comes
//! and somebody does it again. So a session holds nothing that is not in the store, and there is no order in which things must
//! not be interrupted. See `LIFECYCLE.md` for the phases of a message.
//!
//! The work is done by residents, one on each worker.

#![forbid(unsafe_code)]

pub mod config;
mod desk;
pub mod early;
mod ending;
pub mod incoming;
pub mod message;
mod parts;
mod pausing;
pub mod pieces;
mod receiving;
mod record;
mod replacing;
mod reporting;
mod sending;
pub mod sent;
mod submitting;
mod sweep;
mod then;
pub mod throttle;
mod totals;
pub mod waiting;
mod watching;

use tandem_component::prelude::*;

use crate::config::Config;
pub use crate::desk::Desk;
pub use crate::early::EARLY;
pub use crate::incoming::INCOMING;

pub use crate::message::MESSAGES;
pub use crate::pieces::PIECES;
pub use crate::sent::SENT;
pub use crate::then::Then;
pub use crate::throttle::THROTTLES;
pub use crate::totals::{LEDGER, TOTALS};
pub use crate::waiting::WAITING;

/// The service, with one configuration.
pub struct Messaging {
    config: Config,
    /// The run of the host, as a column has it.
    run: i64,
    /// The version, for what it has accepted.
    version: String,
    /// Whether what becomes of each message is recorded.
    recording: Recording,
}

impl Component for Messaging {
    type Config = Config;
    type Session = Desk;
    const TABLES: &'static [Table] = &[MESSAGES, SENT, EARLY, INCOMING, PIECES, TOTALS, WAITING, THROTTLES];
    const LEDGER: Option<Ledger> = Some(LEDGER);
    const POLICY: Policy = Policy::Carry;
    const RESIDENT: bool = true;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        // A column holds 63 bits of it: as good to tell runs apart.
        let run = i64::try_from(starting.run >> 1).unwrap_or_default();
        let (version, recording) = (starting.version.to_owned(), starting.recording());
        Ok(Messaging { config: config.checked()?, run, version, recording })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Desk, Refusal> {
        match opening.transport {
            Transport::Resident | Transport::Call => Ok(Desk::new(opening.transport)),
            _ => Err(Refusal::from("it has no protocol of its own: other services ask it, so it needs no `listen`")),
        }
    }
}

export_component!(Messaging);
