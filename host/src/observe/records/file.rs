//! The file of records: whole lines, and another file where it has become too long or too old.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{OpenFile, moved};
use crate::clock::time_of_day;
use crate::config;
use crate::system;

/// So many bytes are written together.
const TOGETHER: usize = 64 << 10;

/// A file that is moved away when it has become too long or too old.
pub(super) struct Rotating {
    settings: config::Records,
    lines: Lines<File>,
    /// How long it is.
    size: u64,
    /// When it was begun, in nanoseconds since 1970.
    begun: u64,
    /// It is one that can be moved away: a pipe or a terminal is not.
    is_file: bool,
    open: Arc<OpenFile>,
}

impl Rotating {
    /// Opens the file, which is made where it is not there.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(settings: &config::Records, open: Arc<OpenFile>) -> io::Result<Self> {
        let path = &settings.file;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = system::append(path)?;
        let metadata = file.metadata()?;
        open.set(system::file_id(&metadata));
        // One that cannot be read, only written, is taken for whole.
        let broken = ends_within_a_line(path).unwrap_or(false);
        // Where the file system does not know, its age counts from now.
        let begun = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(Rotating {
            settings: settings.clone(),
            lines: Lines::to(file, broken),
            size: metadata.len(),
            begun: begun.map_or_else(time_of_day, crate::clock::nanos),
            is_file: metadata.is_file(),
            open,
        })
    }

    /// Goes on in the file that is at the path now. Where it cannot be opened, this one goes on.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let path = &self.settings.file;
        let failed = |error| io::Error::other(format!("{} cannot be begun anew: {error}", path.display()));
        *self = Rotating::open(&self.settings, Arc::clone(&self.open)).map_err(failed)?;
        Ok(())
    }

    /// Writes one line, into another file where this one has had its time.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let rotated = if self.is_due(line.len() as u64) { self.rotate() } else { Ok(()) };
        self.lines.write(line)?;
        self.size += line.len() as u64;
        rotated
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }

    fn is_due(&self, more: u64) -> bool {
        let age = || Duration::from_nanos(time_of_day().saturating_sub(self.begun));
        let too_long = self.settings.max_size.is_some_and(|max| self.size + more > max.0);
        // An empty one stays, so that no empty ones are kept.
        self.is_file && self.size > 0 && (too_long || self.settings.max_age.is_some_and(|max| age() > max.get()))
    }

    /// Moves it away and begins another. Where that cannot be done, this one goes on, and it is tried again after as many bytes or as
    /// long.
    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.settings.file;
        let flushed = self.lines.flush();
        let begin = || {
            let keep = self.settings.keep;
            for n in (1..keep).rev() {
                rename(&moved(path, n), &moved(path, n + 1))?;
            }
            // One that somebody else has moved away already is not ours to move.
            rename(path, &moved(path, 1))?;
            system::append(path)
        };
        (self.size, self.begun) = (0, time_of_day());
        let reason = |error: io::Error| io::Error::other(format!("{} cannot be moved away: {error}", path.display()));
        let file = begin().map_err(reason)?;
        self.open.set(file.metadata().ok().and_then(|metadata| system::file_id(&metadata)));
        self.lines = Lines::to(file, false);
        flushed
    }
}

/// Moves a file, where it is there.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
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
        Lines { file: BufWriter::with_capacity(TOGETHER, file), broken }
    }

    /// Writes one line, whole or not at all, but for one that is longer than what is kept.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let line = if self.broken { Cow::Owned([b"\n", line].concat()) } else { Cow::Borrowed(line) };
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io::{self, Write};

    use serde_json::Value;

    use super::{Lines, Rotating};
    use crate::config::{Records, Size, Span};

    fn settings(file: std::path::PathBuf) -> Records {
        Records { file, max_size: None, max_age: None, keep: 2, table: None }
    }

    fn line(number: u64) -> Vec<u8> {
        format!("{}\n", serde_json::json!({ "number": number, "text": "x".repeat(1100) })).into_bytes()
    }

    fn numbers(path: &std::path::Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64().unwrap();
        text.lines().map(number).collect()
    }

    #[test]
    fn a_file_that_is_too_long_is_moved_away_and_so_many_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join("in").join(name);
        let settings = Records { max_size: Some(Size(4096)), ..settings(at("r.jsonl")) };
        let mut file = Rotating::open(&settings, std::sync::Arc::default()).unwrap();
        (0..11).for_each(|number| file.write(&line(number)).unwrap());
        file.flush().unwrap();
        assert_eq!(numbers(&at("r.jsonl")), [9, 10]);
        assert_eq!((numbers(&at("r.jsonl.1")), numbers(&at("r.jsonl.2"))), (vec![6, 7, 8], vec![3, 4, 5]));
        assert!(!at("r.jsonl.3").exists());

        // It goes on where it was.
        drop(file);
        let mut file = Rotating::open(&settings, std::sync::Arc::default()).unwrap();
        (11..13).for_each(|number| file.write(&line(number)).unwrap());
        file.flush().unwrap();
        assert_eq!((numbers(&at("r.jsonl.1")), numbers(&at("r.jsonl"))), (vec![9, 10, 11], vec![12]));
    }

    #[test]
    fn a_file_that_is_too_old_is_moved_away_when_there_is_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.jsonl");
        let settings = Records { max_age: Some(Span::seconds(60)), ..settings(path.clone()) };
        let mut file = Rotating::open(&settings, std::sync::Arc::default()).unwrap();
        file.write(&line(0)).unwrap();
        file.begun -= 61_000_000_000;
        (1..3).for_each(|number| file.write(&line(number)).unwrap());
        file.flush().unwrap();
        assert_eq!((numbers(&super::moved(&path, 1)), numbers(&path)), (vec![0], vec![1, 2]));
    }

    #[test]
    fn a_file_that_cannot_be_moved_away_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.jsonl");
        // A directory with something in it gives way to no file.
        std::fs::create_dir_all(super::moved(&path, 1).join("x")).unwrap();
        std::fs::create_dir_all(super::moved(&path, 2).join("x")).unwrap();
        let settings = Records { max_size: Some(Size(4096)), ..settings(path.clone()) };
        let mut file = Rotating::open(&settings, std::sync::Arc::default()).unwrap();
        let failed = (0..8).filter(|number| file.write(&line(*number)).is_err()).count();
        file.flush().unwrap();
        assert_eq!((failed, numbers(&path)), (2, (0..8).collect()));
    }

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
        for (length, broken) in [(100, 0), (5000, 0), (20_000, 0), (100_000, 1)] {
            let disk = Disk::default();
            let mut lines = Lines::to(&disk, false);
            let mut write = |number: u64| {
                let text = "x".repeat(length);
                lines.write(format!("{}\n", serde_json::json!({ "number": number, "text": text })).as_bytes())
            };
            disk.room.set(50_000);
            let lost = (0..1000).filter(|number| write(*number).is_err()).count();
            assert!(lost > 0, "{length}: it was full");
            disk.room.set(2_000_000);
            (1000..1010).for_each(|number| write(number).unwrap());
            lines.flush().unwrap();

            let text = String::from_utf8(disk.file.take()).unwrap();
            let (whole, others): (Vec<&str>, Vec<&str>) =
                text.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
            assert_eq!((whole.len(), others.len()), (1010 - lost, broken), "{length}");
        }
    }
}
