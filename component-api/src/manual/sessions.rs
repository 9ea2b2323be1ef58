//! Sessions: events in, effects out, and nothing in between.
//!
//! A session is a value. The host calls [`handle`](crate::Session::handle) with one event, the session changes itself and
//! tells [`Out`](crate::Out) what follows, and returns. It never waits inside. What it waits for is data as well, so between any two
//! events the session can be written down, and another version can read it and go on.
//!
//! The example of this chapter, `lines`, is the one that the next chapters go on with. It is longer than echo, and uses nearly all that a
//! protocol without a server behind it needs. In the package of `tandem new lines` it takes the place of `src/lib.rs`, with
//! `export_component!(Lines);` below it:
//!
#![doc = "```"]
#![doc = include_str!("lines.rs")]
#![doc = "```"]
//!
//! # Events and effects
//!
//! An [`Event`](crate::Event) is one thing that has happened. Effects are told to `out`, and happen in the order in which they were
//! told, once `handle` has returned `Ok`. After a [`Fault`](crate::Fault) or a panic none of the event's effects happens, and the
//! session ends; its [`last_words`](crate::Session::last_words) are the place for the protocol's own error. What a *peer* does
//! wrong is no fault: answer it in the protocol, as `too long` does above.
//!
//! # Unread bytes
//!
//! The host keeps what comes in until the session takes it with [`consume`](crate::Out::consume). So a session needs no buffer,
//! and its state is protocol state alone. The rule of delivery:
//!
//! - `Bytes` has all that is unread on one stream, oldest first.
//! - A session that consumes something is offered the rest at once, in an event of its own.
//! - A session that consumes nothing is offered the same bytes again when more has come, or after another event of this
//!   session (an answer may be what it was waiting for).
//! - `End` comes when the peer has finished and its last bytes were consumed, or were offered and left.
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::Lines;
//! # use tandem_component::prelude::*;
//! let mut session = Harness::<Lines>::start(&()).unwrap();
//! session.bytes(Stream::OWN, b"one\ntwo\nthr");
//! assert_eq!(session.sent(Stream::OWN), b"1 one\n2 two\n");
//! assert_eq!(session.unread(Stream::OWN), b"thr");
//! session.bytes(Stream::OWN, b"ee\n");
//! assert_eq!(session.sent(Stream::OWN), b"3 three\n");
//! ```
//!
//! Finish at most one exchange a turn, and consume nothing of the next one before the answer is complete, as the example
//! does with its lines. In between the host looks whether a newer version is active, so the very next request on a
//! connection runs on it.
//!
//! # The side that connects
//!
//! On a connection that the host has made, of those that a service keeps, [`Opening::role`](crate::Opening::role) is
//! [`Client`](crate::Role::Client), and `Opened` is the time to say the first word. A component that plays one side only refuses the
//! other in `open`. To connect anew, close the stream: the host waits a while and makes the connection again, with a session of its
//! own, so what is to outlive a connection belongs into a table.
//!
//! # Boundaries
//!
//! [`at_boundary`](crate::Session::at_boundary) says that nothing is half done: no head half read, no body half sent, nobody owed an
//! answer. Only then is a session of policy [`Renew`](crate::Policy::Renew) dropped and another opened in its place. Unread bytes do
//! not count: they are the host's, and the next session gets them.
//!
//! # Waiting: `Then`, tokens, timers
//!
//! What will be answered takes a value of the session's type `Then`, and the answer brings it back. A
//! [`Token`](crate::Token) names the waiting, so that it can be [cancelled](crate::Out::cancel): then no answer comes. Tokens are data,
//! stay valid in every version, and belong in the state where they are needed.
//!
//! [`after`](crate::Out::after) is the timer. It is never early; time is [`out.now()`](crate::Out::now), which does not advance within one
//! event. A component reads no clock of its own.
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::Lines;
//! # use tandem_component::prelude::*;
//! # use std::time::Duration;
//! let mut session = Harness::<Lines>::start(&()).unwrap();
//! session.advance(Duration::from_secs(59));
//! session.bytes(Stream::OWN, b"still here\n");
//! session.advance(Duration::from_secs(59));
//! assert_eq!(session.sent(Stream::OWN), b"1 still here\n");
//! session.advance(Duration::from_secs(1));
//! assert_eq!(session.sent(Stream::OWN), b"bye\n");
//! ```
//!
//! # Other streams
//!
//! A session has its own stream, and those that it asks for with [`dial`](crate::Out::dial), by the name of an upstream of the
//! configuration. What it need not see, it lets the host move with [`forward`](crate::Out::forward): unread bytes first, as many as it
//! says, however many that are. This relay sees no byte at all:
//!
//! ```
//! use tandem_component::prelude::*;
//!
//! struct Relay {
//!     upstream: String,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     upstream: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Pair {
//!     ends: u32,
//! }
//!
//! #[derive(Serialize, Deserialize, Then)]
//! enum Waiting {
//!     Server,
//!     /// Until the peer of one stream has finished, the other is sent all of it.
//!     Way { to: Stream },
//! }
//!
//! impl Component for Relay {
//!     type Config = Config;
//!     type Session = Pair;
//!     const POLICY: Policy = Policy::Carry;
//!
//!     fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
//!         if !starting.upstreams.contains(&config.upstream.as_str()) {
//!             return Err(format!("upstream: there is no `{}`", config.upstream).into());
//!         }
//!         Ok(Relay { upstream: config.upstream })
//!     }
//!     fn open(&self, _: &Opening<'_>) -> Result<Pair, Refusal> {
//!         Ok(Pair { ends: 0 })
//!     }
//! }
//!
//! impl Session for Pair {
//!     type Component = Relay;
//!     type Then = Waiting;
//!
//!     fn handle(&mut self, relay: &Relay, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         match event {
//!             Event::Opened => drop(out.dial(relay.upstream.as_str(), Waiting::Server)),
//!             Event::Answer { answer: Answer::Dialed { stream, .. }, .. } => {
//!                 out.forward(Forward::to_end(Stream::OWN, stream), Waiting::Way { to: stream });
//!                 out.forward(Forward::to_end(stream, Stream::OWN), Waiting::Way { to: Stream::OWN });
//!             }
//!             Event::Answer { answer: Answer::Forwarded { .. }, then: Waiting::Way { to } } => {
//!                 self.ends += 1;
//!                 if self.ends == 2 { out.close(Stream::OWN) } else { out.finish(to) }
//!             }
//!             Event::Answer { .. } | Event::Drain { .. } => out.abort(Stream::OWN),
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//!     fn at_boundary(&self) -> bool {
//!         false
//!     }
//! }
//!
//! #[derive(Serialize)]
//! struct Settings {
//!     upstream: &'static str,
//! }
//! let mut session = Harness::<Relay>::start(&Settings { upstream: "app" }).unwrap();
//! session.bytes(Stream::OWN, b"to the server");
//! let server = session.connect(Server(0), false);
//! assert_eq!(session.sent(server), b"to the server");
//! session.bytes(server, b"to the client");
//! assert_eq!(session.sent(Stream::OWN), b"to the client");
//! session.end(Stream::OWN);
//! assert!(session.finished(server));
//! ```
//!
//! A dialed stream that has served its exchange is [released](crate::Out::release) to the host's pool; a server that has
//! misbehaved is [blamed](crate::Out::blame). Streams that are left when a session ends are closed.
//!
//! # Backpressure
//!
//! Sending never fails and never waits. The host does the waiting: while a session has more than 256 KiB unsent, it is given
//! nothing more to read, so a session that sends because it reads cannot outrun its peer. One that sends without
//! reading asks for [`writable`](crate::Out::writable) and goes on when that event comes. Past 16 MiB unsent the session ends with a
//! notice. A forward keeps no more than it can pass on.
//!
//! At most 64 KiB are read ahead of a session that leaves them unread. It has to bound what it waits for itself, as
//! `LINE_MAX` does above.
//!
//! Next: [testing](super::testing).
