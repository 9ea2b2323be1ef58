//! A fresh worker takes over from one that a component does not give back: its sessions and sockets, and all that was under way.
//!
//! The session that the component has is given up; all others go on where they are. What the old worker's tasks were about is
//! the worker's and not theirs, so each is begun again where it was. The old thread goes no further than the end of the call
//! that it is in (`observe::inside`).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::{Listing, Opened, Worker};
use crate::loader::code::Conversation;
use crate::loader::estate::{Aside, Lent};
use crate::loader::threads;
use crate::observe::inside::{self, Abandoned, Seen};
use crate::observe::notice::{self, Notice};
use crate::session::{Driver, Session};
use crate::version::table::Table;
use crate::version::{Instance, Snapshot};

/// The addresses of all libraries. There is none at 0.
const EVERYWHERE: Range<usize> = 1..usize::MAX;

/// What is left to do for a worker that takes over, once it is there.
pub(super) struct Heritage {
    before: &'static Worker,
    abandoned: Abandoned,
    seen: Seen,
}

/// The sessions that were there, each with a task of its own from now on: for those who wait for the end of one.
#[derive(Default)]
pub(super) struct Standing(HashMap<(usize, u64), Opened>);

impl Standing {
    /// The one with this key and number.
    pub(super) fn take(&mut self, session: (usize, u64)) -> Option<Opened> {
        self.0.remove(&session)
    }
}

impl Worker {
    /// What a worker was, for another thread to go on with.
    pub(super) fn taken_over(&self, slept: Arc<AtomicBool>) -> Worker {
        Worker {
            index: self.index,
            workers: self.workers,
            // The old one's is empty from now on.
            sessions: Arc::new(std::mem::take(&mut *self.sessions()).into()),
            running: Lent::default(),
            goes_to: Aside::default(),
            // What it has looked at last has leases.
            table: RefCell::new(self.table.replace(Table::new(Snapshot::default()).reader())),
            configured: Cell::new(self.configured.get()),
            moved: Cell::new(self.moved.get()),
            upstreams: RefCell::new(self.upstreams.take().taken_over()),
            alarms: RefCell::new(self.alarms.take()),
            alarm_set: Notify::new(),
            clock: RefCell::new(self.clock.borrow().clone()),
            time: Cell::new((0, 0)),
            slept,
            scratch: RefCell::default(),
            opened: Cell::new(self.opened.get()),
            listeners: RefCell::default(),
            entrants: Default::default(),
            connectors: Default::default(),
            residents: Default::default(),
            drains: RefCell::default(),
            listings: RefCell::default(),
            following: RefCell::new(self.following.take()),
            stopping: Cell::new(self.stopping.get()),
            store: self.store.clone(),
            bindings: Arc::clone(&self.bindings),
            reader: RefCell::new(self.reader.take()),
            verifiers: Arc::clone(&self.verifiers),
            shares: RefCell::new(self.shares.borrow_mut().taken_over()),
            post: self.post.taken_over(),
            inlets: self.inlets.taken_over(),
            conversations: self.conversations.taken_over(),
            touched: Cell::new(self.touched.get()),
            late: self.late,
        }
    }

    /// Begins again what the old worker's tasks were about.
    pub(super) fn go_on(self: &Rc<Self>, Heritage { before, abandoned, seen }: Heritage) {
        drop(before.goes_to.take(&abandoned));
        let held = before.running.take(&abandoned).and_then(|session| self.give_up_session(Box::new(session), seen));
        // That of another version, which it has moved from or was to move from, is not in the component's hands.
        let (held, left) = match held {
            Some(held) if held.lease().as_ref().number != seen.instance => (None, Some(held)),
            held => (held, None),
        };
        self.await_return(abandoned, seen, held);
        let mut standing = Standing::default();
        let keys: Vec<usize> =
            self.sessions().iter().filter(|(_, place)| place.is_some()).map(|(key, _)| key).collect();
        for key in keys {
            let Some(id) = self.sessions().get_mut(key).and_then(Option::as_mut).map(|session| {
                session.change_runtime();
                session.id
            }) else {
                continue;
            };
            standing.0.insert((key, id), self.attend(key, id));
        }
        self.fail_opening();
        for (address, listener) in before.listeners.take() {
            self.listen_on(address, &listener);
        }
        self.enter_on(&before.entrants);
        self.keep_on(&before.connectors, &mut standing);
        self.keep_residents_on(&before.residents, &mut standing);
        self.keep_draining(before.drains.take());
        for listing in before.listings.take() {
            tokio::task::spawn_local(self.list(Listing::clone(&listing)));
        }
        let following = self.following.take();
        if let Some(following) = following {
            tokio::task::spawn_local(self.follow_all(following));
        }
        let (sessions, listeners) = (self.sessions().len(), self.listeners.borrow().len());
        let reason = format!(
            "worker {}: {} does not come back: {}; {sessions} sessions and {listeners} listening sockets go on without it",
            self.index,
            about(seen),
            seen.what
        );
        notice::give(Notice::WorkerTakenOver, &reason);
        if let Some(left) = left {
            // Not here, where nobody would take over from a component that does not come back from that either.
            tokio::task::spawn_local(async move { drop(left) });
        }
    }

