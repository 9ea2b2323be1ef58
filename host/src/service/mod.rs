//! What services use of the host besides their own connections: upstreams, and connectors.

pub mod connector;
mod upstream;

pub use upstream::{Dialed, Health, SWEEP, Settings, Ticket, Upstreams};
