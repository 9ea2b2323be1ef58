//! Says which sessions of a worker hold a version, and what for.
//!
//! Sessions are many, so they are looked at for a short while at a time, as where they follow a publication; all are counted,
//! and of those that are more than asked for, the ones that hold what does not serve come first, and the longest there.

use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::Worker;
use super::following::GO;
use crate::session::{Holding, State};

/// Which sessions are asked for.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Those that run on one of these instances; all where it is not said.
    pub instances: Option<BTreeSet<u32>>,
    /// So many of them at most.
    pub most: usize,
    /// With what another version would go on with.
    pub states: bool,
    /// Who is told.
    pub told: Sender<Listed>,
}

/// The sessions of one worker.
#[derive(Debug)]
pub struct Listed {
    /// Which worker.
    pub worker: usize,
    /// How many there are in all.
    pub count: u64,
    /// Some of them, with the name of the service. Times are those of the workers' clock.
    pub sessions: Vec<(Arc<str>, Holding)>,
}

impl Worker {
    /// Tells who has asked. The worker is about it from now on: whoever takes over begins it again.
    pub(super) fn list(self: &Rc<Self>, listing: Listing) -> impl Future<Output = ()> + use<> {
        let (worker, listing) = (Rc::clone(self), Rc::new(listing));
        worker.listings.borrow_mut().push(Rc::clone(&listing));
        async move {
            worker.list_all(&listing).await;
            worker.listings.borrow_mut().retain(|one| !Rc::ptr_eq(one, &listing));
        }
    }

    async fn list_all(&self, listing: &Listing) {
        let Listing { instances, most, states, told } = listing;
        let keys: Vec<usize> = self.sessions().iter().map(|(key, _)| key).collect();
        let (mut count, mut first) = (0, BinaryHeap::new());
        let mut until = self.time() + GO;
        for key in keys {
            let holds = self.sessions().get(key).and_then(Option::as_ref).and_then(|session| {
                let since = session.holds_since().filter(|_| session.runs_on(instances.as_ref()))?;
                let at_home = self.look(|snapshot| session.is_where_it_belongs(&snapshot.services));
                Some((at_home, since, session.id, key))
            });
            if let Some(holds) = holds {
                count += 1;
                first.push(holds);
                if first.len() > *most {
                    first.pop();
                }
            }
            if self.time() >= until {
                tokio::task::yield_now().await;
                until = self.time() + GO;
            }
        }
        let mut sessions = Vec::with_capacity(first.len());
        for (_, _, id, key) in first.into_sorted_vec() {
            let now = self.time();
            let listed = self.sessions().get(key).and_then(Option::as_ref).and_then(|session| {
                self.look(|snapshot| {
                    let holding = session.holding(&snapshot.services, now).filter(|_| session.id == id)?;
                    Some((Arc::clone(&snapshot.services.get(session.service)?.name), holding))
                })
            });
            sessions.extend(listed.map(|(service, holding)| {
                let state = if *states { self.state_of(key, id) } else { None };
                (service, Holding { state, ..holding })
            }));
            if now >= until {
                tokio::task::yield_now().await;
                until = self.time() + GO;
            }
        }
        // Who has asked may have given up.
        let _ = told.send(Listed { worker: self.index, count, sessions });
    }

    /// What another version would go on with. The session is out of the slab meanwhile, as for a turn: it runs its component's code.
    fn state_of(&self, key: usize, id: u64) -> Option<State> {
        let mut session = self.sessions().get_mut(key)?.take_if(|session| session.id == id)?;
        let state = self.running.lend(&mut *session, |session| session.state(self));
        if let Some(place) = self.sessions().get_mut(key) {
            *place = Some(session);
        }
        state
    }
}
