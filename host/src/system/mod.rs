//! What differs by operating system, under the same names on each: a file for Unix (Linux, macOS), one for Windows.
//!
//! Only here and in `loader`, which keeps what is its own, does the host's code ask which system it is on.

mod exposed;
#[cfg(windows)]
mod no_unix_sockets;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use exposed::{Exposed, Others, only_ours};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// What the system tells the process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Look for new components and a changed configuration.
    Reload,
    /// Finish what is under way and end.
    Stop,
}
