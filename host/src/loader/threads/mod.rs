//! What components leave behind on the host's threads, and how it is cleared before their library is closed.
//!
//! A thread-local with a destructor in a component makes std register that destructor with the thread. Left alone, the
//! C library then either keeps the component mapped for as long as the thread lives (`__cxa_thread_atexit_impl`), or
//! calls into the unmapped component when the thread ends (`pthread_key_create`). So the host's executable defines these
//! functions itself (`interpose`): what is a component's, by its address, goes on a list per thread (`ledger`), a table
//! of keys (`keys`) or a table of threads (`starts`), and everything else is passed on to the C library.
//!
//! At retirement each thread that has run a component's code calls [`run_for`], and then [`Library::close`] deletes the
//! keys and closes. The invariants:
//!
//! - while a list has an entry of a library, or a thread that it started runs, that library stays mapped: `close` looks
//!   at [`holders`] first. That is why what is still on a list when its thread ends can run then;
//! - registering takes no lock and waits for nobody. It happens inside `dlopen`, before `main` and while threads end;
//! - after [`run_for`] no code of that library runs on that thread again: std takes its thread-locals for destroyed.
//!
//! Not covered: a pthread key without a destructor (of 1,024 that a process has, one is lost with each load that makes
//! one), C11's `tss_create`, and a library that was opened with `RTLD_DEEPBIND`, which sees the C library first.
//! A destructor that panics aborts the process, as it does anywhere.
//!
//! [`Library::close`]: super::library::Library::close

use std::fmt;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod interpose;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod keys;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod ledger;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod starts;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use linux::{covers, delete_keys, holders, installed, run_for, watch};

/// Could this process see what components register, and does not? It was then linked without `build.rs`.
pub fn missing() -> bool {
    cfg!(all(target_os = "linux", target_env = "gnu")) && !installed()
}

/// A thread that still needs a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The thread's number in the system.
    pub thread: i32,
    /// Its name.
    pub name: String,
    /// Why it needs the library.
    pub hold: Hold,
}

/// Why a thread still needs a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It has so many destructors of thread-locals to run.
    Destructors(usize),
    /// The library started it, and it has not ended.
    Started,
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
impl Holder {
    fn new(thread: i32, hold: Hold) -> Self {
        let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap_or_default();
        Self { thread, name: name.trim_end().to_owned(), hold }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread, name, hold } = self;
        match hold {
            Hold::Destructors(1) => write!(f, "thread `{name}` ({thread}) has a thread-local of it to destroy"),
            Hold::Destructors(n) => write!(f, "thread `{name}` ({thread}) has {n} thread-locals of it to destroy"),
            Hold::Started => write!(f, "thread `{name}` ({thread}), which it started, still runs"),
        }
    }
}

/// The directory cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Its path cannot be resolved.
    #[error("the shelf's path cannot be resolved")]
    Unresolved(#[from] std::io::Error),
    /// As many directories as there is room for are watched already.
    #[error("a process watches {0} shelves at most")]
    TooMany(usize),
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::ops::Range;
    use std::path::Path;

    use super::{Hold, Holder, WatchError, interpose, keys, ledger, starts};

    /// From now on the libraries in `shelf` are components, whose traces on threads are kept apart.
    ///
    /// To be called before the first of them is loaded, once; what they registered earlier has been passed on.
    pub fn watch(shelf: &Path) -> Result<(), WatchError> {
        interpose::watch(shelf)
    }

    /// Is this the path of a library that is kept apart?
    pub fn covers(library: &Path) -> bool {
        interpose::covers(library)
    }

    /// Does this process see what components register? If not, it was linked without `build.rs`, and a retired
    /// version lingers, or worse.
    pub fn installed() -> bool {
        interpose::installed()
    }

    /// Runs, on the calling thread, what the library at these addresses has left there: destructors of thread-locals,
    /// the last registered first, and those of thread-specific values. Says how many it ran.
    ///
    /// A destructor may register another one, or set a value anew; like the C library, this looks again a few times.
    pub fn run_for(range: &Range<usize>) -> usize {
        let mut ran = 0;
        for _ in 0..ROUNDS {
            let now = ledger::run_mine(range, EACH_ROUND) + keys::run_mine(range);
            if now == 0 {
                break;
            }
            ran += now;
        }
        ran
    }

    /// Deletes the thread-specific keys that the library at these addresses has made, and says how many there were.
    ///
    /// To be called once every thread has run what it holds: a value that a thread still has is then lost, and its
    /// destructor never runs.
    pub fn delete_keys(range: &Range<usize>) -> usize {
        keys::delete(range)
    }

    /// The threads that still need the library at these addresses.
    pub fn holders(range: &Range<usize>) -> Vec<Holder> {
        let destructors = ledger::pending(range).into_iter().map(|(thread, n)| (thread, Hold::Destructors(n)));
        let started = starts::running(range).into_iter().map(|thread| (thread, Hold::Started));
        // A thread that ended in a way that went past its list has nothing that could still be run.
        let alive =
            |thread: &i32| *thread == starts::UNBORN || Path::new(&format!("/proc/self/task/{thread}")).exists();
        let holders = destructors.chain(started).filter(|(thread, _)| alive(thread));
        holders.map(|(thread, hold)| Holder::new(thread, hold)).collect()
    }

    /// POSIX looks 4 times; std's own destructor asks for one more look before it does anything.
    const ROUNDS: usize = 6;
    /// A destructor that registers itself again must not keep a worker for ever.
    const EACH_ROUND: usize = 100_000;
}

/// Elsewhere nothing is kept apart: macOS does not unload an image that has thread-locals, musl unloads nothing, and on
/// Windows the loader itself tells an image of each thread that ends.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod elsewhere {
    use std::ops::Range;
    use std::path::Path;

    use super::{Holder, WatchError};

    /// Nothing to do here.
    pub fn watch(_shelf: &Path) -> Result<(), WatchError> {
        Ok(())
    }

    /// Every library is as good as another here.
    pub fn covers(_library: &Path) -> bool {
        true
    }

    /// Nothing is kept apart here.
    pub fn installed() -> bool {
        false
    }

    /// Nothing is known here.
    pub fn run_for(_range: &Range<usize>) -> usize {
        0
    }

    /// Nothing is known here.
    pub fn delete_keys(_range: &Range<usize>) -> usize {
        0
    }

    /// Nothing is known here.
    pub fn holders(_range: &Range<usize>) -> Vec<Holder> {
        Vec::new()
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub use elsewhere::{covers, delete_keys, holders, installed, run_for, watch};
