//! Records of exchanges: a thread for each file writes them there as JSON lines, and into the store's [`TABLE`] where that is wanted.
//!
//! A worker never waits for a disk: where the queue is full, records are dropped, counted, and a notice is given.

mod file;
mod json;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};
use tandem_component::{Peer, Trace};

use self::file::Rotating;
use self::table::Rows;
use super::notice::{self, Notice};
use super::queue::{Inlet, Outlet, queue};
use crate::config;
use crate::store;
use crate::system;

pub use self::table::TABLE;

/// How many records may wait to be written.
const QUEUE: usize = 16 * 1024;
/// After so long what was handed over is written.
const GATHER: Duration = Duration::from_millis(250);
/// So long the end of the host waits for room for its last word, and again for the last records.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks for room.
const STEP: Duration = Duration::from_millis(10);

/// Where the records of a service go.
#[derive(Clone, Debug)]
pub struct Records {
    queue: Arc<Inlet<Entry>>,
    settings: config::Records,
    file: Arc<OpenFile>,
}

/// Which file is open.
#[derive(Debug, Default)]
struct OpenFile(Mutex<Option<system::FileId>>);

impl OpenFile {
    fn set(&self, id: Option<system::FileId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    fn get(&self) -> Option<system::FileId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the writing thread takes.
#[derive(Debug)]
enum Entry {
    Line(Line),
    /// Write what is there, and say so.
    Flush(Sender<()>),
    /// Go on in the file that is at the path now.
    Reopen,
}

/// One record, as a worker hands it over.
#[derive(Clone, Debug)]
pub struct Line {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The service's name.
    pub service: Arc<str>,
    /// `http@1.2.0#3fa9c1`
    pub version: Arc<str>,
    /// The session's number.
    pub session: u64,
    /// The other side.
    pub peer: Peer,
    /// The component's fields: MessagePack of a map.
    pub fields: Vec<u8>,
    /// What has led to it, where the component does not say it.
    pub trace: Option<Trace>,
}

impl Records {
    /// Appends to a file, which is made where it is not there, and writes into the table of this store where that is wanted.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(settings: &config::Records, store: &store::Handle) -> io::Result<Self> {
        let open = Arc::new(OpenFile::default());
        let file = Rotating::open(settings, Arc::clone(&open))?;
        let rows = settings.table.map(|keep| Rows::of(store.clone(), keep.get()));
        let (queue, entries) = queue(QUEUE, GATHER);
        thread::Builder::new().name("records".into()).spawn(move || write_all(&entries, file, rows))?;
        Ok(Records { queue: Arc::new(queue), settings: settings.clone(), file: open })
    }

    /// Waits until all that was handed over is in the file, but not for a disk that hangs.
    pub fn flush(&self) {
        let (done, flushed) = channel();
        if self.queue_soon(Entry::Flush(done)) && flushed.recv_timeout(PATIENCE).is_ok() {
            return;
        }
        notice::give(Notice::RecordsLost, &format!("{} did not take the last ones", self.path().display()));
    }

    /// Goes on in the file that is at their path now, after what was handed over before: it may have been moved away.
    pub fn reopen(&self) {
        if !self.queue_soon(Entry::Reopen) {
            notice::give(Notice::RecordsLost, &format!("{} could not be begun anew", self.path().display()));
        }
    }

    /// Waits for room, but not for a disk that hangs. Whether there was any.
    fn queue_soon(&self, mut entry: Entry) -> bool {
        for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
            match self.queue.push_urgent(entry) {
                Ok(()) => return true,
                Err(_) if self.queue.is_closed() => return false,
                Err(back) => entry = back,
            }
            thread::sleep(STEP);
        }
        false
    }

    /// Whether they go on as these settings say, into the file that is at their path: it may have been moved away since.
    pub fn stand(&self, settings: &config::Records) -> bool {
        let there = std::fs::metadata(self.path()).ok().and_then(|metadata| system::file_id(&metadata));
        self.settings == *settings && self.file.get() == there
    }

    /// Where they go.
    pub fn path(&self) -> &Path {
        &self.settings.file
    }

    /// Hands one over.
    pub fn push(&self, line: Line) {
        if self.queue.push(Entry::Line(line)).is_err() {
            notice::give(Notice::RecordsLost, &format!("{} cannot keep up", self.path().display()));
        }
    }
}

fn write_all(queue: &Outlet<Entry>, mut file: Rotating, mut rows: Option<Rows>) {
    let mut entries = Vec::new();
    let mut text = Vec::new();
    while queue.take(&mut entries) {
        for entry in entries.drain(..) {
            let written = match entry {
                Entry::Line(line) => {
                    text.clear();
                    json::write(&line, &mut text);
                    let written = file.write(&text);
                    if let Some(rows) = &mut rows {
                        rows.add(&line);
                    }
                    written
                }
                Entry::Flush(done) => {
                    let flushed = flush(&mut file, &mut rows);
                    // Who asked may have given up waiting.
                    let _ = done.send(());
                    flushed
                }
                Entry::Reopen => {
                    let flushed = flush(&mut file, &mut rows);
                    flushed.and(file.reopen())
                }
            };
            tell(written);
        }
        tell(flush(&mut file, &mut rows));
    }
}

fn flush(file: &mut Rotating, rows: &mut Option<Rows>) -> io::Result<()> {
    if let Some(rows) = rows {
        rows.flush();
    }
    file.flush()
}

fn tell(written: io::Result<()>) {
    if let Err(error) = written {
        notice::give(Notice::RecordsLost, &error.to_string());
    }
}

impl Line {
    /// What the component says, and what it is a part of.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = self.read();
        // That is for those who export it.
        fields.remove("sampled");
        fields
    }

    /// … and whether it is sampled.
    pub(super) fn read(&self) -> Map<String, Value> {
        let mut fields = rmp_serde::from_slice(&self.fields)
            .unwrap_or_else(|error| Map::from_iter([("unreadable".to_owned(), error.to_string().into())]));
        if let (Some(trace), false) = (self.trace, fields.contains_key("trace")) {
            fields.insert("trace".into(), trace.id().to_string().into());
            fields.insert("parent".into(), format!("{:016x}", trace.span()).into());
            fields.insert("sampled".into(), trace.is_sampled().into());
        }
        fields
    }

    /// `http`, of `http@1.2.0#3fa9c1`.
    pub(super) fn component(&self) -> &str {
        self.version.split_once('@').map_or("", |(component, _)| component)
    }
}

/// The path of a file that was moved away `n` files ago.
fn moved(path: &Path, n: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}
