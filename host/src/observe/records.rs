//! Records of exchanges, written as JSON lines by a thread of their own.
//!
//! A worker never waits for a disk: where the queue is full, records are dropped, counted, and a notice is given.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::notice::{self, Notice};

/// How many records may wait to be written.
const QUEUE: usize = 16 * 1024;
/// After so long at the latest what was written is in the file.
const FLUSH: Duration = Duration::from_millis(500);

/// Where the records of a service go.
#[derive(Clone, Debug)]
pub struct Records {
    queue: SyncSender<Line>,
    path: PathBuf,
}

/// One record, as a worker hands it over.
#[derive(Debug)]
pub struct Line {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The service's name.
    pub service: String,
    /// `http@1.2.0#3fa9c1`
    pub version: String,
    /// The session's number.
    pub session: u64,
    /// The other side.
    pub peer: String,
    /// The component's fields: MessagePack of a map.
    pub fields: Vec<u8>,
}

impl Records {
    /// Appends to a file; makes it where it is not there.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        let (queue, lines) = sync_channel(QUEUE);
        thread::Builder::new().name("records".into()).spawn(move || write_all(&lines, BufWriter::new(file)))?;
        Ok(Records { queue, path: path.to_owned() })
    }

    /// Where they go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands one over.
    pub fn push(&self, line: Line) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(line) {
            notice::give(Notice::RecordsLost, &format!("{} cannot keep up", self.path.display()));
        }
    }
}

fn write_all(lines: &Receiver<Line>, mut file: BufWriter<std::fs::File>) {
    let mut dirty = false;
    loop {
        let line = if dirty {
            match lines.recv_timeout(FLUSH) {
                Ok(line) => Some(line),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => None,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            }
        } else {
            match lines.recv() {
                Ok(line) => Some(line),
                Err(_) => break,
            }
        };
        let written = match line {
            Some(line) => {
                dirty = true;
                serde_json::to_writer(&mut file, &line.object())
                    .map_err(std::io::Error::from)
                    .and_then(|()| file.write_all(b"\n"))
            }
            None => {
                dirty = false;
                file.flush()
            }
        };
        if let Err(error) = written {
            notice::give(Notice::RecordsLost, &error.to_string());
        }
    }
    // The end of the process or of the service: what is left is written, or was lost with the disk.
    let _ = file.flush();
}

impl Line {
    fn object(self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("time_ns".into(), self.time.into());
        object.insert("service".into(), self.service.into());
        object.insert("version".into(), self.version.into());
        object.insert("session".into(), self.session.into());
        object.insert("peer".into(), self.peer.into());
        match rmp_serde::from_slice::<Map<String, Value>>(&self.fields) {
            Ok(fields) => object.extend(fields),
            Err(error) => drop(object.insert("unreadable".into(), error.to_string().into())),
        }
        object
    }
}
