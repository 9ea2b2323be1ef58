//! What the author of a Tandem component writes against.
//!
//! A component is the code of one protocol: bytes in, effects out. It opens no socket, starts no thread, reads no clock
//! and draws no random number; the host has all of these and offers them as effects. What this crate leaves to the
//! host: connections, timers, the choice of a version, the life of a library. What it leaves to the author: the
//! protocol, and nothing else.
//!
//! Two traits make a component: a [`Component`] is one protocol with one configuration, immutable once started and
//! shared by its sessions; a [`Session`] is one conversation, and is data. [`export_component!`] makes a library of it.
//!
//! ```
//! use tandem_component::prelude::*;
//!
//! struct Echo;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Conversation;
//!
//! impl Component for Echo {
//!     type Config = ();
//!     type Session = Conversation;
//!     const POLICY: Policy = Policy::Carry;
//!
//!     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
//!         Ok(Echo)
//!     }
//!     fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
//!         Ok(Conversation)
//!     }
//! }
//!
//! impl Session for Conversation {
//!     type Component = Echo;
//!     type Then = ();
//!
//!     fn handle(&mut self, _: &Echo, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         if let Event::Bytes { stream, bytes } = event {
//!             out.send(stream, bytes);
//!             out.consume(bytes.len());
//!         }
//!         Ok(())
//!     }
//!     fn at_boundary(&self) -> bool {
//!         true
//!     }
//! }
//!
//! let mut harness = Harness::<Echo>::start(&()).unwrap();
//! harness.bytes(Stream::OWN, b"hello");
//! assert_eq!(harness.sent(Stream::OWN), b"hello");
//! ```
//!
//! **Begin with the [`manual`]**: one way from an empty directory to a component with tables, carried sessions and calls, replaced while it
//! carries traffic. To look things up, the modules in the order in which they are worth reading: [`component`], [`session`], [`event`], [`out`],
//! [`calls`], [`admission`], [`harness`], then [`manifest`], [`table`] and [`ledger`].

#![deny(unsafe_code)] // `abi.rs` and `export.rs` relax it: they are our end of the boundary. `memory.rs` is an allocator.
#![allow(clippy::needless_doctest_main)] // A library's `main` is its export; the examples show whole files.

extern crate self as tandem_component;

#[doc(hidden)]
pub mod abi;
pub mod admission;
mod alarm;
mod allowance;
mod boxed;
pub mod calls;
pub mod component;
#[doc(hidden)]
pub mod declared;
#[doc(hidden)]
#[allow(missing_docs)] // Each effect is documented where the author meets it, in `Out`.
pub mod effects;
pub mod event;
#[doc(hidden)]
pub mod export;
pub mod harness;
#[doc(hidden)]
pub mod late;
pub mod ledger;
pub mod manifest;
pub mod manual;
#[doc(hidden)]
pub mod memory;
pub mod named;
pub mod out;
pub mod record;
mod report;
pub mod rows;
pub mod session;
pub mod table;
pub mod trace;

pub use admission::{Admission, Limit};
pub use alarm::Alarm;
pub use allowance::{Allowance, Allowances};
pub use calls::{Account, Call, CallFailure, Misfit, Request, RequestId, Response};
pub use component::{Component, Opening, Peer, Policy, Refusal, Role, Secured, Starting, Time, Transport};
pub use event::{Answer, DialFailure, Event, Server, Stream};
pub use ledger::Ledger;
pub use out::{Dial, Forward, Out, Token, Writes};
pub use record::{Outcome, Record, Recording};
pub use rows::{Row, Rows, Scan, StoreFailure};
pub use session::{Fault, Session, Then};
pub use table::{Column, Index, Kind, Literal, Table};
pub use tandem_component_derive::Then;
pub use trace::{Sampling, Span, Trace};

/// All that a component needs, for one `use`.
pub mod prelude {
    pub use crate::harness::Harness;
    pub use crate::{
        Account, Admission, Alarm, Allowance, Allowances, Answer, Call, CallFailure, Column, Component, Dial,
        DialFailure, Event, Fault, Forward, Index, Kind, Ledger, Limit, Literal, Opening, Out, Outcome, Peer, Policy,
        Record, Recording, Refusal, RequestId, Role, Row, Rows, Scan, Secured, Server, Session, Span, Starting,
        StoreFailure, Stream, Table, Then, Time, Token, Trace, Transport, Writes, export_component,
    };
    pub use serde::{Deserialize, Serialize};
}
