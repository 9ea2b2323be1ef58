//! The host: sockets, clocks, timers, threads, the life of versions. It knows no protocol.
//!
//! | module | what it is about |
//! |---|---|
//! | [`config`] | the configuration file, checked whole |
//! | [`account`] | who is on the other side, and how that is proven |
//! | [`agreement`] | what an account may use of a service, counted for all versions together |
//! | [`transport`] | addresses, listening sockets, connections |
//! | [`tls`] | what TLS is agreed on by: certificates, keys, names |
//! | [`session`] | what the host holds of each session, and the driver that takes it from event to event |
//! | [`worker`] | a thread with its runtime, its sessions, its pools |
//! | [`service`] | what services use of the host besides their own connections |
//! | [`store`] | the rows of the components' tables |
//! | [`version`] | the life of a version, the table, the leases |
//! | [`loader`] | the shelf, the examination, loading and unloading: the host's unsafe code |
//! | [`host`] | the only place where parts are wired together: the reload |
//! | [`admin`] | the socket that the command line talks to |
//! | [`cli`] | the command line |
//! | [`observe`] | the log, notices, records |
//! | [`system`] | what differs by operating system |
//! | [`clock`] | the only place that reads a clock |

#![deny(unsafe_code)] // `loader` relaxes it: code is loaded there and nowhere else.

pub mod account;
pub mod admin;
pub mod agreement;
pub mod cli;
pub mod clock;
pub mod config;
pub mod host;
#[allow(unsafe_code)] // It loads code; see the `deny` above.
pub mod loader;
pub mod observe;
pub mod service;
pub mod session;
pub mod store;
mod sync;
pub mod system;
pub mod tls;
pub mod transport;
pub mod version;
pub mod worker;
