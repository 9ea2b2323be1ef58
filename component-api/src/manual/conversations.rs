//! Conversations that are more than a connection: keys.
//!
//! A session is a connection, or one peer's datagrams. Some conversations are neither: a shop's visitor comes over many
//! connections and is known by a cookie. Only the component can read whose an exchange is, and only the host knows which
//! version a conversation began on. So the session that has read the name says it, before it has consumed or done anything:
//!
//! ```
//! use tandem_component::prelude::*;
//! # struct Shop;
//! # impl Component for Shop {
//! #     type Config = ();
//! #     type Session = Visit;
//! #     const POLICY: Policy = Policy::Renew;
//! #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Shop) }
//! #     fn open(&self, _: &Opening<'_>) -> Result<Visit, Refusal> { Ok(Visit::default()) }
//! # }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Visit {
//!     /// Of the line at hand, it was asked whose it is.
//!     routed: bool,
//! }
//!
//! impl Session for Visit {
//! #     type Component = Shop;
//! #     type Then = ();
//! #     fn at_boundary(&self) -> bool { true }
//!     fn handle(&mut self, _: &Shop, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         match event {
//!             Event::Bytes { stream, bytes } => {
//!                 let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
//!                 let name = bytes[..end].split(|byte| *byte == b' ').next().unwrap_or_default();
//!                 if !name.is_empty() && !std::mem::take(&mut self.routed) {
//!                     // Nothing is consumed: the line comes again, to this session or to one of the version that the
//!                     // visitor began on.
//!                     out.route(name);
//!                     return Ok(());
//!                 }
//!                 out.send(stream, b"ok\n");
//!                 out.consume(end + 1);
//!             }
//!             Event::Routed { bound: Ok(()) } => self.routed = true,
//!             Event::Routed { bound: Err(_) } => out.close(Stream::OWN),
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut session = Harness::<Shop>::start(&()).unwrap();
//! session.bytes(Stream::OWN, b"ann buys\nbob looks\n");
//! assert_eq!(session.sent(Stream::OWN), b"ok\nok\n");
//! assert_eq!(session.routes(), [b"ann", b"bob"]);
//! ```
//!
//! The host finds the version that the key is bound to for this service, or binds it to the one that is active; the binding is
//! committed before the session hears of it. Where the key is bound to another version, a session of that one is opened on the
//! same connection, as in a renewal, gets [`Routed`](crate::Event::Routed) after its `Opened`, and then the untouched bytes. When
//! nothing is half done any more the connection is the active version's again, whose session reads the next exchange.
//!
//! A name that is known with the answer only, such as a cookie that a server sets, is [bound](crate::Out::bind) then.
//!
//! A version stays loaded for as long as something is bound to it, up to its drain deadline, also over a restart: the host
//! loads it again from its shelf. At the deadline its conversations are bound to the active version when they are named next,
//! with a notice, `binding-moved`. A binding that nobody has named for the service's `bindings.idle` ends; of more than
//! `bindings.max` the one that would end first makes room.
//!
//! # Datagrams, and sessions that last
//!
//! A datagram whose session names a conversation goes to the conversation's own session: one for a key, wherever the datagrams come
//! in, with the key in its [`Opening`](crate::Opening). What it sends goes to whoever has spoken last. It ends after
//! `bindings.idle` of silence, or when it closes [`Stream::OWN`](crate::Stream::OWN), which ends the conversation.
//!
//! [`save`](crate::Out::save) keeps a session, of policy `carry` or `pin`, with its binding. It is resumed when the key is named and
//! no session has it: on the next connection, after a restart. Timers ring when they would have; whatever else was asked for is
//! answered with its failure, since nobody is left to answer it: streams are [`Closed`](crate::Event::Closed), dials and forwards and calls
//! have failed. Save whenever a peer was told something that it may rely on.
//!
//! Policy `carry` needs no bound versions: such sessions, and with them their conversations, are on the active version.
//!
//! Next: [rules](super::rules).
