//! The interface of applications: short messages as JSON over HTTP/1.1, receipts and incoming messages by long poll or webhook.
//!
//! What it leaves to others: the host has connections, timers, secrets and the store; the service named by `submit_to` encodes,
//! splits, routes and keeps messages ([`tandem_sms`]); [`tandem_http1`] reads heads and chunks. What it does: says what is wrong
//! with a request, asks that service, and keeps what it is asked to deliver until an account has taken it. See `LIFECYCLE.md` for
//! the states of its sessions, and `GET /openapi.json` for what applications are told.

#![forbid(unsafe_code)]

pub mod config;
mod credentials;
mod date;
mod exchange;
mod framing;
mod json;
mod keeping;
mod left;
mod message;
mod openapi;
mod operation;
mod problem;
mod pushing;
mod record;
mod session;
mod signature;
mod status;
mod tables;

use tandem_component::prelude::*;
use tandem_http1::DateCache;

pub use crate::config::Config;
pub use crate::session::{Conversation, Then};
pub use crate::signature::sign;
pub use crate::tables::{EVENTS, KEYS, PUSHERS, TAILS};

/// The protocol, with one configuration.
pub struct Rest {
    config: Config,
    limits: tandem_http1::Limits,
    /// The answer to `GET /openapi.json`.
    description: Vec<u8>,
    /// The run of the host: what a session of another one holds, nobody holds any more.
    run: u64,
    /// Which exchanges are recorded.
    recording: Recording,
    date: DateCache,
}

impl Component for Rest {
    type Config = Config;
    type Session = Conversation;
    const TABLES: &'static [Table] = &[EVENTS, TAILS, PUSHERS, KEYS];
    const POLICY: Policy = Policy::Carry;
    const RESIDENT: bool = true;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let config = config.checked(&starting.upstreams)?;
        Ok(Rest {
            limits: config.limits.checked()?,
            description: openapi::description(&config),
            run: starting.run,
            recording: config.access_log.map_or_else(|| starting.recording(), Recording::from),
            date: DateCache::default(),
            config,
        })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
        if opening.role == Role::Client {
            return Err(Refusal::from("it connects to nobody: `connect` is not for this component"));
        }
        match opening.transport {
            Transport::Tcp | Transport::Unix => Ok(Conversation::connection(self, opening)),
            Transport::Call => Ok(Conversation::called()),
            Transport::Resident => Ok(Conversation::resident()),
            other => Err(Refusal::from(format!("HTTP is not spoken over {other:?}"))),
        }
    }
}

export_component!(Rest);
