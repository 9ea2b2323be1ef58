//! The host's end of the admin socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::{Answer, Request};
use crate::host::Event;

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request.
const REQUEST_MAX: u64 = 64 * 1024;
/// So many ask at a time; more are closed.
const CLIENTS_MAX: usize = 32;

/// Serves the socket on a thread of its own. The host holds the lock of its data directory, so a socket that is there
/// already is one that a predecessor has left behind.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(path: &Path, host: Sender<Event>) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let clients = Arc::new(AtomicUsize::new(0));
    thread::Builder::new().name("admin".into()).spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
                clients.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (host, counted) = (host.clone(), Arc::clone(&clients));
            let started = thread::Builder::new().name("admin-client".into()).spawn(move || {
                if let Err(error) = answer(&stream, &host) {
                    tracing::debug!("an admin client: {error}");
                }
                counted.fetch_sub(1, Ordering::Relaxed);
            });
            if started.is_err() {
                clients.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok(())
}

fn answer(mut stream: &UnixStream, host: &Sender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Err(error) => Answer::Unknown(error.to_string()),
        Ok(request) => {
            let (reply, answers) = channel();
            host.send(Event::Asked(request, reply)).map_err(|_| gone())?;
            answers.recv().map_err(|_| gone())?
        }
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    if let Answer::Stop(_) = answer {
        // Only now that the answer is on its way: the process may end at once.
        host.send(Event::Stop).map_err(|_| gone())?;
        // The connection ends with the process, by which the client knows; or the client goes first.
        stream.set_read_timeout(None)?;
        let _ = stream.read(&mut [0])?;
    }
    Ok(())
}
