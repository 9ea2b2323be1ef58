//! The command line's end of the admin socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, Request, Stopping};
use crate::system::{self, AdminStream};

/// A reload with many examinations takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a stop may take beyond the time that sessions get.
const SLACK: Duration = Duration::from_secs(10);

/// Why the host could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody listens there.
    #[error("no host answers at {path}; is it running, and is this its configuration?", path = path.display())]
    NoHost {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("the host's answer cannot be read: {0}")]
    Unreadable(String),
    /// It has not stopped in its time.
    #[error("the host, process {}, still runs after {} seconds; its log says why", .0.pid, (.0.within() + SLACK).as_secs())]
    StillRuns(Stopping),
}

/// Asks the host whose socket this is.
///
/// # Errors
/// No host is there, or its answer cannot be read.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, AdminError> {
    ask_for(socket, request, Duration::ZERO)
}

/// As [`ask`], for what may take so much longer than others.
///
/// # Errors
/// As for `ask`.
pub fn ask_for(socket: &Path, request: &Request, longer: Duration) -> Result<Answer, AdminError> {
    Ok(converse(socket, request, PATIENCE.saturating_add(longer))?.0)
}

/// Has the host stop, and waits until its process is gone: its connections end with it.
///
/// # Errors
/// No host is there, its answer cannot be read, or it still runs when its time is up.
pub fn stop(socket: &Path) -> Result<Stopping, AdminError> {
    let (stopping, mut rest) = match converse(socket, &Request::Stop, PATIENCE)? {
        (Answer::Stop(stopping), rest) => (stopping, rest),
        (other, _) => return Err(AdminError::Unreadable(format!("{other:?}"))),
    };
    let no_host = |source| AdminError::NoHost { path: socket.to_owned(), source };
    rest.get_ref().set_read_timeout(Some(stopping.within() + SLACK)).map_err(no_host)?;
    match rest.read_to_end(&mut Vec::new()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(AdminError::StillRuns(stopping))
        }
        // A connection that breaks has ended as well.
        _ => Ok(stopping),
    }
}

/// The answer, and the connection on which it came.
fn converse(
    socket: &Path,
    request: &Request,
    patience: Duration,
) -> Result<(Answer, BufReader<AdminStream>), AdminError> {
    let no_host = |source| AdminError::NoHost { path: socket.to_owned(), source };
    let unreadable = |error: serde_json::Error| AdminError::Unreadable(error.to_string());
    let mut stream = system::connect_admin(socket).map_err(no_host)?;
    stream.set_read_timeout(Some(patience)).map_err(no_host)?;
    let mut line = serde_json::to_vec(request).map_err(unreadable)?;
    line.push(b'\n');
    stream.write_all(&line).map_err(no_host)?;
    let (mut answer, mut stream) = (String::new(), BufReader::new(stream));
    stream.read_line(&mut answer).map_err(no_host)?;
    Ok((serde_json::from_str(&answer).map_err(unreadable)?, stream))
}
