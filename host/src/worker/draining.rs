//! How sessions leave what they run on: moved where they can be, asked to say goodbye where not, so many a second.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Worker;
use super::following::{AGAIN, GO};
use crate::clock::{Nanos, nanos};
use crate::session::Followed;

/// What waits for the store is looked at again so many times before it is told goodbye like any other.
const AGAIN_MAX: usize = 50;

/// Which sessions are to leave, within which time, and how that goes.
#[derive(Debug)]
pub struct Draining {
    /// Those that run on one of these instances; all where it is not said.
    pub instances: Option<BTreeSet<u32>>,
    /// How long each gets to say goodbye …
    pub within: Duration,
    /// … but never past this time of the workers' clock. They are told faster where so many would not be told by half of it.
    pub by: Option<Nanos>,
    /// Each worker tells one, and waits for so long before it tells the next.
    pub pause: Duration,
    /// How many workers are not through.
    workers: AtomicUsize,
    moved: AtomicU64,
    told: AtomicU64,
    left: AtomicU64,
    faster: AtomicU64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drained {
    /// How many run on another instance since.
    pub moved: u64,
    /// How many were told to say goodbye.
    pub told: u64,
    /// How many have ended before they were told.
    pub left: u64,
    /// How many workers have told theirs faster than they were to, so that all have their time.
    pub faster: u64,
}

impl Draining {
    /// By so many workers.
    pub fn new(
        instances: Option<BTreeSet<u32>>,
        (within, by): (Duration, Option<Nanos>),
        pause: Duration,
        workers: usize,
    ) -> Self {
        Draining {
            instances,
            within,
            by,
            pause,
            workers: AtomicUsize::new(workers),
            moved: AtomicU64::new(0),
            told: AtomicU64::new(0),
            left: AtomicU64::new(0),
            faster: AtomicU64::new(0),
        }
    }

    /// How far it is, and whether every worker has told all of its sessions.
    pub fn drained(&self) -> (Drained, bool) {
        // Acquire: what the last worker has counted is seen with its word.
        let through = self.workers.load(Ordering::Acquire) == 0;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (moved, told) = (count(&self.moved), count(&self.told));
        (Drained { moved, told, left: count(&self.left), faster: count(&self.faster) }, through)
    }

