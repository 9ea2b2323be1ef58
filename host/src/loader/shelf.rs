//! The shelf: a directory of libraries, each a copy under the digest of its content.
//!
//! What the host loads is always a copy from here, so that overwriting, truncating or deleting a file in the components
//! directory cannot hurt anything that runs. The invariants:
//!
//! - a file named `<digest>.so` has that digest. It appears by a rename, whole and synced, and nobody writes to it
//!   afterwards; what a crash or a hand has made of it since is found by reading it again before it is handed out;
//! - the directory is the host's alone (mode 0700), and a copy is read-only (mode 0400);
//! - beside a copy lies the signature that it came with, where it came with one: `<digest>.minisig`;
//! - one thread of the host takes, sweeps and loads; others may only ask.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

pub use super::digest::Digest;
use super::{image, signature};

/// A directory of content-addressed copies of libraries.
#[derive(Debug, Clone)]
pub struct Shelf {
    directory: PathBuf,
}

/// A library that lies on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// What its content hashes to.
    pub digest: Digest,
    /// Where the copy lies.
    pub path: PathBuf,
    /// How long it is, in bytes.
    pub len: u64,
}

impl Shelf {
    /// Opens the shelf in `directory`, which is made if it is not there, and closes it to other users.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
            builder.mode(0o700).create(directory)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        }
        #[cfg(not(unix))]
        builder.create(directory)?;
        // Canonical, because the dynamic linker and `threads` compare paths as strings.
        Ok(Self { directory: directory.canonicalize()? })
    }

    /// The directory, as an absolute path without symbolic links.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Copies `file` to the shelf, reading it once.
    ///
    /// A file that changes meanwhile is tried again `ATTEMPTS` times before it is refused.
    pub fn take(&self, file: &Path) -> Result<Shelved, ShelfError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            if let Some(shelved) = self.take_if_still(file)? {
                return Ok(shelved);
            }
        }
        Err(ShelfError::BeingWritten { file: file.to_owned() })
    }

    /// Puts a content on the shelf, which was on one before.
    pub fn put(&self, content: &[u8]) -> Result<Shelved, ShelfError> {
        let unwritten = |source| ShelfError::Unwritten { directory: self.directory.clone(), source };
        let digest = Digest::of(content);
        let (path, len) = (self.plain_path(&digest), content.len() as u64);
        let mut draft = Draft::new(&self.directory).map_err(unwritten)?;
        draft.file.write_all(content).map_err(unwritten)?;
        draft.publish(&path).map_err(unwritten)?;
        Ok(Shelved { digest, path, len })
    }

    /// The copy with this digest, if it is here, read again to see that it is what its name says.
    pub fn find(&self, digest: &Digest) -> Result<Option<Shelved>, ShelfError> {
        let path = self.plain_path(digest);
        let mut copy = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|source| ShelfError::Unreadable { file: path.clone(), source })?,
        };
        let (found, len) =
            hash(&mut copy, &mut io::sink()).map_err(|source| ShelfError::Unreadable { file: path.clone(), source })?;
        if found == *digest {
            Ok(Some(Shelved { digest: *digest, path, len }))
        } else {
            Err(ShelfError::Spoilt { path })
        }
    }

    /// The content of a copy, which is what its name says.
    pub fn content(&self, digest: &Digest) -> Result<Vec<u8>, ShelfError> {
        let path = self.plain_path(digest);
        let content = fs::read(&path).map_err(|source| ShelfError::Unreadable { file: path.clone(), source })?;
        if Digest::of(&content) == *digest { Ok(content) } else { Err(ShelfError::Spoilt { path }) }
    }

    /// Keeps the signature of a copy beside it, in the place of one that is there.
    pub fn keep_signature(&self, digest: &Digest, signature: &str) -> Result<(), ShelfError> {
        let unwritten = |source| ShelfError::Unwritten { directory: self.directory.clone(), source };
        let mut draft = Draft::new(&self.directory).map_err(unwritten)?;
        draft.file.write_all(signature.as_bytes()).map_err(unwritten)?;
        draft.publish(&self.signature_of(digest)).map_err(unwritten)
    }

    /// Where the signature of a copy lies, if it has one.
    pub fn signature_of(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}.{}", signature::SUFFIX))
    }

    /// The path to load this digest from: one from which nothing is mapped in this process.
    ///
    /// That is the plain copy, unless a library of this content lingers. Then it is a second copy, a real one, since the
    /// dynamic linker knows an image by its path and by its inode, and would give back the one that lingers.
    pub fn fresh_path(&self, digest: &Digest) -> Result<PathBuf, ShelfError> {
        let plain = self.plain_path(digest);
        let mapped: BTreeSet<PathBuf> = image::under(&self.directory).into_iter().map(|image| image.path).collect();
        if !mapped.contains(&plain) {
            return Ok(plain);
        }
        let second = (1..=mapped.len() + 1)
            .map(|n| self.directory.join(format!("{digest}.{n}.so")))
            .find(|path| !mapped.contains(path))
            .expect("of more names than there are mapped libraries, one is not mapped");
        let unwritten = |source| ShelfError::Unwritten { directory: self.directory.clone(), source };
        let mut copy = File::open(&plain).map_err(|source| ShelfError::Unreadable { file: plain.clone(), source })?;
        let mut draft = Draft::new(&self.directory).map_err(unwritten)?;
        let (found, _) = hash(&mut copy, &mut draft.file).map_err(unwritten)?;
        if found != *digest {
            return Err(ShelfError::Spoilt { path: plain });
        }
        draft.publish(&second).map_err(unwritten)?;
        Ok(second)
    }

    /// Deletes the copies that are not in `keep`, second copies that nothing is mapped from, and what writers that are
    /// gone have left half done. Says which digests have left the shelf.
    ///
    /// On Linux a mapped library may be deleted: the mapping keeps the content.
    pub fn sweep(&self, keep: &BTreeSet<Digest>) -> io::Result<Vec<Digest>> {
        let mapped: BTreeSet<PathBuf> = image::under(&self.directory).into_iter().map(|image| image.path).collect();
        let mut swept = BTreeSet::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            match Resident::parse(name) {
                Some(Resident::Plain(digest)) if !keep.contains(&digest) => {
                    fs::remove_file(&path)?;
                    swept.insert(digest);
                }
                Some(Resident::Signature(digest)) if !keep.contains(&digest) => fs::remove_file(&path)?,
                Some(Resident::Second(_)) if !mapped.contains(&path) => fs::remove_file(&path)?,
                Some(Resident::Draft { writer }) if !is_alive(writer) => fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok(swept.into_iter().collect())
    }

    fn plain_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}.so"))
    }

    /// `None` if the file was not the same before and after.
    fn take_if_still(&self, file: &Path) -> Result<Option<Shelved>, ShelfError> {
        let unreadable = |source| ShelfError::Unreadable { file: file.to_owned(), source };
        let unwritten = |source| ShelfError::Unwritten { directory: self.directory.clone(), source };

        let mut source = open_without_waiting(file).map_err(unreadable)?;
        let before = source.metadata().map_err(unreadable)?;
        if !before.is_file() {
            return Err(ShelfError::NotAFile { file: file.to_owned() });
        }
        if before.len() > LEN_MAX {
            return Err(ShelfError::TooLarge { file: file.to_owned(), len: before.len() });
        }
        let mut draft = Draft::new(&self.directory).map_err(unwritten)?;
        // One byte more than it said shows a file that grows; the bound holds even if it grows without end.
        let (digest, len) =
            hash(&mut (&mut source).take(before.len() + 1), &mut draft.file).map_err(|error| match error {
                // Which side failed is not told apart by `io::copy`-like loops; the source is the operator's file.
                error if error.kind() == io::ErrorKind::StorageFull => unwritten(error),
                error => unreadable(error),
            })?;
        // By path, so that a file renamed over this one counts as a change as well.
        let still = match fs::metadata(file) {
            Ok(after) => stamp(&before) == stamp(&after) && len == before.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(unreadable(error)),
        };
        if !still {
            return Ok(None);
        }
        if len == 0 {
            return Err(ShelfError::Empty { file: file.to_owned() });
        }
        let path = self.plain_path(&digest);
        match self.find(&digest) {
            Ok(Some(_)) => {}
            // Not there, or no longer what its name says: renaming over it hurts nothing that is mapped.
            Ok(None) | Err(ShelfError::Spoilt { .. }) => draft.publish(&path).map_err(unwritten)?,
            Err(error) => return Err(error),
        }
        Ok(Some(Shelved { digest, path, len }))
    }
}

