//! What carries bytes: addresses, listening sockets and connections. Nothing here knows of sessions.

mod address;
mod connecting;
mod entrance;
mod handed;
mod listener;
pub mod proxy;
mod socket;
mod tls;

pub use address::Address;
pub use connecting::{Connecting, Way};
pub use entrance::{Entrance, Terms};
pub use handed::Handed;
pub use listener::{Bound, bind};
pub use socket::Socket;
pub use tls::{Handshake, Tls};
