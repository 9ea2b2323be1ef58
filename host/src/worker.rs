//! One worker: a thread with a runtime of its own, its listening sockets, its sessions, its pools.
//!
//! Workers share nothing that is written on the way of an event. A session lives and dies on its worker. What comes from
//! elsewhere comes as a [`Command`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tandem_component::{Peer, Role};
use tokio::sync::{Notify, mpsc};

use crate::account::verifiers::Verifiers;
use crate::agreement::shares::Shares;
use crate::clock::{Clock, Nanos, nanos};
use crate::loader::estate::{Aside, Lent};
use crate::loader::threads;
use crate::observe::inside;
use crate::observe::notice::{self, Notice};
use crate::service::{Dialed, Owner, SWEEP, Ticket, Upstreams};
use crate::session::{Alarms, Driver, Ending, Session, Turn};
use crate::store::bindings::Bindings;
use crate::store::{self, Home};
use crate::transport::{Address, Socket};
use crate::version::table::Reader;
use crate::version::{Instance, Lease, Service, Snapshot};

mod accept;
mod accounts;
mod admissions;
pub mod by_hand;
mod calls;
mod connect;
mod conversations;
mod draining;
mod entering;
mod following;
mod handle;
mod inlets;
mod later;
mod listing;
mod residents;
mod routing;
mod scratch;
mod steps;
mod storing;
mod takeover;
mod watchdog;

pub use calls::{Mail, Mailbox, mailboxes};
pub use connect::Wanted;
pub use draining::{Drained, Draining};
pub use following::{Following, Moves};
pub use handle::{Command, Handle, Seat};
pub use listing::{Listed, Listing};
pub use steps::Begun;
pub use watchdog::Watchdog;

use conversations::Conversations;
use inlets::{Inlet, Inlets};
use residents::Residents;
use scratch::Scratch;

/// So many turns share one look at the clock: 16 of some 10 µs each are far below the millisecond of a timer.
const SHARE_TIME: u32 = 16;
/// Who has connected and was not let in yet has so long for that at a stop: it is a matter of a moment, and who says nothing would keep
/// everybody waiting.
const ENTERED_BY: Duration = Duration::from_secs(5);

/// What a worker's sessions see of it. Lives on the worker's thread, but for the sessions themselves: those are taken out
/// of their slab while they run and can be taken over by another worker while this one is stuck in one of them.
pub struct Worker {
    index: usize,
    workers: u64,
    sessions: Arc<Mutex<Slab<Option<Box<Session>>>>>,
    /// The one that is out of its slab, in its turn.
    pub(crate) running: Lent<Session>,
    /// What that one is about to run on, while what it runs on is asked something.
    pub(crate) goes_to: Aside<Lease<Instance>>,
    table: RefCell<Reader<Snapshot>>,
    /// The publication that the upstreams were configured by.
    configured: Cell<u64>,
    /// How many sessions were moved since it was taken.
    moved: Cell<u64>,
    upstreams: RefCell<Upstreams>,
    alarms: RefCell<Alarms>,
    alarm_set: Notify,
    clock: RefCell<Clock>,
    /// The time as it was last taken, and how many may still share it.
    time: Cell<(Nanos, u32)>,
    /// The thread has slept since. Relaxed: only this thread reads and writes it.
    slept: Arc<AtomicBool>,
    scratch: RefCell<Scratch>,
    opened: Cell<u64>,
    listeners: RefCell<HashMap<Address, accept::Listener>>,
    entrants: entering::Entrants,
    connectors: connect::Connectors,
    residents: Residents,
    /// Which sessions are being asked to leave.
    drains: RefCell<Vec<Rc<draining::Leaving>>>,
    /// Who is being told which sessions there are.
    listings: RefCell<Vec<Rc<Listing>>>,
    /// The publication that sessions follow now.
    following: RefCell<Option<Arc<Following>>>,
    /// It stops, and until then.
    stopping: Cell<Option<Nanos>>,
    store: store::Handle,
    bindings: Arc<Bindings>,
    /// Opened for the first question.
    reader: RefCell<Option<Box<dyn store::Reader>>>,
    verifiers: Arc<Verifiers>,
    shares: RefCell<Shares>,
    post: calls::Post,
    inlets: Inlets,
    conversations: Conversations,
    /// In which second bindings were made to live on, and how many.
    touched: Cell<(u64, u32)>,
    late: Option<u64>,
}