/// Why a file is not on the shelf.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// It cannot be opened or read.
    #[error("{file} cannot be read: {source}", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a directory, a socket, a pipe or a device.
    #[error("{file} is not a regular file; copy the library itself here", file = file.display())]
    NotAFile {
        /// The file.
        file: PathBuf,
    },
    /// It has no content.
    #[error("{file} is empty; is it still being copied? Copy it under another name and rename it", file = file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// It is longer than any component.
    #[error("{file} has {len} bytes, more than the {LEN_MAX} that a component may have; strip it", file = file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// It changed each time that it was read.
    #[error(
        "{file} is being written; the next reload takes it. To avoid this, copy it under another name and rename it",
        file = file.display()
    )]
    BeingWritten {
        /// The file.
        file: PathBuf,
    },
    /// The shelf cannot be written to.
    #[error("the shelf {directory} cannot be written to: {source}", directory = directory.display())]
    Unwritten {
        /// The shelf's directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A copy does not have the digest that is its name.
    #[error("the copy {path} is no longer what it was; delete it and reload", path = path.display())]
    Spoilt {
        /// The copy.
        path: PathBuf,
    },
}

/// What a file on the shelf is, by its name.
enum Resident {
    Plain(Digest),
    Second(#[allow(dead_code, reason = "the name of a second copy is checked whole")] Digest),
    Signature(Digest),
    Draft { writer: u32 },
}

impl Resident {
    fn parse(name: &str) -> Option<Self> {
        if let Some(draft) = name.strip_prefix(DRAFT) {
            return draft.split('-').next()?.parse().ok().map(|writer| Self::Draft { writer });
        }
        if let Some(digest) = name.strip_suffix(signature::SUFFIX).and_then(|stem| stem.strip_suffix('.')) {
            return digest.parse().ok().map(Self::Signature);
        }
        let stem = name.strip_suffix(".so")?;
        match stem.split_once('.') {
            None => stem.parse().ok().map(Self::Plain),
            Some((digest, n)) => n.parse::<u32>().ok().and_then(|_| digest.parse().ok()).map(Self::Second),
        }
    }
}

/// A copy that is not whole yet. It is deleted when it is dropped unpublished.
struct Draft {
    file: File,
    path: PathBuf,
}

impl Draft {
    fn new(directory: &Path) -> io::Result<Self> {
        // Relaxed: only the uniqueness of the number matters.
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{DRAFT}{}-{number}", process::id()));
        // One that a predecessor of our number has left, as it happens where the host is always process 1, may be
        // read-only already.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(&path)?, path })
    }

