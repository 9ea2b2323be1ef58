//! What services use of the host besides their own connections: upstreams, connectors, and each other.

mod calls;
pub mod connector;
mod upstream;

pub use calls::{Callees, Request};
pub use upstream::{Dialed, Health, Owner, SWEEP, Settings, Ticket, Upstreams};
