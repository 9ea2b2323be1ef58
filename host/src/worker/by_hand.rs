//! A worker without a thread, which goes on when it is told, one poll of its tasks at a time: for the simulation.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::task::{Context, Wake, Waker};

use tandem_component::Peer;
use tokio::task::{JoinHandle, LocalSet};

use super::{Handle, Seat, Worker};
use crate::clock::Clock;
use crate::transport::Socket;
use crate::version::Snapshot;
use crate::version::table::Table;

/// A worker without a thread.
pub struct ByHand {
    /// First, so that what its tasks hold goes with the runtime's context at hand.
    tasks: LocalSet,
    worker: Rc<Worker>,
    works: JoinHandle<()>,
    woken: Arc<Woken>,
    slept: Arc<AtomicBool>,
    said: Cell<bool>,
    ended: Sender<()>,
}

/// What is seen of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub id: u64,
    /// The place of its service in the snapshot.
    pub service: usize,
    /// The instance that it runs on, where it has not ended.
    pub instance: Option<u32>,
    /// The publication that it has looked at.
    pub publication: u64,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl ByHand {
    /// A worker, and the host's hold on it. To be made where a runtime is at hand.
    pub fn start(seat: Seat, table: &Table<Snapshot>, clock: &Clock) -> (Handle, Self) {
        let (handle, commands, ended) = Handle::of_nobody();
        let slept = Arc::new(AtomicBool::new(true));
        let worker = Rc::new(Worker::new(seat, table.reader(), (clock.clone(), Arc::clone(&slept)), commands));
        let tasks = LocalSet::new();
        let works = tasks.spawn_local(Rc::clone(&worker).work());
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        (handle, ByHand { tasks, worker, works, woken, slept, said: Cell::new(false), ended })
    }

    /// Whether it has something to do.
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Acquire)
    }

    /// Goes on, if it has something to do. False where it has not.
    pub fn turn(&mut self) -> bool {
        if !self.woken.0.swap(false, Ordering::AcqRel) {
            return false;
        }
        // Nobody knows how long nothing was done.
        self.slept.store(true, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.woken));
        let _ = Pin::new(&mut self.tasks).poll(&mut Context::from_waker(&waker));
        if self.works.is_finished() && !self.said.replace(true) {
            // Who waits for it may have gone.
            let _ = self.ended.send(());
        }
        true
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.works.is_finished()
    }

    /// Takes a connection, as its accept loop does. False where no session was opened.
    pub fn take(&self, service: usize, socket: Socket, peer: Peer) -> bool {
        let _entered = self.tasks.enter();
        self.worker.admit(service, socket, peer).is_some()
    }

    /// The publication that it has seen.
    pub fn publication(&self) -> u64 {
        self.worker.configured.get()
    }

    /// Its sessions.
    pub fn sessions(&self) -> Vec<Seen> {
        let sessions = self.worker.sessions();
        let seen = sessions.iter().filter_map(|(_, session)| {
            let session = session.as_deref()?;
            let instance = session.instance().map(|instance| instance.as_ref().number);
            Some(Seen { id: session.id, service: session.service, instance, publication: session.publication() })
        });
        seen.collect()
    }
}