    /// Synced before it is renamed, so that a name never stands for less than its content, even after a power cut.
    fn publish(self, path: &Path) -> io::Result<()> {
        let mut permissions = self.file.metadata()?.permissions();
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o400);
        #[cfg(not(unix))]
        permissions.set_readonly(true);
        self.file.set_permissions(permissions)?;
        self.file.sync_all()?;
        fs::rename(&self.path, path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Published, it has no longer this name; else a failure leaves a draft for the next sweep.
        let _ = fs::remove_file(&self.path);
    }
}

fn hash(source: &mut impl Read, copy: &mut impl Write) -> io::Result<(Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut len = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from(hasher.finalize()), len)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                copy.write_all(&buffer[..n])?;
                len += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens for reading, but does not wait for the other end if the file turns out to be a pipe.
pub(super) fn open_without_waiting(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(file)
}

/// What differs between two looks at a file if somebody wrote to it or put another in its place.
#[cfg(unix)]
fn stamp(metadata: &fs::Metadata) -> impl PartialEq + use<> {
    use std::os::unix::fs::MetadataExt;
    let (m, c) = ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
    (metadata.dev(), metadata.ino(), metadata.len(), m, c)
}

#[cfg(not(unix))]
fn stamp(metadata: &fs::Metadata) -> impl PartialEq + use<> {
    (metadata.len(), metadata.modified().ok())
}

#[cfg(unix)]
fn is_alive(process: u32) -> bool {
    let Ok(process) = libc::pid_t::try_from(process) else { return false };
    // SAFETY: signal 0 is sent to nobody; the call only says whether there is such a process.
    let sent = unsafe { libc::kill(process, 0) };
    sent == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(not(unix))]
fn is_alive(writer: u32) -> bool {
    writer == process::id()
}

/// The bound of a component's file. A debug build of a large one has 60 MiB.
const LEN_MAX: u64 = 256 << 20;
/// How often a file that changes while it is read is tried, [`PAUSE`] apart.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);
/// How the names of drafts begin: `.draft-<process>-<number>`.
const DRAFT: &str = ".draft-";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use super::*;

