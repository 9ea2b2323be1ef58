//! A loaded library, and the closing of it.
//!
//! `dlclose` says 0 whatever happens, so what it did is looked at: a library is unmapped when the dynamic linker no
//! longer lists it and the kernel no longer maps its file. The invariants:
//!
//! - one path is loaded once: for a second load the dynamic linker would give the first image back;
//! - a [`Library`] that is dropped is not closed. Unmapping is always a decision, taken by [`Library::close`], after the
//!   traces on threads are cleared;
//! - a library that a thread still needs is not closed at all, but handed back.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::image::{self, Image, Inode};
use super::threads;

/// A library that is mapped in this process.
pub struct Library {
    handle: ManuallyDrop<libloading::Library>,
    path: PathBuf,
    range: Range<usize>,
    inode: Option<Inode>,
}

/// What became of a library.
#[derive(Debug)]
pub enum Closed {
    /// It is gone: neither the dynamic linker nor the kernel knows it any more.
    Unmapped,
    /// Something of it is still mapped.
    Lingering {
        /// What, and as far as it is known, why.
        reason: String,
        /// The library, if it was not closed because a thread still needs it. It may be closed later.
        library: Option<Library>,
    },
    /// It was closed, and whether it is gone cannot be read at the moment.
    Unseen {
        /// Why not.
        reason: String,
        /// What to look for later.
        trace: Trace,
    },
}

/// Where a library was that is closed.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    range: Range<usize>,
    inode: Option<Inode>,
}

impl Library {
    /// Loads the library at `path`, all of its symbols at once and for nobody else to see.
    ///
    /// # Safety
    /// Loading runs the library's constructors. The caller vouches for the content: it has passed the examination (or
    /// this is the child that examines it), and the file is a copy on the shelf to which nobody writes.
    pub unsafe fn load(path: &Path) -> Result<Self, LoadError> {
        let unloadable =
            |source: Box<dyn std::error::Error + Send + Sync>| LoadError::Unloadable { path: path.to_owned(), source };
        // Canonical, as the dynamic linker, the shelf and `threads` compare paths as strings.
        let path = path.canonicalize().map_err(|error| unloadable(error.into()))?;
        if !threads::covers(&path) {
            return Err(LoadError::Unwatched { path });
        }
        if find(&path).is_some() {
            return Err(LoadError::StillMapped { path });
        }
        // SAFETY: our caller vouches for what the constructors do.
        let handle = unsafe { open(path.as_os_str()) }.map_err(|error| unloadable(error.into()))?;
        // From here on it is not closed by leaving: `close` does what has to come first.
        let handle = ManuallyDrop::new(handle);
        let range = match find(&path) {
            Some(image) => image.range,
            None if cfg!(all(target_os = "linux", target_env = "gnu")) => return Err(LoadError::StillMapped { path }),
            None => 0..0,
        };
        let mut library = Self { handle, path, range, inode: None };
        match image::inode_at(library.range.start) {
            Ok(inode) => library.inode = inode,
            Err(error) => {
                // Out of descriptors, say. Nobody else knows that it is there: left open, it would be for good.
                let path = library.path.clone();
                drop(library.close());
                return Err(LoadError::Unloadable { path, source: error.into() });
            }
        }
        Ok(library)
    }

