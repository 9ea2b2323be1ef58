//! The manual: how a component is written, tested and replaced. Every example is compiled and run.
//!
//! - [`echo`]: the smallest component, step by step, from an empty directory to a running gateway.
//! - [`sessions`]: events, effects, unread bytes, boundaries, timers, other streams, backpressure.
//! - [`testing`]: a session without a host: late answers, bytes one at a time, another version in the middle.
//! - [`versions`]: what becomes of sessions when a newer version is active, and how state may grow.
//! - [`tables`]: state that outlives sessions: rows, transactions, what happens where nothing can be stored.
//! - [`calls`]: one service asks another: who is asked, what fails, what is withdrawn.
//! - [`agreements`]: what an account may use: admissions, what is held, what refuses.
//! - [`conversations`]: what belongs together over many connections, and stays with one version.
//! - [`rules`]: what a component must not do, and what happens where it does.

pub mod agreements;
pub mod calls;
pub mod conversations;
pub mod echo;
pub mod rules;
pub mod sessions;
pub mod tables;
pub mod testing;
pub mod versions;