    /// A shelf and a directory of files, both deleted at the end.
    struct Place {
        root: PathBuf,
        shelf: Shelf,
    }

    impl Place {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("tandem-shelf-{}-{name}", process::id()));
            fs::create_dir_all(&root).unwrap();
            Self { shelf: Shelf::open(&root.join("shelf")).unwrap(), root }
        }

        fn file(&self, name: &str, content: &[u8]) -> PathBuf {
            let path = self.root.join(name);
            fs::write(&path, content).unwrap();
            path
        }

        fn on_the_shelf(&self) -> Vec<String> {
            let entries = fs::read_dir(self.shelf.directory()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_copy_lies_under_its_digest_and_outlives_the_file() {
        let place = Place::new("copy");
        let file = place.file("libhttp.so", b"code");
        let shelved = place.shelf.take(&file).unwrap();
        fs::remove_file(&file).unwrap();

        assert_eq!(shelved.digest, Digest::of(b"code"));
        assert_eq!(shelved.len, 4);
        assert_eq!(shelved.path.file_name().unwrap().to_str().unwrap(), format!("{}.so", shelved.digest));
        assert_eq!(fs::read(&shelved.path).unwrap(), b"code");
        assert_eq!((mode(place.shelf.directory()), mode(&shelved.path)), (0o700, 0o400));
        assert_eq!(place.shelf.find(&shelved.digest).unwrap(), Some(shelved.clone()));
        assert_eq!(place.shelf.fresh_path(&shelved.digest).unwrap(), shelved.path);
    }

    #[test]
    fn the_same_content_is_kept_once() {
        let place = Place::new("once");
        let one = place.shelf.take(&place.file("one.so", b"code")).unwrap();
        let two = place.shelf.take(&place.file("two.so", b"code")).unwrap();
        assert_eq!(one, two);
        assert_eq!(place.on_the_shelf().len(), 1);
    }

    #[test]
    fn a_spoilt_copy_is_found_out_and_taken_anew() {
        let place = Place::new("spoilt");
        let file = place.file("one.so", b"code");
        let shelved = place.shelf.take(&file).unwrap();
        fs::remove_file(&shelved.path).unwrap();
        fs::write(&shelved.path, b"co").unwrap();

        let error = place.shelf.find(&shelved.digest).unwrap_err().to_string();
        assert!(error.ends_with("is no longer what it was; delete it and reload"), "{error}");
        assert_eq!(place.shelf.take(&file).unwrap(), shelved);
        assert_eq!(fs::read(&shelved.path).unwrap(), b"code");
    }

    #[test]
    fn what_is_no_library_is_refused_with_a_reason() {
        let place = Place::new("refused");
        let refused = |path: &Path| place.shelf.take(path).unwrap_err().to_string();
        assert!(refused(&place.root).contains("is not a regular file"));
        assert!(refused(&place.file("empty.so", b"")).contains("is empty"));
        assert!(
            refused(&place.root.join("absent.so"))
                .ends_with("absent.so cannot be read: No such file or directory (os error 2)")
        );
        let large = place.file("large.so", b"");
        File::options().write(true).open(&large).unwrap().set_len(LEN_MAX + 1).unwrap();
        assert!(refused(&large).contains("268435457 bytes, more than"));

        let pipe = place.root.join("pipe.so");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: the name is a string, and the call keeps nothing of it.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(refused(&pipe).contains("is not a regular file"));
        assert_eq!(place.on_the_shelf(), [""; 0]);
    }

    #[test]
    fn a_file_that_never_stands_still_is_being_written() {
        let place = Place::new("written");
        let file = place.file("one.so", &vec![1; 16 << 20]);
        let stop = AtomicBool::new(false);
        let (writing, begun) = mpsc::channel();
        let refused = thread::scope(|scope| {
            let (file, stop) = (&file, &stop);
            scope.spawn(move || {
                let mut writer = OpenOptions::new().append(true).open(file).unwrap();
                // Bounded, so that a test that goes wrong ends.
                for _ in 0..20_000 {
                    writer.write_all(&[2; 64]).unwrap();
                    writing.send(()).unwrap_or_default();
                    thread::sleep(Duration::from_micros(50));
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            begun.recv().unwrap();
            let refused = place.shelf.take(file);
            stop.store(true, Ordering::Relaxed);
            refused
        });
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("is being written; the next reload takes it"), "{error}");
        assert_eq!(place.on_the_shelf(), [""; 0]);
        place.shelf.take(&file).unwrap();
    }

    #[test]
    fn a_draft_that_a_predecessor_left_under_our_name_is_not_written_into() {
        let place = Place::new("left");
        let file = place.file("one.so", b"code");
        // As it is when the end comes between the closing of a draft to writers and its renaming.
        let left = place.file("left", b"left");
        fs::set_permissions(&left, fs::Permissions::from_mode(0o400)).unwrap();
        for number in 0..500 {
            let name = format!("{DRAFT}{}-{number}", process::id());
            fs::hard_link(&left, place.shelf.directory().join(name)).unwrap();
        }

        assert_eq!(fs::read(place.shelf.take(&file).unwrap().path).unwrap(), b"code");
        assert_eq!(fs::read(&left).unwrap(), b"left");
    }

    #[test]
    fn a_sweep_keeps_what_it_is_told_and_drafts_of_the_living() {
        let place = Place::new("sweep");
        let kept = place.shelf.take(&place.file("kept.so", b"kept")).unwrap().digest;
        let gone = place.shelf.take(&place.file("gone.so", b"gone")).unwrap().digest;
        for digest in [kept, gone] {
            place.shelf.keep_signature(&digest, "signed").unwrap();
        }
        let living = format!("{DRAFT}{}-7", process::id());
        for name in [&living, ".draft-4194304999-1", &format!("{kept}.1.so"), "notes.txt"] {
            fs::write(place.shelf.directory().join(name), b"").unwrap();
        }

        assert_eq!(place.shelf.sweep(&[kept].into()).unwrap(), [gone]);
        assert_eq!(
            place.on_the_shelf(),
            [living, format!("{kept}.minisig"), format!("{kept}.so"), "notes.txt".to_owned()]
        );
    }
}
