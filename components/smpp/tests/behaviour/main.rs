//! What an ESME sees, one behaviour a file.

mod anything;
mod binding;
mod framing;
mod goodbye;
mod keeping_alive;
mod recalling;
mod receipts;
mod store_failing;
mod submitting;
mod support;
mod windows;
