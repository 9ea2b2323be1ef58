//! What carries bytes: addresses, listening sockets and connections. Nothing here knows of sessions.

mod address;
mod handed;
mod listener;
mod socket;

pub use address::Address;
pub use handed::Handed;
pub use listener::{Bound, bind};
pub use socket::{Connecting, Socket};
