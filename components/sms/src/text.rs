//! How text becomes the octets of short messages, and how it is read from them again.
//!
//! [`Coding`] says how text is written, [`Alphabet`] how it is read. Nothing here panics, whatever a peer or a caller says.
//!
//! This leaves to others: packing septets, which is done behind an SMSC, and the tables for single languages (3GPP 23.038,
//! section 6.2.1.2).
//!
//! Section numbers without a name are those of SMPP 3.4.

mod alphabet;
mod coding;
pub mod gsm7;

#[cfg(doc)]
use crate::Coding;

pub use alphabet::Alphabet;
pub use coding::{NotCarried, encode};