impl Worker {
    fn new(
        seat: Seat,
        table: Reader<Snapshot>,
        (clock, slept): (Clock, Arc<AtomicBool>),
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let Seat { index, workers, store, bindings, settled, verifiers, verified, .. } = seat;
        let Seat { usage, reserved, mailboxes, mail, late, .. } = seat;
        Worker {
            index,
            workers: workers as u64,
            sessions: Arc::default(),
            running: Lent::default(),
            goes_to: Aside::default(),
            table: RefCell::new(table),
            configured: Cell::new(0),
            moved: Cell::new(0),
            upstreams: RefCell::default(),
            alarms: RefCell::default(),
            alarm_set: Notify::new(),
            clock: RefCell::new(clock),
            time: Cell::new((0, 0)),
            slept,
            scratch: RefCell::default(),
            opened: Cell::new(0),
            listeners: RefCell::default(),
            entrants: Default::default(),
            connectors: connect::Connectors::default(),
            residents: Residents::default(),
            drains: RefCell::default(),
            listings: RefCell::default(),
            following: RefCell::default(),
            stopping: Cell::new(None),
            store,
            bindings,
            reader: RefCell::default(),
            verifiers,
            shares: RefCell::new(Shares::new(usage, index)),
            post: calls::Post::new(mailboxes),
            inlets: Inlets {
                commands: Inlet::new(commands),
                settled: Inlet::new(settled),
                verified: Inlet::new(verified),
                reserved: Inlet::new(reserved),
                mail: Inlet::new(mail),
            },
            conversations: Conversations::default(),
            touched: Cell::default(),
            late,
        }
    }

    /// Works until it is told to stop.
    async fn work(self: Rc<Self>) {
        tokio::task::spawn_local(Rc::clone(&self).ring_alarms());
        tokio::task::spawn_local(Rc::clone(&self).sweep());
        tokio::task::spawn_local(Rc::clone(&self).take_settled());
        tokio::task::spawn_local(Rc::clone(&self).take_verified());
        tokio::task::spawn_local(Rc::clone(&self).take_reserved());
        tokio::task::spawn_local(Rc::clone(&self).take_mail());
        if let Some(until) = self.stopping.get() {
            return self.stop(Duration::from_nanos(until.saturating_sub(self.time()))).await;
        }
        while let Some(command) = self.inlets.commands.next().await {
            match command {
                Command::Stop(within) => return self.stop(within).await,
                command => self.obey(command),
            }
        }
    }

    fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Publication { taken, following } => {
                self.look(|_| ());
                // The host waits for every worker or has given up waiting.
                let _ = taken.send(self.index);
                self.wake_connectors();
                self.keep_residents();
                self.forget_empty_callees();
                tokio::task::spawn_local(self.follow_all(following));
            }
            Command::Listen { service, address, bound, entrance } => self.listen(service, address, bound, entrance),
            Command::Unlisten(address) => {
                if let Some(listener) = self.listeners.borrow_mut().remove(&address) {
                    listener.tell_to_stop();
                }
            }
            Command::Connect(wanted) => self.keep_connected(wanted),
            Command::Clear(instance, range, cleared) => {
                inside::clear(instance, || threads::run_for(&range));
                let _ = cleared.send(self.index);
            }
            Command::Drain(draining) => {
                tokio::task::spawn_local(self.drain(draining));
            }
            Command::List(listing) => {
                tokio::task::spawn_local(self.list(listing));
            }
            Command::Stop(_) => {}
        }
    }

    /// Ends: nothing new is taken, what is under way gets its time.
    async fn stop(self: &Rc<Self>, within: Duration) {
        self.stopping.set(Some(self.time().saturating_add(nanos(within))));
        self.stop_connecting();
        self.stop_residents();
        while let Some(listener) = self.next_listener() {
            listener.end().await;
        }
        let all = Draining::new(None, (within, None), Duration::ZERO, 1);
        self.drain(Arc::new(all)).await;
        let began = tokio::time::Instant::now();
        let (deadline, entered) = (within + Duration::from_millis(100), within.min(ENTERED_BY));
        let is_left =
            |passed| !self.sessions().is_empty() && passed < deadline || !self.entrants.is_empty() && passed < entered;
        while is_left(began.elapsed()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = self.sessions().len();
        if left > 0 {
            tracing::warn!(worker = self.index, left, "sessions did not end in time and are closed");
        }
        // Dropped here, while all libraries are mapped.
        let sessions = std::mem::take(&mut *self.sessions());
        drop(sessions);
        self.shares.borrow_mut().give_all_back();
    }

    /// Wakes sessions whose time has come.
    async fn ring_alarms(self: Rc<Self>) {
        loop {
            let next = self.alarms.borrow().next();
            match next {
                None => self.alarm_set.notified().await,
                Some(due) => {
                    let at = self.clock.borrow().instant(due);
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {}
                        () = self.alarm_set.notified() => {}
                    }
                }
            }
            let now = self.clock.borrow().now();
            while let Some((key, id)) = self.ring(now) {
                if let Some(Some(session)) = self.sessions().get_mut(key)
                    && session.id == id
                {
                    session.alarm_rang();
                }
            }
        }
    }

    fn ring(&self, now: Nanos) -> Option<(usize, u64)> {
        self.alarms.borrow_mut().ring(now)
    }

    /// Forgets alarms that were set earlier since, or whose sessions have ended, where these are most of them.
    fn sweep_alarms(&self) {
        const FEW: usize = 4096;
        let mut alarms = self.alarms.borrow_mut();
        if alarms.len() > FEW {
            let sessions = self.sessions();
            if alarms.len() > 4 * sessions.len() {
                alarms.retain(|due, key, id| {
                    matches!(sessions.get(key), Some(Some(session)) if session.id == id && session.alarm_at() == due)
                });
            }
        }
    }

    async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let now = self.clock.borrow().now();
            self.upstreams.borrow_mut().sweep(now);
            self.sweep_shares();
            // They are everybody's: one worker looks after them.
            if self.index == 0 {
                self.expire_bindings();
            }
        }
    }

    /// The sessions. A poisoned lock is one whose holder panicked between two whole operations.
    fn sessions(&self) -> std::sync::MutexGuard<'_, Slab<Option<Box<Session>>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session on a connection that has come in.
    fn admit(self: &Rc<Self>, service: usize, socket: Socket, peer: Peer) -> Option<(usize, u64)> {
        match self.open(service, socket, Role::Server, peer) {
            Ok(opened) => {
                self.say_goodbye_to(opened.key);
                Some((opened.key, opened.id))
            }
            Err(NotOpened::Unserved) => {
                let name = self.with_service_name(service, str::to_owned);
                let reason = format!("service.{name}: no version serves it; a connection was closed");
                notice::give(Notice::ServiceDown, &reason);
                None
            }
            Err(NotOpened::Refused(reason)) => {
                let name = self.with_service_name(service, str::to_owned);
                notice::give(Notice::SessionRefused, &format!("service.{name}: {peer}: {reason}"));
                None
            }
        }
    }

    /// Where the worker is to stop, who enters leaves as soon as it has what it has come for.
    fn say_goodbye_to(&self, key: usize) {
        let Some(until) = self.stopping.get() else { return };
        let (now, wall) = self.now();
        if let Some(Some(session)) = self.sessions().get_mut(key) {
            session.drain(until, wall.saturating_add(until.saturating_sub(now)));
        }
    }

    /// Opens a session on a connection, and gives it a task.
    fn open(self: &Rc<Self>, service: usize, socket: Socket, role: Role, peer: Peer) -> Result<Opened, NotOpened> {
        let number = self.opened.get();
        let (publication, instance) =
            self.look(|snapshot| (snapshot.number, snapshot.services[service].for_new(peer, number).cloned()));
        let instance = instance.ok_or(NotOpened::Unserved)?;
        let session = Session::open(self, service, publication, instance, socket, (role, peer));
        Ok(self.seat(session.map_err(NotOpened::Refused)?))
    }

    /// Gives a session its place in the slab, and a task.
    fn seat(self: &Rc<Self>, mut session: Box<Session>) -> Opened {
        let id = session.id;
        let mut sessions = self.sessions();
        let place = sessions.vacant_entry();
        let key = place.key();
        session.key = key;
        place.insert(Some(session));
        drop(sessions);
        self.attend(key, id)
    }

    /// Gives a session in the slab a task.
    fn attend(self: &Rc<Self>, key: usize, id: u64) -> Opened {
        let task = tokio::task::spawn_local(Task { worker: Rc::clone(self), key });
        Opened { key, id, task }
    }

    /// Gives a session its place in the slab, and its first turn at once. Only where it is not over with that, it gets a task and
    /// has a home.
    fn seat_for_a_turn(self: &Rc<Self>, mut session: Box<Session>) -> Option<Home> {
        let key = self.sessions().insert(None);
        let id = session.id;
        session.key = key;
        // What it waits for is asked for by its task once more.
        let mut cx = Context::from_waker(Waker::noop());
        // As in a task of its own, a turn that panics ends one session and not what has called it.
        let turn = AssertUnwindSafe(|| self.running.lend(&mut *session, |it| Driver::new(self, it, &mut cx).turn()));
        let turn = catch_unwind(turn);
        let mut sessions = self.sessions();
        if !matches!(turn, Ok(Turn::Waits | Turn::Again)) {
            sessions.remove(key);
            return None;
        }
        session.ask_again();
        *sessions.get_mut(key)? = Some(session);
        drop(sessions);
        tokio::task::spawn_local(Task { worker: Rc::clone(self), key });
        Some(Home { worker: self.index, key, session: id })
    }

    /// Looks at the version table; takes what a publication changes for the worker.
    fn look<T>(&self, see: impl FnOnce(&Snapshot) -> T) -> T {
        let mut table = self.table.borrow_mut();
        let snapshot = table.look();
        if snapshot.number != self.configured.get() {
            self.configured.set(snapshot.number);
            self.moved.set(0);
            self.upstreams.borrow_mut().configure(&snapshot.upstreams);
        }
        see(snapshot)
    }

    /// The publication now, and what it says of a service, where that is another publication than the one seen.
    #[inline]
    pub fn newer<T>(&self, seen: u64, service: usize, see: impl FnOnce(&Service) -> T) -> Option<(u64, T)> {
        if self.is_publication(seen) {
            return None;
        }
        Some(self.look(|snapshot| (snapshot.number, see(&snapshot.services[service]))))
    }

    /// Whether that is the publication now: one atomic load.
    #[inline(always)] // Once an event.
    pub fn is_publication(&self, seen: u64) -> bool {
        self.table.borrow_mut().look().number == seen
    }

    /// What the publication now says of a service.
    pub fn service_now<T>(&self, service: usize, see: impl FnOnce(&Service) -> T) -> T {
        self.look(|snapshot| see(&snapshot.services[service]))
    }

    /// The time, exactly.
    pub fn time(&self) -> Nanos {
        self.clock.borrow().now()
    }

    /// Calls `see` with the name of a service.
    pub fn with_service_name<T>(&self, service: usize, see: impl FnOnce(&str) -> T) -> T {
        self.look(|snapshot| see(&snapshot.services[service].name))
    }

    /// The time, on both clocks. Sessions that run in one go share one look at the clock, `SHARE_TIME` of them at most.
    #[inline]
    pub fn now(&self) -> (Nanos, u64) {
        let (mut now, shared) = self.time.get();
        if shared == 0 || self.slept.swap(false, Ordering::Relaxed) {
            now = self.clock.borrow().now();
            self.time.set((now, SHARE_TIME));
        } else {
            self.time.set((now, shared - 1));
        }
        (now, self.clock.borrow_mut().wall(now))
    }

    /// A number for the next session.
    pub fn next_session(&self) -> u64 {
        self.opened.set(self.opened.get() + 1);
        self.opened.get() * self.workers + self.index as u64
    }

    /// The seed by which every answer comes late, where that is so.
    pub fn late(&self) -> Option<u64> {
        self.late
    }

    /// A connection to a server of an upstream.
    pub fn dial<N: Iterator<Item = u64>>(
        &self,
        upstream: &[u8],
        avoid: impl Fn() -> N,
        fresh: bool,
        owner: impl FnOnce() -> Option<Owner>,
        now: Nanos,
    ) -> Dialed {
        self.upstreams.borrow_mut().dial(upstream, avoid, fresh, owner, now)
    }

    /// Takes a connection back that can serve again.
    pub fn pool(&self, socket: Socket, ticket: Ticket, now: Nanos) {
        self.upstreams.borrow_mut().pool(socket, ticket, now);
    }

    /// Which worker it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Gives a notice about a session.
    pub fn notice(&self, session: &Session, notice: Notice, reason: &str) {
        notice::give(notice, &self.about(session, reason));
    }

    /// What is said of a session.
    fn about(&self, session: &Session, reason: &str) -> String {
        let service = self.with_service_name(session.service, str::to_owned);
        let version = session.instance().map_or_else(String::new, |instance| format!(" {}", instance.version));
        format!("service.{service}{version} session {}: {reason}", session.id)
    }

    /// Counts a datagram that the kernel did not take.
    pub fn datagram_lost(&self, error: &io::Error) {
        let reason = match error.kind() {
            io::ErrorKind::WouldBlock => "the socket's buffer is full".to_owned(),
            io::ErrorKind::NotConnected => "its listener has gone".to_owned(),
            _ => format!("it cannot be sent: {error}"),
        };
        notice::give(Notice::DatagramLost, &reason);
    }
}

