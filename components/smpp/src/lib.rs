//! SMPP 3.4: the server that ESMEs bind to, with a simulated SMSC behind it.
//!
//! What it leaves to the host: connections, timers, and the store that holds messages, so that a response is sent once its
//! message is committed. What it leaves to the codec: bodies of PDUs. What it does: finds PDUs in bytes, knows who may
//! ask what and when, keeps windows both ways, and sends receipts until they are acknowledged. It does not route, and it
//! does not bind to SMSCs itself. See `LIFECYCLE.md` for the states of a session.

#![forbid(unsafe_code)]

mod alarm;
mod bind;
pub mod config;
mod date;
pub mod frame;
pub mod message;
mod pdu;
mod recall;
mod receipt;
mod session;
mod submit;
mod window;

use tandem_component::prelude::*;

pub use crate::bind::BINDS;
use crate::config::Config;
pub use crate::message::MESSAGES;
pub use crate::session::{Bind, Then};

/// The protocol, with one configuration.
pub struct Smpp {
    config: Config,
}

impl Component for Smpp {
    type Config = Config;
    type Session = Bind;
    const TABLES: &'static [Table] = &[MESSAGES, BINDS];
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Smpp { config: config.checked()? })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Bind, Refusal> {
        match opening.role {
            Role::Server => Ok(Bind::new(opening.established)),
            Role::Client => Err("smpp binds to nobody: configure `listen` instead of `connect`".into()),
        }
    }
}

export_component!(Smpp);
