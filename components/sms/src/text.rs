//! How text becomes the octets of short messages, and how it is read from them again.
//!
//! [`split`] makes of one text the messages that say it, [`Content::of`] reads what a message carries, and [`join`] puts the parts
//! of a long one together. [`Coding`] says how text is written, [`Alphabet`] how it is read. Nothing here panics, whatever a peer or a
//! caller says.
//!
//! Where a long text is cut, no character is: an escape of the GSM alphabet stays with what it escapes, a surrogate with its
//! other half. Clusters of several characters, such as a letter with a combining accent, may be cut between them.
//!
//! This leaves to others: which parts belong together and whether all are there; reference numbers, which come in as arguments; packing
//! septets, which is done behind an SMSC; and the tables for single languages (3GPP 23.038, section 6.2.1.2).
//!
//! ```
//! use tandem_sms::Sms;
//! use tandem_sms::text::{Concatenation, Content, Joined, join, split};
//!
//! let said = "Grüße, 5 €. ".repeat(20);
//! let parts = split(&Sms::default(), &said, None, Concatenation::Udh8, 7)?;
//! assert_eq!(parts.len(), 2);
//! let read = parts.iter().map(Content::of).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(read[1].part.map(|part| (part.reference, part.total, part.number)), Some((7, 2, 2)));
//! assert_eq!(join(&read), Joined::Text(said));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Section numbers without a name are those of SMPP 3.4.

mod alphabet;
mod coding;
mod content;
pub mod gsm7;
mod header;
mod split;

#[cfg(doc)]
use crate::Coding;

pub use alphabet::Alphabet;
pub use coding::{NotCarried, encode};
pub use content::{Content, Joined, Part, join};
pub use header::{Elements, Header, NoHeader};
pub use split::{Concatenation, NotSplit, PARTS_MAX, split};

/// The bit of `esm_class` that says that the message begins with a user data header (section 5.2.12).
pub const UDHI: u8 = 0b0100_0000;
