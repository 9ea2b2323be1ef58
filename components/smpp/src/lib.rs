//! SMPP 3.4: the server that ESMEs bind to, with a simulated SMSC behind it; the client that binds to SMSCs.
//!
//! What it leaves to the host: connections, timers, and the store that holds messages, so that a response is sent once its
//! message is committed. What it leaves to the codec: bodies of PDUs. What it does: finds PDUs in bytes, knows who may
//! ask what and when, keeps windows both ways, and sends receipts until they are acknowledged. It does not route: what an ESME
//! submits and what an SMSC delivers goes to the one service that the configuration names. See `LIFECYCLE.md` for the states of
//! a session.

#![forbid(unsafe_code)]

mod admitting;
mod asking;
mod bind;
mod client;
pub mod config;
mod delivering;
pub mod frame;
mod hand_over;
pub mod message;
mod outdated;
pub mod pdu;
mod queue;
mod recall;
mod receipt;
mod receiving;
mod record;
mod report;
mod session;
mod sms;
mod submit;
mod submitting;
mod then;
mod window;

use tandem_component::prelude::*;

pub use crate::bind::BINDS;
use crate::config::{Config, Outbind};
pub use crate::hand_over::SUBMITTED;
pub use crate::message::MESSAGES;
pub use crate::queue::QUEUES;
pub use crate::session::Bind;
use crate::session::Stage;
pub use crate::then::Then;

/// The protocol, with one configuration.
pub struct Smpp {
    config: Config,
    /// The run of the host.
    run: u64,
    /// Which exchanges are recorded.
    recording: Recording,
}

impl Component for Smpp {
    type Config = Config;
    type Session = Bind;
    const TABLES: &'static [Table] = &[MESSAGES, BINDS, SUBMITTED, QUEUES];
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Smpp { config: config.checked()?, run: starting.run, recording: starting.recording() })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Bind, Refusal> {
        let since = opening.established;
        let stage = match (opening.role, self.config.outbind) {
            _ if opening.transport == Transport::Call => Stage::Called,
            (Role::Server, _) => Stage::Unbound { since },
            (Role::Client, Some(Outbind::Send)) => Stage::Inviting { since },
            (Role::Client, _) => Stage::Joining { mode: self.config.bind },
        };
        Ok(Bind::new(stage, since))
    }
}

export_component!(Smpp);
