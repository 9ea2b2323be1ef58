//! How the sessions of a worker follow a publication that brings them no event.
//!
//! One that has something to do follows by itself, before its next event. The others are moved here, for a short while at a
//! time: between two goes the worker serves whoever has something to do, so nobody's answer waits for all of them.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Worker;
use crate::clock::{Nanos, nanos};
use crate::observe::notice::{self, Notice};
use crate::session::{Driver, Followed};

/// How long one go takes, and so how much later an answer may come because of it; a single session may take longer.
pub(super) const GO: Nanos = 1_000_000;
/// Sessions that wait for the store are looked at again so often …
pub(super) const AGAIN: Duration = Duration::from_millis(2);
/// … and so many times: where the store takes longer, they follow by themselves once it has settled.
const AGAIN_MAX: usize = 500;

/// How the sessions of all workers follow one publication.
#[derive(Debug)]
pub struct Following {
    /// Its number.
    pub publication: u64,
    published: Instant,
    /// How many workers are not through with their sessions.
    workers: AtomicUsize,
    moved: AtomicU64,
    stay: AtomicU64,
    took: AtomicU64,
}

/// What came of a publication for the sessions that there were.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// How many run on another instance since.
    pub moved: u64,
    /// How many do not run on the one that serves: they are pinned, it refuses them, or they are in the middle of something.
    pub stay: u64,
    /// How long that took from the publication to the last of them.
    pub took: Duration,
}

impl Following {
    /// Of a publication of this time, by so many workers.
    pub fn new(publication: u64, published: Instant, workers: usize) -> Self {
        Following {
            publication,
            published,
            workers: AtomicUsize::new(workers),
            moved: AtomicU64::new(0),
            stay: AtomicU64::new(0),
            took: AtomicU64::new(0),
        }
    }

    /// What came of it, once every worker is through.
    pub fn moves(&self) -> Option<Moves> {
        // Acquire: what the last worker was told of the others is seen with its word.
        (self.workers.load(Ordering::Acquire) == 0).then(|| Moves {
            moved: self.moved.load(Ordering::Relaxed),
            stay: self.stay.load(Ordering::Relaxed),
            took: Duration::from_nanos(self.took.load(Ordering::Relaxed)),
        })
    }

    /// A worker is through. The last one says what came of it.
    fn through(&self, moved: u64, stay: u64, now: Instant) {
        self.moved.fetch_add(moved, Ordering::Relaxed);
        self.stay.fetch_add(stay, Ordering::Relaxed);
        self.took.fetch_max(nanos(now.saturating_duration_since(self.published)), Ordering::Relaxed);
        // Release, and Acquire in `moves`: see there.
        self.workers.fetch_sub(1, Ordering::Release);
        if let Some(Moves { moved, stay, took }) = self.moves()
            && moved + stay > 0
        {
            let stay = if stay == 0 { String::new() } else { format!(", {stay} stay where they are") };
            let reason = format!("publication {}: {moved} sessions in {took:.1?}{stay}", self.publication);
            notice::give(Notice::SessionsMoved, &reason);
        }
    }
}

impl Worker {
    /// Has every session follow the publication that was taken, unless another one is taken meanwhile.
    pub(super) fn follow_all(self: &Rc<Self>, following: Arc<Following>) -> impl Future<Output = ()> + use<> {
        // From now on: whoever takes over goes on with it.
        self.following.replace(Some(Arc::clone(&following)));
        Rc::clone(self).have_all_follow(following)
    }

    async fn have_all_follow(self: Rc<Self>, following: Arc<Following>) {
        let mut keys: Vec<usize> = self.sessions().iter().map(|(key, _)| key).collect();
        let mut stay = 0;
        for _ in 0..AGAIN_MAX {
            let (stays, later) = self.follow_in_goes(&keys).await;
            (stay, keys) = (stay + stays, later);
            if keys.is_empty() || self.look(|snapshot| snapshot.number) != following.publication {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        let now = self.clock.borrow().instant(self.time());
        self.following.borrow_mut().take_if(|other| Arc::ptr_eq(other, &following));
        following.through(self.moved.get(), stay + keys.len() as u64, now);
    }

    /// How many of these sessions stay where they are, and which cannot follow yet.
    async fn follow_in_goes(&self, keys: &[usize]) -> (u64, Vec<usize>) {
        let (mut stay, mut later) = (0, Vec::new());
        let mut until = self.time() + GO;
        for &key in keys {
            match self.follow_one(key) {
                Followed::There => {}
                Followed::Stays => stay += 1,
                Followed::Later => later.push(key),
            }
            if self.time() >= until {
                tokio::task::yield_now().await;
                until = self.time() + GO;
            }
        }
        (stay, later)
    }

    pub(super) fn follow_one(&self, key: usize) -> Followed {
        // Out of the slab, as for a turn.
        let Some(mut session) = self.sessions().get_mut(key).and_then(Option::take) else { return Followed::There };
        let followed = self.running.lend(&mut *session, |session| Driver::follow_apart(self, session));
        if let Some(place) = self.sessions().get_mut(key) {
            *place = Some(session);
        }
        followed
    }

    /// A session was moved.
    pub fn count_move(&self) {
        self.moved.set(self.moved.get() + 1);
    }
}
