//! Rules: what a component must not do, and what happens where it does.
//!
//! # It has no world of its own
//!
//! It opens no socket and no file, starts no thread or process, reads no clock, and draws no random number: it asks
//! the host, with effects. `std::time::Instant::now()` would work and would be wrong: in a test it is not the test's time, and
//! in a replay it is not the time of then. A library that starts a thread while it is examined is refused.
//!
//! It does not wait. While a session is in `handle`, its worker serves nobody else.
//!
//! It does nothing before it is told to. The host first loads each library in a child process and calls `start` there, so `start`
//! runs more often than a service starts.
//!
//! # Memory
//!
//! What is lent is lent for the call: the bytes of an event are the host's. What is sent is copied. Nothing that a
//! component allocates is seen by the host, so it may use any allocator.
//!
//! Statics are per version and go with it. A count that has to outlive its version belongs into the session's state.
//!
//! # Panics
//!
//! A panic ends the session that it happened in, and nothing else: it is caught at the boundary, none of the event's
//! effects happens, [`last_words`](crate::Session::last_words) are said, the streams are closed, and the operator reads message
//! and place. That needs `panic = "unwind"`; a library that aborts is refused. A [`Fault`](crate::Fault) does the same, on
//! purpose:
//!
//! ```
//! use tandem_component::prelude::*;
//!
//! # struct Strict;
//! # impl Component for Strict {
//! #     type Config = ();
//! #     type Session = Talk;
//! #     const POLICY: Policy = Policy::Pin;
//! #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Strict) }
//! #     fn open(&self, _: &Opening<'_>) -> Result<Talk, Refusal> { Ok(Talk) }
//! # }
//! # #[derive(Serialize, Deserialize)]
//! # struct Talk;
//! impl Session for Talk {
//!     type Component = Strict;
//!     type Then = ();
//!
//!     fn handle(&mut self, _: &Strict, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         if let Event::Bytes { stream, .. } = event {
//!             out.send(stream, b"this is not sent");
//!             return Err("the state makes no sense".into());
//!         }
//!         Ok(())
//!     }
//!     fn at_boundary(&self) -> bool {
//!         true
//!     }
//!     fn last_words(&mut self, _: &Strict, out: &mut Out<'_, Self>) {
//!         out.send(Stream::OWN, b"500\n");
//!     }
//! }
//!
//! let mut session = Harness::<Strict>::start(&()).unwrap();
//! session.bytes(Stream::OWN, b"anything");
//! assert_eq!(session.sent(Stream::OWN), b"500\n");
//! assert_eq!(session.fault().unwrap().to_string(), "the state makes no sense");
//! ```
//!
//! A panic elsewhere ends what was to be made, and nothing that is there: in `start`, the version that ran before goes on; in `open`, the
//! connection is closed; where a state is written or read, or in [`resumed`](crate::Session::resumed), the session stays with the
//! version that it is on; in `at_boundary`, it is at none. Of what a component gives as a reason, or panics with, an operator reads one
//! line of 1,000 characters at most.
//!
//! In the harness a panic is the test's own.
//!
//! # The log
//!
//! `tracing` works as usual, and without a subscriber: events go to the host's, with component, version and session beside
//! them. Spans are not forwarded. Do not install a subscriber or a panic hook.
//!
//! # What keeps a library mapped
//!
//! A version whose last session has gone is unmapped, and that it is gone is looked at. What need not be avoided, because
//! the host clears it: thread-locals with destructors, `thread::current()`, channels, `rand`, whatever registers with the thread
//! that it runs on. What keeps it mapped:
//!
//! - a thread that it has started and that still runs;
//! - a destructor of a thread-local on a thread that is not a worker and does not end;
//! - taking a backtrace, which maps the debug information of the whole process for good;
//! - opening further libraries that may not be closed.
//!
//! Such a version is `lingering`: `tandem status` and a notice (`version-lingering`) say so with the reason. It runs no session
//! any more and harms nobody, but its memory is not given back until the process ends, or until what holds it is gone: the
//! host looks again from time to time. What a library has allocated and not freed is lost at each load: `Box::leak` is
//! fine in a program and a leak in a component.
//!
//! # Safe code
//!
//! `#![forbid(unsafe_code)]` at the head of a component costs nothing. The host cannot protect itself from a wild pointer
//! in its own address space: what a component may do to memory, it may do to the whole process.
