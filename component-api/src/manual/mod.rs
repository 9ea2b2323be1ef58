//! The manual: one way from an empty directory to a component with state, replaced while it carries traffic. Every example is
//! compiled and run.
//!
//! `tandem new lines` makes a package that builds; what stands in its `src/lib.rs` is yours to replace, with the code of these chapters for a
//! start. In this order, each goes on with what the one before has made:
//!
//! | | chapter | what it adds |
//! |---|---|---|
//! | 1 | [`echo`] | the package, the two traits, a gateway: the smallest component there is |
//! | 2 | [`sessions`] | `lines`: a protocol with a configuration and a timer. Events, effects, unread bytes, other streams, backpressure |
//! | 3 | [`testing`] | its tests, without a host: one byte at a time, late answers, another version in the middle |
//! | 4 | [`versions`] | its version 2, which remembers more of a session: how state grows, and what becomes of who is connected |
//! | 5 | [`swapping`] | version 2 in place of version 1, with a connection open: by each save, by hand, looked at before, and taken back |
//! | 6 | [`tables`] | version 3, which remembers beyond sessions: rows, transactions, what happens where nothing can be stored |
//! | 7 | [`calls`] | version 4, which other services ask, and which asks one: what fails, what is withdrawn, on whose behalf |
//! | 8 | [`agreements`] | whose line it is, and whether he may have it: admissions, what is held, what refuses |
//! | 9 | [`conversations`] | what belongs together over many connections, and stays with one version |
//! | 10 | [`rules`] | what a component must not do, and what happens where it does |
//!
//! Three chapters make a component that can be deployed (1, 2 and 5); most protocols want 6. Words such as *version*, *service* and *boundary*
//! are those of the glossary in ARCHITECTURE.md.

pub mod agreements;
pub mod calls;
pub mod conversations;
pub mod echo;
pub mod rules;
pub mod sessions;
pub mod swapping;
pub mod tables;
pub mod testing;
pub mod versions;
