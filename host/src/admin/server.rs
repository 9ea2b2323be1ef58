//! The host's end of the admin socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::{Answer, Request};
use crate::host::Event;
use crate::observe::notice::{self, Notice};
use crate::system::{AdminListener, AdminStream};

/// How long a client may take to ask, and to take what it is answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure to accept the next try waits for so long.
const PAUSE: Duration = Duration::from_millis(100);
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
    let listener = Arc::new(AdminListener::bind(path)?);
    let clients = Arc::new(AtomicUsize::new(0));
    thread::Builder::new().name("admin".into()).spawn(move || {
        loop {
            let stream = match listener.accept() {
                Ok(stream) => stream,
                // Out of descriptors the kernel says so at once, and would be asked for ever.
                Err(error) => {
                    notice::give(
                        Notice::AcceptFailed,
                        &format!("the admin socket: {error}; the next try is in {PAUSE:?}"),
                    );
                    thread::sleep(PAUSE);
                    continue;
                }
            };
            if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
                clients.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (listener, host, counted) = (Arc::clone(&listener), host.clone(), Arc::clone(&clients));
            let started = thread::Builder::new().name("admin-client".into()).spawn(move || {
                if let Err(error) = answer(&listener, &stream, &host) {
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

fn answer(listener: &AdminListener, mut stream: &AdminStream, host: &Sender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut said = BufReader::new(stream.take(REQUEST_MAX));
    if !listener.admits(&mut said)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut line = String::new();
    said.read_line(&mut line)?;
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