/// A session that was opened. Its task goes on without whoever has this.
struct Opened {
    key: usize,
    id: u64,
    task: tokio::task::JoinHandle<Option<Box<Ending>>>,
}

/// Why no session was opened.
enum NotOpened {
    /// No version serves the service.
    Unserved,
    /// The component refused, in its words.
    Refused(String),
}

/// Polls one session, which stays in the worker's slab. Says at its end why it has come, where that is known.
struct Task {
    worker: Rc<Worker>,
    key: usize,
}

impl Future for Task {
    type Output = Option<Box<Ending>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Box<Ending>>> {
        let Task { worker, key } = &*self;
        // Out of the slab while it runs: the lock is held for a moment only, never inside a component.
        let Some(mut session) = worker.sessions().get_mut(*key).and_then(Option::take) else {
            return Poll::Ready(None);
        };
        session.set_waker(cx.waker());
        let late = inside::late();
        let (turn, again) = worker.running.lend(&mut *session, |session| {
            let turn = Driver::new(worker, session, cx).turn();
            // By what it was told just now it may have become one that moves: not only with its next event.
            let again = turn == Turn::Again || turn == Turn::Waits && session.may_follow();
            (turn, again)
        });
        if turn == Turn::Over {
            worker.sessions().remove(*key);
            worker.upstreams.borrow_mut().forget(session.id);
            return Poll::Ready(session.take_ending());
        }
        if session.set_alarm(&mut worker.alarms.borrow_mut(), *key) {
            worker.alarm_set.notify_one();
        }
        if let Some(place) = worker.sessions().get_mut(*key) {
            *place = Some(session);
        }
        // Only now: what is not in its place has ended, for the sweep, and would never be woken again.
        worker.sweep_alarms();
        if again {
            later::wake(cx.waker(), inside::late() == late);
        }
        Poll::Pending
    }
}

/// The source of components' random numbers: the system's, by way of std's hasher keys, mixed by SipHash.
fn random() -> impl FnMut() -> u64 + Send + 'static {
    use std::hash::{BuildHasher, RandomState};
    let keys = RandomState::new();
    let mut count = 0_u64;
    move || {
        count += 1;
        keys.hash_one(count)
    }
}