    /// Counts a worker that tells faster: what is only read once all is over; its order is that of `workers`.
    fn count_faster(&self) {
        self.faster.fetch_add(1, Ordering::Relaxed);
    }
}

/// A drain that a worker is about, for whichever of its threads that is.
pub(super) struct Leaving {
    draining: Arc<Draining>,
    /// The sessions that nothing has become of yet, by key and number; nothing before it is known which these are.
    staying: RefCell<Option<HashSet<(usize, u64)>>>,
}

impl Leaving {
    /// What has become of a session is counted once.
    fn became(&self, of: &AtomicU64, session: (usize, u64)) {
        if self.staying.borrow_mut().as_mut().is_some_and(|staying| staying.remove(&session)) {
            // Relaxed: as in `count_faster`.
            of.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What became of a session that is to leave.
enum Left {
    Moved,
    Ended,
    /// It is there, and whether it may move in a moment.
    There {
        soon: bool,
    },
}

impl Worker {
    /// Has sessions leave. The worker is about it from now on: whoever takes over goes on with it.
    pub(super) fn drain(self: &Rc<Self>, draining: Arc<Draining>) -> impl Future<Output = ()> + use<> {
        self.go_on_draining(Rc::new(Leaving { draining, staying: RefCell::default() }))
    }

    /// Goes on with what another worker was about.
    pub(super) fn keep_draining(self: &Rc<Self>, before: Vec<Rc<Leaving>>) {
        for leaving in before {
            let (draining, staying) = (Arc::clone(&leaving.draining), leaving.staying.take());
            tokio::task::spawn_local(self.go_on_draining(Rc::new(Leaving { draining, staying: staying.into() })));
        }
    }

    fn go_on_draining(self: &Rc<Self>, leaving: Rc<Leaving>) -> impl Future<Output = ()> + use<> {
        let worker = Rc::clone(self);
        worker.drains.borrow_mut().push(Rc::clone(&leaving));
        async move {
            worker.drain_all(&leaving).await;
            worker.drains.borrow_mut().retain(|one| !Rc::ptr_eq(one, &leaving));
        }
    }

    async fn drain_all(&self, leaving: &Leaving) {
        let draining = &*leaving.draining;
        let here = || {
            let sessions = self.sessions();
            let there = sessions.iter().filter_map(|(key, session)| Some((key, session.as_ref()?)));
            there
                .filter(|(_, session)| session.holds_since().is_some() && session.runs_on(draining.instances.as_ref()))
                .map(|(key, session)| (key, session.id))
                .collect()
        };
        let mut staying: Vec<(usize, u64)> =
            leaving.staying.borrow_mut().get_or_insert_with(here).iter().copied().collect();
        staying.sort_unstable();
        // What can move does, rather than say goodbye. Where all are to go, there is nothing to move to.
        if draining.instances.is_some() {
            staying = self.move_away(leaving, staying).await;
        }
        let pause = self.pause(draining, staying.len());
        for (key, id) in staying {
            // The next event of one may have been the one that it can be moved after.
            match self.move_one(draining, key, id) {
                Left::Moved => leaving.became(&draining.moved, (key, id)),
                Left::Ended => leaving.became(&draining.left, (key, id)),
                Left::There { .. } => {
                    self.tell_goodbye(draining, key);
                    leaving.became(&draining.told, (key, id));
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
        // Release, and Acquire in `drained`: see there.
        draining.workers.fetch_sub(1, Ordering::Release);
    }

    /// Moves those that can be, for a short while at a time. Says which are left.
    async fn move_away(&self, leaving: &Leaving, mut keys: Vec<(usize, u64)>) -> Vec<(usize, u64)> {
        let draining = &*leaving.draining;
        let mut staying = Vec::new();
        for _ in 0..AGAIN_MAX {
            let mut later = Vec::new();
            let mut until = self.time() + GO;
            for (key, id) in keys {
                match self.move_one(draining, key, id) {
                    Left::Moved => leaving.became(&draining.moved, (key, id)),
                    Left::Ended => leaving.became(&draining.left, (key, id)),
                    Left::There { soon: true } => later.push((key, id)),
                    Left::There { soon: false } => staying.push((key, id)),
                }
                if self.time() >= until {
                    tokio::task::yield_now().await;
                    until = self.time() + GO;
                }
            }
            keys = later;
            if keys.is_empty() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        staying.extend(keys);
        staying
    }

    fn move_one(&self, draining: &Draining, key: usize, id: u64) -> Left {
        if let Some(Some(session)) = self.sessions().get_mut(key)
            && session.id == id
        {
            session.try_again();
        }
        let followed = self.follow_one(key);
        let sessions = self.sessions();
        match sessions.get(key).and_then(Option::as_ref).filter(|session| session.id == id) {
            Some(session) if session.holds_since().is_none() => Left::Ended,
            Some(session) if session.runs_on(draining.instances.as_ref()) => {
                Left::There { soon: followed == Followed::Later }
            }
            Some(_) => Left::Moved,
            None => Left::Ended,
        }
    }

    /// So long between two of so many sessions.
    fn pause(&self, draining: &Draining, count: usize) -> Duration {
        let Some(by) = draining.by else { return draining.pause };
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let longest = Duration::from_nanos(by.saturating_sub(self.time()) / 2) / count;
        if longest < draining.pause && count > 1 {
            draining.count_faster();
        }
        longest.min(draining.pause)
    }

    fn tell_goodbye(&self, draining: &Draining, key: usize) {
        let (now, wall) = self.now();
        let left = draining.by.map_or(Nanos::MAX, |by| by.saturating_sub(now));
        let within = nanos(draining.within).min(left);
        if let Some(Some(session)) = self.sessions().get_mut(key) {
            session.drain(now.saturating_add(within), wall.saturating_add(within));
        }
    }
}
