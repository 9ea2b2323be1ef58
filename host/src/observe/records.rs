//! Records of exchanges, written as JSON lines by a thread of their own.
//!
//! A worker never waits for a disk: where the queue is full, records are dropped, counted, and a notice is given.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::notice::{self, Notice};
use crate::clock::{Clock, Nanos, nanos};
use crate::system;

/// How many records may wait to be written.
const QUEUE: usize = 16 * 1024;
/// After so long at the latest what was written is in the file.
const FLUSH: Duration = Duration::from_millis(500);
/// So long the end of the host waits for room for its last word, and again for the last records.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks for room.
const STEP: Duration = Duration::from_millis(10);

/// Where the records of a service go.
#[derive(Clone, Debug)]
pub struct Records {
    queue: SyncSender<Entry>,
    path: PathBuf,
    file: Option<system::FileId>,
}

/// What the writing thread takes.
#[derive(Debug)]
enum Entry {
    Line(Line),
    /// Write what is there, and say so.
    Flush(Sender<()>),
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
        let file = system::append(path)?;
        let id = file.metadata().ok().and_then(|metadata| system::file_id(&metadata));
        // One that cannot be read, only written, is taken for whole.
        let broken = ends_within_a_line(path).unwrap_or(false);
        let (queue, entries) = sync_channel(QUEUE);
        thread::Builder::new().name("records".into()).spawn(move || write_all(&entries, Lines::to(file, broken)))?;
        Ok(Records { queue, path: path.to_owned(), file: id })
    }

    /// Waits until all that was handed over is in the file, but not for a disk that hangs.
    pub fn flush(&self) {
        let (done, flushed) = channel();
        let mut entry = Entry::Flush(done);
        for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
            match self.queue.try_send(entry) {
                Ok(()) if flushed.recv_timeout(PATIENCE).is_ok() => return,
                Ok(()) | Err(TrySendError::Disconnected(_)) => break,
                Err(TrySendError::Full(back)) => entry = back,
            }
            thread::sleep(STEP);
        }
        notice::give(Notice::RecordsLost, &format!("{} did not take the last ones", self.path.display()));
    }

    /// Whether its path still leads to the file that they go to, which may have been moved away since.
    pub fn are_at_their_path(&self) -> bool {
        self.file == std::fs::metadata(&self.path).ok().and_then(|metadata| system::file_id(&metadata))
    }

    /// Where they go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands one over.
    pub fn push(&self, line: Line) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(Entry::Line(line)) {
            notice::give(Notice::RecordsLost, &format!("{} cannot keep up", self.path.display()));
        }
    }
}

fn write_all<W: Write>(entries: &Receiver<Entry>, mut file: Lines<W>) {
    let clock = Clock::new();
    // When what was written first has to be in the file.
    let mut due: Option<Nanos> = None;
    loop {
        let entry = match due {
            None => entries.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => entries.recv_timeout(Duration::from_nanos(due.saturating_sub(clock.now()))),
        };
        let written = match entry {
            Ok(Entry::Line(line)) => {
                due.get_or_insert(clock.now() + nanos(FLUSH));
                file.write(&line.object())
            }
            Ok(Entry::Flush(done)) => {
                due = None;
                let flushed = file.flush();
                // Who asked may have given up waiting.
                let _ = done.send(());
                flushed
            }
            Err(RecvTimeoutError::Timeout) => {
                due = None;
                file.flush()
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = written {
            notice::give(Notice::RecordsLost, &error.to_string());
        }
    }
    if let Err(error) = file.flush() {
        notice::give(Notice::RecordsLost, &error.to_string());
    }
}

/// Writes lines, of which none is broken for those that follow: also where the disk was full in between.
struct Lines<W: Write> {
    file: BufWriter<W>,
    /// The last one may be there in part.
    broken: bool,
}

impl<W: Write> Lines<W> {
    fn to(file: W, broken: bool) -> Self {
        Lines { file: BufWriter::new(file), broken }
    }

    /// Writes one line, whole or not at all, but for one that is longer than what is kept.
    fn write(&mut self, object: &Map<String, Value>) -> io::Result<()> {
        let mut line = if self.broken { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, object)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        // A shorter one that did not fit waits in the buffer, or was not put there; a longer one goes past it.
        self.broken = match written {
            Ok(()) => false,
            Err(_) => self.broken || line.len() >= self.file.capacity(),
        };
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether the last line of a file is there in part: its writer ended while the disk was full.
fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    // A pipe would have us wait for what is never written to it.
    let metadata = path.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io::{self, Write};

    use serde_json::{Map, Value};

    use super::Lines;

    /// A disk with room for so many bytes.
    #[derive(Default)]
    struct Disk {
        room: Cell<usize>,
        file: RefCell<Vec<u8>>,
    }

    impl Write for &Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room.get());
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room.set(self.room.get() - taken);
            self.file.borrow_mut().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_whole_lines_and_breaks_but_one_that_is_very_long() {
        for (length, broken) in [(100, 0), (5000, 0), (20_000, 1)] {
            let disk = Disk::default();
            let mut lines = Lines::to(&disk, false);
            let mut write = |number: u64| {
                let text = "x".repeat(length);
                let object = [("number", number.into()), ("text", text.into())];
                lines.write(
                    &object
                        .map(|(key, value): (&str, Value)| (key.to_owned(), value))
                        .into_iter()
                        .collect::<Map<_, _>>(),
                )
            };
            disk.room.set(50_000);
            let lost = (0..1000).filter(|number| write(*number).is_err()).count();
            assert!(lost > 0, "{length}: it was full");
            disk.room.set(1_000_000);
            (1000..1010).for_each(|number| write(number).unwrap());
            lines.flush().unwrap();

            let text = String::from_utf8(disk.file.take()).unwrap();
            let (whole, others): (Vec<&str>, Vec<&str>) =
                text.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
            assert_eq!((whole.len(), others.len()), (1010 - lost, broken), "{length}");
        }
    }
}
