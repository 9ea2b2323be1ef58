//! The host's hold on a worker: how it is started, what it is told.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::takeover::Heritage;
use super::{Draining, Following, Listing, Mail, Mailbox, Wanted, Watchdog, Worker};
use crate::account::verifiers::{Verified, Verifiers};
use crate::agreement::Usage;
use crate::agreement::usage::Reserved;
use crate::clock::Clock;
use crate::loader::estate::Estate;
use crate::store::bindings::Bindings;
use crate::store::{self, Settled};
use crate::transport::{Address, Bound, Entrance};
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
        /// What is asked of whoever connects.
        entrance: Arc<Entrance>,
    },
    /// Listen there no more.
    Unlisten(Address),
    /// Keep these connections and no others.
    Connect(Vec<Wanted>),
    /// Run what a library's code has left on this thread to be run at its end, in the name of this instance, and say so.
    Clear(u32, Range<usize>, Sender<usize>),
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
    /// Told by the thread that ends it: the first, or the last that has taken over.
    ended: Receiver<()>,
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
        let (ends, ended) = channel();
        let (index, table, clock) = (seat.index, table.reader(), clock.clone());
        let (built, is_built) = channel();
        let succession = Succession { ends, watchdog: watchdog.clone() };
        let make = move |slept| {
            // Who started it waits for this word.
            let _ = built.send(());
            Some((Worker::new(seat, table, (clock, slept), receiver), None))
        };
        run(index, succession, make)?;
        // Where no runtime can be had the thread has said why, and ended.
        is_built.recv().map_err(|_| io::Error::other("its runtime could not be built"))?;
        Ok(Handle { commands, ended, stuck: Cell::new(false) })
    }

    /// A hold on a worker without a thread, what it is told, and how it says that it has ended.
    pub(super) fn of_nobody() -> (Self, mpsc::Receiver<Command>, Sender<()>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (ends, ended) = channel();
        (Handle { commands, ended, stuck: Cell::new(false) }, receiver, ends)
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
        // One whose thread has panicked has said so; there is nothing to add.
        let _ = self.ended.recv();
    }
}

/// What each thread of a worker hands to the one that takes over.
#[derive(Clone)]
pub(super) struct Succession {
    ends: Sender<()>,
    pub(super) watchdog: Watchdog,
}

/// Says that a worker has ended, also where it has panicked. An abandoned thread does not.
struct Ends(Sender<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        // Who waits for it may have gone.
        let _ = self.0.send(());
    }
}

/// Runs a worker on a thread of its own, where there is one to be run once its runtime is there.
pub(super) fn run(
    index: usize,
    succession: Succession,
    make: impl FnOnce(Arc<AtomicBool>) -> Option<(Worker, Option<Heritage>)> + Send + 'static,
) -> io::Result<()> {
    // The runtime is built on its own thread, since it is not to leave it.
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let slept = Arc::new(AtomicBool::new(true));
        let woke = Arc::clone(&slept);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_unpark(move || woke.store(true, Ordering::Relaxed))
            .build_local(tokio::runtime::LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(index, "a worker has no runtime: {error}"),
        };
        // In the runtime, which what is taken over becomes a part of.
        let Some((worker, heritage)) = runtime.block_on(async { make(slept) }) else { return };
        let _ends = Ends(succession.ends.clone());
        let worker = Rc::new(worker);
        Estate::watched(&*worker, |estate| {
            let pulse = succession.watchdog.watch(index, estate, succession.clone());
            runtime.block_on(async {
                tokio::task::spawn_local(pulse.clone().beat());
                if let Some(heritage) = heritage {
                    worker.go_on(heritage);
                }
                Rc::clone(&worker).work().await;
                pulse.end();
            });
        });
    })?;
    Ok(())
}
