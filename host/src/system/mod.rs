//! What differs by operating system, under the same names on each: a file for Unix (Linux, macOS), one for Windows.
//!
//! Only here and in `loader`, which keeps what is its own, does the host's code ask which system it is on.

mod exposed;
#[cfg(target_os = "linux")]
mod handed;
#[cfg(not(target_os = "linux"))]
mod no_starter;
#[cfg(windows)]
mod no_unix_sockets;
#[cfg(target_os = "linux")]
mod starter;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::Socket;

pub use exposed::{Exposed, Others, only_ours};
#[cfg(target_os = "linux")]
pub use handed::handed_over;
#[cfg(not(target_os = "linux"))]
pub use no_starter::{handed_over, patience, tell};
#[cfg(target_os = "linux")]
pub use starter::{patience, tell};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// Begins a file anew that is its owner's alone, whatever the process's mask is.
///
/// # Errors
/// It cannot be made.
pub fn begin_private_file(path: &Path) -> io::Result<File> {
    make_private_file(path)?;
    File::options().write(true).truncate(true).open(path)
}

/// What the process takes of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory that are resident.
    pub resident: u64,
    /// Time on processors.
    pub processor: std::time::Duration,
    /// Open descriptors.
    pub descriptors: u64,
}

/// What the system tells the process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Look for new components and a changed configuration.
    Reload,
    /// Finish what is under way and end.
    Stop,
    /// Begin anew the files that were moved away.
    Reopen,
    /// Something that means nothing to this process, by its name; unasked, the system would end it.
    Other(&'static str),
}

/// How the process is, as whoever has started it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It serves, and what: after the start, and after each reload.
    Serving(&'a str),
    /// What it serves has changed otherwise.
    Now(&'a str),
    /// It reloads.
    Reloading,
    /// It stops, and takes at most so long.
    Stopping(Duration),
    /// It is not stuck.
    Alive,
}

/// A socket that whoever has started the process has handed over. It does not wait.
#[derive(Debug)]
pub struct HandedOver {
    /// What it is called there.
    pub name: String,
    /// Where it listens.
    pub place: Place,
    /// Itself.
    pub socket: Socket,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// For TCP connections.
    Tcp(SocketAddr),
    /// For datagrams.
    Udp(SocketAddr),
    /// At a path, for connections.
    Unix(PathBuf),
}
