//! HTTP/1.1 and 1.0: a server and reverse proxy.
//!
//! What it leaves to the host: connections, their pool, the choice of a server and its ejection, the moving of bodies.
//! What it does: reads requests, chooses a route, answers itself or passes the request on and the answer back. See
//! `LIFECYCLE.md` for the states of a session, and [`tandem_http1`] for the bytes.

#![forbid(unsafe_code)]

mod alarm;
pub mod config;
mod exchange;
mod fixed;
pub mod label;
mod record;
mod refusal;
mod route;
mod session;
pub mod sticky;

use std::collections::BTreeMap;

use tandem_component::prelude::*;
use tandem_http1::{DateCache, is_field_value, is_token};

use crate::config::{Config, Timeouts};
use crate::exchange::Ending;
use crate::fixed::{Fixed, is_own_field};
use crate::label::Label;
use crate::refusal::Refusals;
use crate::route::Routes;
pub use crate::session::{Conversation, Then};
use crate::sticky::Sticky;

/// The protocol, with one configuration.
pub struct Http {
    routes: Routes,
    refusals: Refusals,
    /// The answer to `OPTIONS *`: it asks the gateway, and not what is behind one of its routes.
    asterisk: route::Target,
    limits: tandem_http1::Limits,
    /// The most bytes of a request's body.
    body_max: u64,
    timeouts: Timeouts,
    retries: usize,
    /// The whole line that names this version, or nothing.
    served_by: Vec<u8>,
    /// `Via` as a whole line, for what came as HTTP/1.0 and as HTTP/1.1.
    via: [Vec<u8>; 2],
    /// What each request is given along, up to the client's address; by version as well.
    forwarded: [Vec<u8>; 2],
    /// The end of a passed-on answer's head, by its version and by [`Ending`]: `Via`, `served_by` and what becomes of the
    /// connection.
    endings: [[Vec<u8>; 3]; 2],
    recording: Recording,
    /// Servers are told which step of which trace has led to them.
    traces: bool,
    /// What names a conversation that stays with its version.
    sticky: Option<Sticky>,
    /// What labels a request.
    label: Option<Label>,
    date: DateCache,
}

impl Component for Http {
    type Config = Config;
    type Session = Conversation;
    const POLICY: Policy = Policy::Renew;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let served_by = match &config.served_by {
            Some(name) if !is_token(name) || is_own_field(name) => {
                return Err(Refusal::from(format!("served_by: {name:?} cannot be set")));
            }
            Some(name) => format!("{name}: {}\r\n", starting.version),
            None => String::new(),
        };
        if config.via.is_empty() || !is_field_value(&config.via) || config.via.contains([' ', ',']) {
            return Err(Refusal::from(format!("via: {:?} is no name", config.via)));
        }
        let nothing = Fixed::new(204, None, &BTreeMap::new(), &served_by)?;
        let via = ["1.0", "1.1"].map(|version| format!("Via: {version} {}\r\n", config.via).into_bytes());
        Ok(Http {
            routes: Routes::new(config.routes, &starting.upstreams, &served_by)?,
            refusals: Refusals::new(&served_by),
            asterisk: route::Target::Fixed(nothing),
            limits: config.limits.checked()?,
            body_max: config.limits.body_bytes,
            timeouts: config.timeouts.checked()?,
            retries: config.retries.into(),
            forwarded: via
                .each_ref()
                .map(|via| [b"X-Forwarded-Proto: http\r\n", &via[..], b"X-Forwarded-For: "].concat()),
            endings: via.each_ref().map(|via| Ending::ALL.map(|end| [via, served_by.as_bytes(), end.text()].concat())),
            via,
            served_by: served_by.into_bytes(),
            recording: config.access_log.map_or_else(|| starting.recording(), Recording::from),
            traces: starting.traces.is_some(),
            label: match (config.label, &config.sticky) {
                (Some(_), Some(_)) => {
                    return Err(Refusal::from("label: what is sticky stays with its version, whatever its label"));
                }
                (label, _) => label.map(Label::checked).transpose()?,
            },
            sticky: config.sticky.map(Sticky::checked).transpose()?,
            date: DateCache::default(),
        })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation::new(opening, self.timeouts.idle))
    }
}

export_component!(Http);
