//! What differs by operating system, under the same names on each: `unix.rs` is Linux, macOS and their like.
//!
//! Only here and in `loader`, which keeps what is its own, does the host's code ask which system it is on.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::*;

/// What the system tells the process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Look for new components and a changed configuration.
    Reload,
    /// Finish what is under way and end.
    Stop,
}
