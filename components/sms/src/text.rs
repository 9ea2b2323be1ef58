//! How text becomes the octets of short messages, and how it is read from them again.
//!
//! [`Content::of`] reads what a message carries, and [`join`] puts the parts of a long one together. [`Coding`] says how text is
//! written, [`Alphabet`] how it is read. Nothing here panics, whatever a peer or a caller says.
//!
//! This leaves to others: which parts belong together and whether all are there; packing septets, which is done behind an SMSC, and the tables for single languages (3GPP 23.038,
//! section 6.2.1.2).
//!
//! Section numbers without a name are those of SMPP 3.4.

mod alphabet;
mod coding;
mod content;
pub mod gsm7;
mod header;

#[cfg(doc)]
use crate::Coding;

pub use alphabet::Alphabet;
pub use coding::{NotCarried, encode};
pub use content::{Content, Joined, Part, join};
pub use header::{Elements, Header, NoHeader};

/// The bit of `esm_class` that says that the message begins with a user data header (section 5.2.12).
pub const UDHI: u8 = 0b0100_0000;
