//! What an operator sees: the log, notices, and the records of exchanges.

pub mod crash;
pub mod inside;
pub mod log;
pub mod notice;
mod queue;
pub mod records;
pub mod traces;
