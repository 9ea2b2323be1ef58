//! The command line's end of the admin socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, Request};

/// A reload with many examinations takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why the host could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody listens there.
    #[error("no host answers at {path}; is it running, and is this its configuration?", path = path.display())]
    NoHost {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It answered something else.
    #[error("the host's answer cannot be read: {0}")]
    Unreadable(String),
}

/// Asks the host whose socket this is.
///
/// # Errors
/// No host is there, or its answer cannot be read.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, AdminError> {
    let no_host = |source| AdminError::NoHost { path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(no_host)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(no_host)?;
    let mut line = serde_json::to_vec(request).map_err(|error| AdminError::Unreadable(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(no_host)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(no_host)?;
    serde_json::from_str(&answer).map_err(|error| AdminError::Unreadable(error.to_string()))
}
