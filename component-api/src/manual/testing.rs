//! Testing: a session without a host.
//!
//! The [`Harness`](crate::harness::Harness) plays the host by the host's rules, on one thread, with a clock that stands still until it is moved.
//! Tests assert what a peer would see: what was [sent](crate::harness::Harness::sent), how a stream
//! [ended](crate::harness::Harness::ending).
//!
//! The examples drive the component of the chapter on [sessions](super::sessions).
//!
//! # One byte at a time
//!
//! A peer's bytes arrive cut anywhere. Whatever is decoded is tested that way:
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::Lines;
//! # use tandem_component::prelude::*;
//! let mut session = Harness::<Lines>::start(&()).unwrap();
//! for byte in b"one\ntwo\n" {
//!     session.bytes(Stream::OWN, &[*byte]);
//! }
//! assert_eq!(session.sent(Stream::OWN), b"1 one\n2 two\n");
//! ```
//!
//! # Another version in the middle
//!
//! [`carry`](crate::harness::Harness::carry) exports the session, lets another component resume it, and leaves all else where it is:
//! unread bytes, timers, streams, dials, forwards. Rows that were asked for and not yet told are read again, with the columns that
//! the other one declares. A component that can be carried at every byte has nothing hidden outside its state:
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::Lines;
//! # use tandem_component::prelude::*;
//! # use std::time::Duration;
//! let (said, answered) = (b"one\ntwo\n", b"1 one\n2 two\n");
//! for cut in 0..=said.len() {
//!     let mut old = Harness::<Lines>::start(&()).unwrap();
//!     old.bytes(Stream::OWN, &said[..cut]);
//!     let mut new = old.carry::<Lines>(&()).unwrap();
//!     new.bytes(Stream::OWN, &said[cut..]);
//!     assert_eq!(new.sent(Stream::OWN), answered, "cut after {cut}");
//!     // The timer that the old one has set rings for the new one.
//!     new.advance(Duration::from_secs(60));
//!     assert_eq!(new.sent(Stream::OWN), b"bye\n");
//! }
//! ```
//!
//! Here both versions are the same code. To test against the one that is in use, depend on its crate under another name
//! (`lines-v1 = { package = "lines", version = "1" }`) and carry from one to the other, and back.
//!
//! [`renew`](crate::harness::Harness::renew) does what the host does with policy `renew`: at a boundary, another session on the same connection.
//!
//! # Late answers
//!
//! An answer may come in the same turn or much later, with other events in between; a component must not be able to
//! tell. In [late mode](crate::harness::Harness::late) the order is decided by a seed. Run every test in both modes, and print the seed:
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::Lines;
//! # use tandem_component::prelude::*;
//! fn says_its_lines(mut session: Harness<Lines>, seed: u64) {
//!     session.bytes(Stream::OWN, b"one\n");
//!     session.bytes(Stream::OWN, b"two\n");
//!     assert_eq!(session.sent(Stream::OWN), b"1 one\n2 two\n", "seed {seed}");
//! }
//!
//! says_its_lines(Harness::start(&()).unwrap(), 0);
//! for seed in 1..100 {
//!     says_its_lines(Harness::start(&()).unwrap().late(seed), seed);
//! }
//! ```
//!
//! What can be relied on, here and in a gateway:
//!
//! - what the store answers comes in the order in which it was asked;
//! - so do timers, in the order in which they are due, and requests of other services with their withdrawals;
//! - dials, forwards and the ends of streams are told in the order in which they happened; nothing comes in on a stream before the
//!   session knows of it, and no answer of a server before it is known that what was forwarded to it is through;
//! - what an event wrote is committed, or taken back, before any other event comes, and once a conversation is named nothing comes
//!   in until it is known whose it is.
//!
//! Between these there is no order: while a row is on its way, bytes come in, a timer rings, a connection closes. What must not be
//! overtaken says so in the session's state, and leaves the next bytes unconsumed.
//!
//! # Configuration
//!
//! What a configuration file would say is any value that serializes in the same way; `()` is none at all. What a
//! component refuses, the operator reads with the key in front of it:
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::Lines;
//! # use tandem_component::prelude::*;
//! # use std::collections::BTreeMap;
//! let refused = |key: &str, value: u64| {
//!     Harness::<Lines>::start(&BTreeMap::from([(key, value)])).err().unwrap().to_string()
//! };
//! assert_eq!(refused("idle_s", 0), "idle_s is 0: nobody could say anything");
//! assert!(refused("idel_s", 9).contains("unknown field `idel_s`, expected `idle_s`"));
//! ```
//!
//! Next: [versions](super::versions).
