//! The host's hold on a worker: how it is started, what it is told.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::{Draining, Following, Listing, Mail, Mailbox, Wanted, Watchdog, Worker};
use crate::account::verifiers::{Verified, Verifiers};
use crate::agreement::Usage;
use crate::agreement::usage::Reserved;
use crate::clock::Clock;
use crate::observe::inside;
use crate::store::bindings::Bindings;
use crate::store::{self, Settled};
use crate::transport::{Address, Bound};
use crate::version::Snapshot;
use crate::version::table::Table;

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// A publication is there: take it, say so, and have the sessions follow.
    Publication {
        /// Told which worker has taken it.
        taken: Sender<usize>,
        /// Told what came of it for the sessions.
        following: Arc<Following>,
    },
    /// Listen there for a service.
    Listen {
        /// The place of the service in the snapshot.
        service: usize,
        /// Where.
        address: Address,
        /// The socket.
        bound: Bound,
    },
    /// Listen there no more.
    Unlisten(Address),
    /// Keep these connections and no others.
    Connect(Vec<Wanted>),
    /// Run what a library's code has left on this thread to be run at its end, and say so.
    Clear(Range<usize>, Sender<usize>),
    /// Have sessions leave what they run on.
    Drain(Arc<Draining>),
    /// Say which sessions hold a version.
    List(Listing),
    /// Stop listening, ask all sessions to say goodbye, and end when they have gone or the time is up.
    Stop(Duration),
}

/// The host's hold on a worker.
#[derive(Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<()>>,
    /// It was waited for in vain, and has taken nothing since.
    stuck: Cell<bool>,
}

/// What a worker is started with.
pub struct Seat {
    /// Which it is …
    pub index: usize,
    /// … of how many.
    pub workers: usize,
    /// The store, once there is one.
    pub store: store::Handle,
    /// Which versions keyed conversations are bound to.
    pub bindings: Arc<Bindings>,
    /// What the store has settled of this worker's sessions: one transaction a session at most, so it is bounded by them.
    pub settled: mpsc::UnboundedReceiver<Vec<Settled>>,
    /// Who verifies secrets.
    pub verifiers: Arc<Verifiers>,
    /// What was verified for this worker's sessions: one answer a question, of which the verifiers take so many at a time.
    pub verified: mpsc::UnboundedReceiver<Verified>,
    /// What accounts have used of their agreements.
    pub usage: Arc<Usage>,
    /// What was reserved for this worker: one answer a request, of which it has one under way for each of its shares.
    pub reserved: mpsc::UnboundedReceiver<Reserved>,
    /// Where each worker takes its mail.
    pub mailboxes: Vec<Mailbox>,
    /// This worker's mail.
    pub mail: mpsc::UnboundedReceiver<Mail>,
    /// The seed by which every answer comes late, for tests.
    pub late: Option<u64>,
}

/// How many commands may wait.
const COMMANDS: usize = 256;
/// So long a worker gets to take one of them where that many wait: a reload may bring more than that at once.
const ROOM: Duration = Duration::from_secs(1);

impl Handle {
    /// Starts a worker.
    ///
    /// # Errors
    /// No thread or no runtime can be had.
    pub fn start(seat: Seat, table: &Table<Snapshot>, clock: &Clock, watchdog: &Watchdog) -> io::Result<Self> {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let index = seat.index;
        let (reader, clock) = (table.reader(), clock.clone());
        let (built, is_built) = std::sync::mpsc::channel();
        // The runtime is built on its own thread, since it is not to leave it.
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let slept = Arc::new(AtomicBool::new(true));
            let woke = Arc::clone(&slept);
            match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_unpark(move || woke.store(true, Ordering::Relaxed))
                .build_local(tokio::runtime::LocalOptions::default())
            {
                Ok(runtime) => {
                    let (place, _watch) = inside::watch();
                    // Who started it waits for this word.
                    let _ = built.send(Ok(place));
                    Worker::run(&runtime, seat, reader, (clock, slept), receiver);
                }
                Err(error) => drop(built.send(Err(error))),
            }
        })?;
        let place = is_built.recv().map_err(io::Error::other)??;
        watchdog.watch(index, place);
        Ok(Handle { commands, thread: Some(thread), stuck: Cell::new(false) })
    }

    /// Tells it something. False where it has ended, or is stuck in a component and has not taken what it was told before:
    /// the host waits for it once, and no more until it takes something.
    pub fn tell(&self, mut command: Command) -> bool {
        let deadline = Instant::now() + ROOM;
        loop {
            match self.commands.try_send(command) {
                Ok(()) => {
                    self.stuck.set(false);
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(back)) => command = back,
            }
            if self.stuck.get() || Instant::now() >= deadline {
                self.stuck.set(true);
                tracing::error!(?command, "a worker takes no commands; is a component stuck in an event?");
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until it has ended.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A worker that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
    }
}
