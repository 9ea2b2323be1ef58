//! Versions: what becomes of a session when a newer one is active.
//!
//! A version is one build of a component. Its identity is the digest of its content, so two builds of one number are two
//! versions. From a reload on, new sessions run on the new one. What happens to those that are under way is the
//! component's [`Policy`](crate::Policy), or what the configuration says for a service (`policy = "pin"`):
//!
//! | policy | what happens | for |
//! |---|---|---|
//! | `renew` | at the next boundary the session is dropped, and another opened by the new version on the same connection, with all unread bytes. In the middle of an exchange it is carried | protocols without state between exchanges: HTTP/1.1 |
//! | `carry` | before its next event the session is exported by the old version and resumed by the new one | protocols with a state worth keeping: a login, a window |
//! | `pin` | it stays with the version that it began on, until it ends | where two versions cannot understand each other |
//!
//! No connection is closed for it. A version whose last session has gone is unmapped; one that still has some at its
//! drain deadline tells them [`Drain`](crate::Event::Drain), which is when they say goodbye in their protocol's own way.
//!
//! # What is carried
//!
//! The session and what it waits for (`Then`, by token), as MessagePack with named fields. Not carried, because they
//! belong to the host and stay where they are: streams, unread and unsent bytes, timers, dials, forwards, calls, requests.
//! Not carried, because it is the version's: the configuration; the new version has started with its own.
//!
//! After it has resumed a session, the new version is asked once whether it wants it:
//! [`resumed`](crate::Session::resumed). If it refuses, or cannot read the state, the session stays where it was and goes
//! on; that is a notice, `move-refused`, with the reason. So does one whose state has more than 16 MiB, since the host copies it, and
//! looks through it where two versions differ.
//!
//! # State that grows
//!
//! - A field that is added has a default: `#[serde(default)]`. An older state does not have it.
//! - A field is never given another type or meaning. Add one, and leave the old one.
//! - A field that is not needed any more may be left out: it is passed over in an older state. For an older version that
//!   needs it, that is no way back; leave it in for one version more.
//! - Enums grow by variants, at any place: they are written by name. An older version refuses a state with a variant that
//!   it does not know. That goes for `Then` as well, whose variants the manifest lists.
//! - Nothing is positional, so no tuples that may grow and no `#[serde(untagged)]`.
//!
//! Version 2 of `lines` keeps the length of the longest line beside what version 1 keeps. In its code, `open` begins with `longest: 0`, and where
//! `handle` counts a line it says `self.longest = self.longest.max(end as u64)`. What matters is the field:
//!
//! ```
//! use tandem_component::prelude::*;
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # use component::{Lines, Waiting};
//! # macro_rules! version { ($component:ident, $session:ty) => {
//! #     struct $component;
//! #     impl Component for $component {
//! #         type Config = ();
//! #         type Session = $session;
//! #         const POLICY: Policy = Policy::Carry;
//! #         fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok($component) }
//! #         fn open(&self, _: &Opening<'_>) -> Result<$session, Refusal> { Ok(<$session>::default()) }
//! #     }
//! #     impl Session for $session {
//! #         type Component = $component;
//! #         type Then = Waiting;
//! #         fn handle(&mut self, _: &$component, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//! #             if let Event::Bytes { bytes, .. } = event { self.lines += 1; out.consume(bytes.len()); }
//! #             Ok(())
//! #         }
//! #         fn at_boundary(&self) -> bool { true }
//! #     }
//! # } }
//! # version!(Lines2, Talk);
//! # version!(Bold, BoldTalk);
//!
//! /// It can resume what version 1 has left, and the other way round.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Talk {
//!     lines: u64,
//!     idle: Option<Token>,
//!     #[serde(default)]
//!     longest: u64,
//! }
//!
//! /// A version that cannot: its new field has no default.
//! #[derive(Default, Serialize, Deserialize)]
//! struct BoldTalk {
//!     lines: u64,
//!     idle: Option<Token>,
//!     name: String,
//! }
//!
//! let mut first = Harness::<Lines>::start(&()).unwrap();
//! first.bytes(Stream::OWN, b"a line\n");
//! let second = first.carry::<Lines2>(&()).unwrap();
//! assert_eq!((second.session().lines, second.session().longest), (1, 0));
//! let mut first = second.carry::<Lines>(&()).unwrap();
//! first.bytes(Stream::OWN, b"another\n");
//! assert_eq!(first.sent(Stream::OWN), b"1 a line\n2 another\n");
//! let refused = first.carry::<Bold>(&()).err().unwrap();
//! assert!(refused.to_string().contains("missing field `name`"));
//! ```
//!
//! What an older version does not know of a state is kept by the host meanwhile, in structs and keyed maps at any depth, and
//! put back when the session moves on; in lists it is lost, since a place says nothing of what stands in it. A field that was
//! not there when the session was carried has its default, so let that be what is safe. (The harness passes over what is not
//! known: it tests one version at a time.)
//!
//! # The manifest
//!
//! `export_component!` writes into a section of the library what the host has to know before it loads it: name, version, API
//! revision, policy, variants of `Then`, tables. It is made of the constants in the code, so it cannot say anything else.
//! `tandem inspect FILE` reads it without running any of the library's code.
//!
//! A component that was built against an older revision of this API loads; one that needs a newer one than the host
//! has is refused. It need not be built with the host's rustc.
//!
//! Next: [swapping](super::swapping).
