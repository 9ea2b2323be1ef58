//! Tables: state that outlives sessions, versions, restarts and crashes.
//!
//! A component declares the tables that it reads and writes ([`TABLES`](crate::Component::TABLES)), and works on their rows with
//! effects: [`put`](crate::Out::put), [`update`](crate::Out::update), [`add`](crate::Out::add), [`delete`](crate::Out::delete),
//! [`insert`](crate::Out::insert), [`swap`](crate::Out::swap). It reads them by asking, [`get`](crate::Out::get) and
//! [`scan`](crate::Out::scan): the answer is an event, which may come at once or after other events. A row is a serde struct, a
//! field a column.
//!
//! ```
//! use tandem_component::prelude::*;
//!
//! const VISITS: Table = Table {
//!     name: "visits",
//!     key: &["name"],
//!     columns: &[
//!         Column::new("name", Kind::Text),
//!         Column::new("n", Kind::Integer).or(Literal::Integer(0)).indexed(),
//!     ],
//! };
//!
//! #[derive(Deserialize)]
//! struct Visit {
//!     n: i64,
//! }
//!
//! #[derive(Serialize, Deserialize, Then)]
//! enum Waiting {
//!     Counted,
//! }
//!
//! struct Greeter;
//! #[derive(Serialize, Deserialize)]
//! struct Talk {
//!     refuse: bool,
//! }
//! # impl Component for Greeter {
//! #     type Config = ();
//! #     type Session = Talk;
//! #     const TABLES: &'static [Table] = &[VISITS];
//! #     const POLICY: Policy = Policy::Carry;
//! #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Greeter) }
//! #     fn open(&self, _: &Opening<'_>) -> Result<Talk, Refusal> { Ok(Talk { refuse: false }) }
//! # }
//!
//! impl Session for Talk {
//!     type Component = Greeter;
//!     type Then = Waiting;
//!
//!     fn handle(&mut self, _: &Greeter, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         match event {
//!             Event::Bytes { stream, bytes } if std::mem::take(&mut self.refuse) => {
//!                 out.consume(bytes.len());
//!                 out.send(stream, b"come again later\n");
//!             }
//!             Event::Bytes { bytes, .. } => {
//!                 let name = String::from_utf8_lossy(bytes);
//!                 out.consume(bytes.len());
//!                 out.add(&VISITS, &name.trim(), "n", 1);
//!                 out.get(&VISITS, &name.trim(), Waiting::Counted);
//!             }
//!             Event::Answer { then: Waiting::Counted, answer: Answer::Row(Some(row)) } => {
//!                 let Visit { n } = row.read()?;
//!                 out.send(Stream::OWN, format!("visit {n}\n").as_bytes());
//!             }
//!             // None of what the last event told has happened, and the event comes again.
//!             Event::StoreFailed { .. } => self.refuse = true,
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//!     fn at_boundary(&self) -> bool {
//!         true
//!     }
//! }
//!
//! let mut session = Harness::<Greeter>::start(&()).unwrap();
//! session.bytes(Stream::OWN, b"ada");
//! session.bytes(Stream::OWN, b"ada");
//! assert_eq!(session.sent(Stream::OWN), b"visit 1\nvisit 2\n");
//! session.fail_store(Some(StoreFailure::Unavailable));
//! session.bytes(Stream::OWN, b"ada");
//! assert_eq!(session.sent(Stream::OWN), b"come again later\n");
//! ```
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
