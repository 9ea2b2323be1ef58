//! Short messages as services pass them to each other, and what they ask of each other: [`Asked`], and what is answered.
//!
//! A front (`smpp` with ESMEs, `rest`) asks `messaging` to [submit](Submit); that asks a network's service (`smpp` with an
//! SMSC) the same. What a network sends goes the other way, by [`Deliver`]. Any of them may be left out: an `smpp` service
//! with ESMEs may ask one with an SMSC itself.
//!
//! **It only grows.** On the way these are maps by the names of their fields: a field that a later version adds is passed over
//! by an older one, and has its default where an older one has left it out. So a caller and a callee of any two versions work
//! together, both ways round. A field keeps its meaning for good, and its default means what was so before there was the field.
//! A question that an older callee does not know it refuses with a misfit, and answers [`status::UNKNOWN_COMMAND`].
//!
//! What several of them do with a message is here as well: [`text`] is how it is encoded, split, read and joined, and
//! [`Address::source`] and [`Address::destination`] are how addresses are read that people write.

#![forbid(unsafe_code)]

mod address;
pub mod date;
mod exchange;
mod state;
pub mod status;
pub mod text;
pub mod tlv;

pub use address::{NoAddress, fit};
pub use exchange::{
    Address, Asked, Cancel, Cancelled, Coding, Deliver, Delivered, Known, Left, List, Listed, Queried, Query, Replace,
    Replaced, Report, Sms, Submit, Submitted,
};
pub use state::State;