    /// Ends the session that a component has. Its conversation is the component's until that has come back.
    fn give_up_session(self: &Rc<Self>, mut session: Box<Session>, seen: Seen) -> Option<Conversation<Instance>> {
        let key = session.key;
        let seated = matches!(self.sessions().get(key), Some(None));
        let why = format!("its component did not come back from it, {}", seen.what);
        let conversation = match seated {
            true => Driver::end_without(self, &mut session, &why),
            false => session.take_conversation(),
        };
        match self.sessions().get_mut(key) {
            Some(place @ None) => *place = Some(session),
            // It was being opened. Its peer sees the end of the connection.
            _ => drop(session),
        }
        conversation
    }

    /// Says what the old thread does if it ever comes back: it leaves nothing behind, and that is all.
    fn await_return(&self, abandoned: Abandoned, seen: Seen, held: Option<Conversation<Instance>>) {
        let (index, name) = (self.index, inside::named(seen.instance));
        let counts = name.map(|name| name.counts);
        if let Some(counts) = &counts {
            counts.inside.fetch_add(1, Ordering::Relaxed);
        }
        let what = format!("worker {index}: the thread of {} that was given up", about(seen));
        abandoned.last(move || {
            // Until it has cleared what is left on the thread its code is not to go.
            let lease = held.as_ref().map(|held| held.lease().clone());
            drop(held);
            threads::run_for(&EVERYWHERE);
            drop(lease);
            if let Some(counts) = counts {
                counts.inside.fetch_sub(1, Ordering::Relaxed);
            }
            notice::give(Notice::ThreadReturned, &format!("{what} has come back, and ends there"));
        });
    }
}

impl Heritage {
    pub(super) fn new(before: &'static Worker, abandoned: Abandoned, seen: Seen) -> Self {
        Heritage { before, abandoned, seen }
    }
}

/// Whose code it is, as an operator reads it.
pub(super) fn about(seen: Seen) -> String {
    let session = if seen.session == 0 { String::new() } else { format!(" session {}", seen.session) };
    match inside::named(seen.instance) {
        Some(name) => format!("service.{} {}{session}", name.service, name.version),
        None => format!("an instance that has ended{session}"),
    }
}

#[cfg(test)]
mod tests {
    use std::mem;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio::task::LocalSet;

    use super::*;
    use crate::account::verifiers::Verifiers;
    use crate::agreement::Usage;
    use crate::clock::{self, Clock};
    use crate::observe::inside::What;
    use crate::store;
    use crate::worker::{Command, Draining, Following, Seat, mailboxes};

    /// A worker of its own, without a thread.
    fn worker() -> Rc<Worker> {
        let (settled, verified, reserved) = (unbounded_channel().1, unbounded_channel().1, unbounded_channel().1);
        let (mailboxes, mut mail) = mailboxes(1);
        let (usage, _) = Usage::unattended(store::Handle::default(), 1, 0, Box::new(|_, _| ()));
        let seat = Seat {
            index: 0,
            workers: 1,
            store: store::Handle::default(),
            bindings: Arc::default(),
            settled,
            verifiers: Arc::new(Verifiers::start(1, Box::new(|_, _| ())).unwrap()),
            verified,
            usage: Arc::new(usage),
            reserved,
            mailboxes,
            mail: mail.remove(0),
            late: None,
        };
        let commands = tokio::sync::mpsc::channel(1).1;
        let table = Table::new(Snapshot::default());
        Rc::new(Worker::new(seat, table.reader(), (Clock::new(), Arc::default()), commands))
    }

    /// This thread, as one that was abandoned in a component.
    fn abandoned() -> (Abandoned, Seen) {
        let (place, _watch) = inside::watch();
        mem::forget(inside::enter(7, 0, What::OPEN));
        let seen = place.look().unwrap();
        (place.abandon(seen).unwrap(), seen)
    }

    #[test]
    fn what_a_worker_was_told_and_has_not_begun_is_done_by_whoever_takes_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let (told, tells) = channel();
        let listing = Listing { instances: None, most: 1, states: false, told };
        let draining = Arc::new(Draining::new(None, (Duration::ZERO, None), Duration::ZERO, 1));
        let following = Arc::new(Following::new(0, clock::instant(), 1));
        let before: &Rc<Worker> = Box::leak(Box::new(worker()));
        {
            let stuck = LocalSet::new();
            let _entered = stuck.enter();
            before.obey(Command::List(listing));
            before.obey(Command::Drain(Arc::clone(&draining)));
            before.obey(Command::Publication { taken: channel().0, following: Arc::clone(&following) });
            // None of it has had a turn.
            mem::forget(stuck);
        }

        let (abandoned, seen) = abandoned();
        let fresh = Rc::new(before.taken_over(Arc::default()));
        let tasks = LocalSet::new();
        let all_done = async {
            fresh.go_on(Heritage::new(before, abandoned, seen));
            while !draining.drained().1 || following.moves().is_none() {
                tokio::task::yield_now().await;
            }
        };
        let waited = tasks.block_on(&runtime, async { tokio::time::timeout(Duration::from_secs(10), all_done).await });

        assert!(waited.is_ok(), "{draining:?}, {following:?}");
        assert!(tells.try_iter().map(|listed| (listed.worker, listed.count)).eq([(0, 0)]));
        assert!(fresh.drains.borrow().is_empty() && fresh.listings.borrow().is_empty());
        assert!(fresh.following.borrow().is_none());
    }
}