    /// The symbol `name`.
    ///
    /// # Safety
    /// The symbol is a `T`, and what is copied out of it is not used once the library is closed.
    pub unsafe fn symbol<T>(&self, name: &str) -> Result<libloading::Symbol<'_, T>, LoadError> {
        // SAFETY: our caller says that the symbol has this type.
        let symbol = unsafe { self.handle.get(name.as_bytes()) };
        symbol.map_err(|source| LoadError::NoSymbol { path: self.path.clone(), name: name.to_owned(), source })
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The addresses that it takes. Empty on systems that do not say.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Closes the library, and looks whether it is gone.
    ///
    /// Before this, its objects have been dropped, and every thread that has run its code, or has dropped something of
    /// it, has called [`threads::run_for`]; the calling thread does so here. If a thread still needs the library
    /// after that, it is left open.
    pub fn close(self) -> Closed {
        threads::run_for(&self.range);
        let holders = threads::holders(&self.range);
        if !holders.is_empty() {
            let reason = holders.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Closed::Lingering { reason, library: Some(self) };
        }
        threads::delete_keys(&self.range);
        let Self { handle, path, range, inode } = self;
        match ManuallyDrop::into_inner(handle).close() {
            Ok(()) => Trace { path, range, inode }.look(),
            Err(error) => Closed::Lingering { reason: format!("it cannot be closed: {error}"), library: None },
        }
    }
}

impl Trace {
    /// Looks whether the library is gone.
    pub fn look(self) -> Closed {
        match keeper(&self.path, &self.range, self.inode.as_ref()) {
            Ok(None) => Closed::Unmapped,
            Ok(Some(reason)) => Closed::Lingering { reason, library: None },
            // Out of descriptors, say.
            Err(error) => {
                Closed::Unseen { reason: format!("what is mapped cannot be read at the moment: {error}"), trace: self }
            }
        }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("path", &self.path).field("range", &self.range).finish_non_exhaustive()
    }
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The dynamic linker did not load it.
    #[error("{path} cannot be loaded: {source}", path = path.display())]
    Unloadable {
        /// The library.
        path: PathBuf,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A library from this path, or from the same file, is mapped.
    #[error("{path} is mapped already; load a copy of it from another path", path = path.display())]
    StillMapped {
        /// The library.
        path: PathBuf,
    },
    /// What it would leave on threads is not kept apart.
    #[error("{path} is not on a shelf that `threads::watch` was told of", path = path.display())]
    Unwatched {
        /// The library.
        path: PathBuf,
    },
    /// It does not export what was asked for.
    #[error("{path} has no symbol `{name}`", path = path.display())]
    NoSymbol {
        /// The library.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What the system said.
        source: libloading::Error,
    },
}

/// The libraries from `directory` that are mapped in this process now, whether in use or lingering.
pub fn mapped(directory: &Path) -> Vec<Image> {
    match directory.canonicalize() {
        Ok(directory) => image::under(&directory),
        Err(_) => Vec::new(),
    }
}

fn find(path: &Path) -> Option<Image> {
    image::all().into_iter().find(|image| image.path == path)
}

#[cfg(unix)]
unsafe fn open(path: &OsStr) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: our caller vouches for what the constructors do.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

#[cfg(not(unix))]
unsafe fn open(path: &OsStr) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: our caller vouches for what the initialisers do.
    unsafe { libloading::Library::new(path) }
}

/// What keeps a library that was closed; nothing where it is gone. An error where that cannot be read.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keeper(path: &Path, range: &Range<usize>, inode: Option<&Inode>) -> io::Result<Option<String>> {
    if find(path).is_some() {
        let why = match threads::installed() {
            true => "something loaded it a second time, or depends on it",
            false => "this executable was linked without the functions that see its thread-locals (host/build.rs)",
        };
        return Ok(Some(format!("the dynamic linker keeps it: {why}")));
    }
    let Some(inode) = inode else { return Ok(Some("the kernel did not say which file was mapped".to_owned())) };
    Ok(match image::mapped_bytes(inode, range)? {
        (0, 0) => None,
        (0, outside) => Some(format!(
            "its code is gone, but {} KiB of its file are still mapped, as a backtrace leaves them behind",
            outside / 1024
        )),
        (inside, _) => Some(format!("the kernel still maps {} KiB of it", inside / 1024)),
    })
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keeper(_path: &Path, _range: &Range<usize>, _inode: Option<&Inode>) -> io::Result<Option<String>> {
    Ok(Some("this system does not say whether a library is gone".to_owned()))
}
