//! Tables: state that outlives sessions, versions, restarts and crashes.
//!
//! A component declares the tables that it reads and writes ([`TABLES`](crate::Component::TABLES)), and works on their rows with
//! effects: [`put`](crate::Out::put), [`update`](crate::Out::update), [`add`](crate::Out::add), [`delete`](crate::Out::delete),
//! [`insert`](crate::Out::insert), [`swap`](crate::Out::swap). It reads them by asking, [`get`](crate::Out::get) and
//! [`scan`](crate::Out::scan): the answer is an event, which may come at once or after other events. A row is a serde struct, a
//! field a column.
//!
//! This is version 3 of `lines`, the whole of it: it says as well how often a line was said, on whatever connection, today or before the
//! last restart. The length of the longest line, which version 2 has brought, it does not need any more, and leaves out.
//!
#![doc = "```"]
#![doc = include_str!("counted.rs")]
#![doc = "```"]
//!
//! The row comes in an event of its own. Until then the session consumes nothing (`counting`), since one answer may not overtake another;
//! that it is half done, [`at_boundary`](crate::Session::at_boundary) says. `End` may come in between, and whoever has finished is still
//! owed what he has asked (`ending`, `more`): that is the kind of thing that late answers in a test bring up. A session of version 1 goes on with it, and its peer cannot tell whether rows come at once or late:
//!
//! ```
//! # mod component { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/lines.rs")); }
//! # mod counted { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/counted.rs")); }
//! # use tandem_component::prelude::*;
//! # use component::Lines as Lines1;
//! # use counted::Lines as Lines3;
//! for seed in 0..100 {
//!     let mut first = Harness::<Lines1>::start(&()).unwrap();
//!     first.bytes(Stream::OWN, b"tea\n");
//!     let mut third = first.carry::<Lines3>(&()).unwrap().late(seed);
//!     third.bytes(Stream::OWN, b"tea\ntea\n");
//!     third.end(Stream::OWN);
//!     assert_eq!(third.sent(Stream::OWN), b"1 tea\n2 tea: 1\n3 tea: 2\nbye\n", "seed {seed}");
//! }
//!
//! let mut session = Harness::<Lines3>::start(&()).unwrap();
//! session.fail_store(Some(StoreFailure::Unavailable));
//! session.bytes(Stream::OWN, b"tea\n");
//! assert_eq!(session.sent(Stream::OWN), b"come again later\n");
//! ```
//!
//! Tables need nothing of the configuration: the store is in the gateway's data directory, and the host makes the table with the first
//! version that declares it. `tandem status --schema` shows it.
//!
//! # Commit before release
//!
//! What one event writes is one transaction, and it is committed before any other effect of that event happens: a send, a
//! dial, a forward, a timer. So whoever gets an answer can rely on what is behind it, whatever happens next. Until then
//! the session takes no further event; other sessions go on, and share the same sync of the disk. An event that handles a
//! whole window of requests pays for one commit.
//!
//! Where the commit fails, none of the event's effects happens, the session is made what it was before the event, is told
//! [`StoreFailed`](crate::Event::StoreFailed), and then gets the event again: bytes are offered again, an answer is told
//! again. Say the protocol's temporary error then. A session that goes on writing is ended after the third failure in a row.
//!
//! # Tables that grow
//!
//! The host compares the tables of a version with those that there are, before any of its code takes traffic. It may add tables,
//! columns with a default, and indexes. It may not drop, rename or retype a column, change a key or a default: such a version
//! is refused, with the table, the column and the reason, and nothing has changed. An older version, by its number, need not
//! know what a later one has added. Several versions write the same rows at once: each sets the columns that it knows, and
//! leaves the others alone.
//!
//! A column keeps one kind for good. [`Nested`](crate::Kind::Nested) takes any value of serde as a whole: what an older version
//! does not know inside of it is lost when that version writes it. What versions share goes into columns.
//!
//! # A ledger
//!
//! A component that takes things on and answers for each of them, as a service that keeps messages does, declares with
//! [`LEDGER`](crate::Component::LEDGER) how its tables tell what became of them. The host then looks from time to time whether
//! accepted = delivered + rejected + expired + cancelled + pending, for each version, and says so where it is not: see
//! [`Ledger`](crate::Ledger) for what the tables have to have.
//!
//! Next: [calls](super::calls).
