//! What the host's thread has around it: libraries, a store, other threads. [`Process`] is what a process has; the simulation has
//! its own, in which nothing happens by itself.

use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use anyhow::Context;
use tandem_component::abi;

use super::Host;
use crate::agreement::Usage;
use crate::agreement::usage;
use crate::clock::{self, Clock};
use crate::loader::code::Code;
use crate::loader::examine::{self, Limits, Trial};
use crate::loader::manifest::Manifest;
use crate::loader::shelf::{Shelf, Shelved};
use crate::loader::threads;
use crate::observe::crash;
use crate::store::sqlite::{Deliver, OpenError, Sqlite};
use crate::store::{self, Store};
use crate::version::Snapshot;
use crate::version::table::Table;
use crate::worker::{Handle, Seat, Watchdog};

/// What the host's thread has around it.
pub trait Around {
    /// Begins a run: has what ends it written down, and what libraries leave on threads kept apart.
    ///
    /// # Errors
    /// The files cannot be made, or the shelf cannot be watched.
    fn begin(&self, data: &Path, shelf: &Shelf) -> anyhow::Result<crash::Run>;

    /// Has workers looked at.
    ///
    /// # Errors
    /// No thread can be had.
    fn watchdog(&self, clock: &Clock) -> io::Result<Watchdog>;

    /// Begins to count.
    ///
    /// # Errors
    /// No thread can be had.
    fn usage(&self, store: store::Handle, workers: usize, epoch: u64, deliver: usage::Deliver) -> io::Result<Usage>;

    /// Starts a worker.
    ///
    /// # Errors
    /// No thread or no runtime can be had.
    fn worker(&self, seat: Seat, table: &Table<Snapshot>, clock: &Clock, watchdog: &Watchdog) -> io::Result<Handle>;

    /// Reads what a library says of itself.
    ///
    /// # Errors
    /// It says nothing that can be relied on.
    fn manifest(&self, library: &Path) -> Result<Manifest, String>;

    /// Has a library examined.
    ///
    /// # Errors
    /// It does not pass.
    fn examine(&self, library: &Shelved, trials: &[Trial], limits: Limits) -> Result<Passed, String>;

    /// Opens the store.
    ///
    /// # Errors
    /// The file is no store, or cannot be opened.
    fn open_store(&self, file: &Path, deliver: Deliver) -> Result<Box<dyn Store>, OpenError>;

    /// Has a component started beside this thread, which waits for it, though not for ever.
    ///
    /// # Errors
    /// No thread can be had.
    fn start(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;

    /// Has a component stopped beside this thread, which may take as long as the component wants.
    ///
    /// # Errors
    /// No thread can be had.
    fn aside(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;

    /// Has others do something while this thread waits for them. False where they do it by themselves.
    fn have_others_work(&self) -> bool;
}

/// A content that has passed the examination.
pub struct Passed {
    /// Why a library of this content will not go away when it is closed, if that was found.
    pub lingers: Option<String>,
    /// In what the examination was not confined.
    pub lacks: Vec<String>,
    /// Loads it.
    pub load: Load,
}

/// Loads a content from the shelf.
pub type Load = Box<dyn Fn(&Shelf, Manifest) -> Result<Code, String>>;

/// What there is around the host's thread in a process of its own.
pub(super) struct Process;

impl Around for Process {
    fn begin(&self, data: &Path, shelf: &Shelf) -> anyhow::Result<crash::Run> {
        let begun = crash::begin(data)
            .with_context(|| format!("data: whose code runs cannot be written to {}", data.display()))?;
        threads::watch(shelf.directory()).context("the shelf cannot be watched")?;
        if threads::missing() {
            tracing::warn!("this executable was linked without host/build.rs: retired versions may stay mapped");
        }
        Ok(begun)
    }

    fn watchdog(&self, clock: &Clock) -> io::Result<Watchdog> {
        Watchdog::start(clock.clone())
    }

    fn usage(&self, store: store::Handle, workers: usize, epoch: u64, deliver: usage::Deliver) -> io::Result<Usage> {
        Usage::start(store, workers, epoch, deliver)
    }

    fn worker(&self, seat: Seat, table: &Table<Snapshot>, clock: &Clock, watchdog: &Watchdog) -> io::Result<Handle> {
        Handle::start(seat, table, clock, watchdog)
    }

    fn manifest(&self, library: &Path) -> Result<Manifest, String> {
        Manifest::read(library, 1..=abi::REVISION).map_err(|error| error.to_string())
    }

    fn examine(&self, library: &Shelved, trials: &[Trial], limits: Limits) -> Result<Passed, String> {
        let host = examine::own_executable().map_err(|error| error.to_string())?;
        let passed = examine::examine(&host, library, trials, limits).map_err(|refused| refused.to_string())?;
        let (lingers, lacks) = (passed.lingers.clone(), passed.lacks.clone());
        let load = Box::new(move |shelf: &Shelf, manifest| Code::load(&passed, shelf, manifest));
        Ok(Passed { lingers, lacks, load })
    }

    fn open_store(&self, file: &Path, deliver: Deliver) -> Result<Box<dyn Store>, OpenError> {
        Ok(Box::new(Sqlite::open(file, deliver)?))
    }

    fn start(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        std::thread::Builder::new().name("starting".into()).spawn(work).map(drop)
    }

    fn aside(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        std::thread::Builder::new().name("stopping".into()).spawn(work).map(drop)
    }

    fn have_others_work(&self) -> bool {
        false
    }
}

impl Host {
    /// Waits for a word of another thread; nothing where none comes until then, or nobody is left who could say it.
    pub(super) fn hear<T>(&self, words: &Receiver<T>, until: Instant) -> Option<T> {
        loop {
            if let Ok(word) = words.try_recv() {
                return Some(word);
            }
            let left = until.saturating_duration_since(clock::instant());
            if left.is_zero() || !self.around.have_others_work() {
                return words.recv_timeout(left).ok();
            }
        }
    }
}
