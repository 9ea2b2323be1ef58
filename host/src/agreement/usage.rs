//! All counts, and the thread that reserves of them in the store: [`Usage`].
//!
//! Reserving waits for the disk, so it is done by a thread of its own. What is asked of it meanwhile is one transaction.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::count::{Arrival, Count, Key, Used};
use super::terms::{Agreement, Agreements};
use super::{Moment, table};
use crate::store::{self, Failure, Reader, Step, Store};

/// All counts.
pub struct Usage {
    counts: Mutex<HashMap<Key, Arc<Count>>>,
    /// The accounts that there are, or have been in this run: a session of one that was removed is admitted nothing more. Who
    /// was never one is not the host's to judge.
    accounts: Mutex<HashMap<String, Standing>>,
    /// Counts publications, and changes of what is suspended: what a worker has made of them holds until then. It is written
    /// after them and read before, with release and acquire.
    generation: AtomicU64,
    requests: Sender<Request>,
    /// What is to be added to a worker's time for the steady one.
    epoch: u64,
    /// How many workers share what there is.
    pub workers: u64,
}

/// How it is with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may use what it may.
    Good,
    /// It may use nothing for now.
    Suspended,
    /// It is none any more.
    Removed,
}

/// A worker wants more to be reserved.
pub struct Request {
    /// Of which count.
    pub count: Arc<Count>,
    /// Under which terms.
    pub terms: Arc<Agreement>,
    /// When it asks.
    pub at: Moment,
    /// How much it needs at once.
    pub need: u64,
    /// Which worker.
    pub worker: usize,
}

/// What a worker is told.
pub struct Reserved {
    /// Of which count.
    pub count: Arc<Count>,
    /// Whether it is committed.
    pub outcome: Result<(), Failure>,
}

/// Where a worker takes what was reserved. It must not wait.
pub type Deliver = Box<dyn Fn(usize, Reserved) + Send>;

/// So many counts there may be: a few hundred megabytes.
const COUNTS_MAX: usize = 1 << 20;
/// So many requests are one transaction at most.
const TOGETHER_MAX: usize = 1024;

impl Usage {
    /// Counts whose thread reserves in this store, once there is one. `epoch` is what is to be added to the workers' time.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(store: store::Handle, workers: usize, epoch: u64, deliver: Deliver) -> io::Result<Self> {
        let (usage, reserving) = Usage::unattended(store, workers, epoch, deliver);
        std::thread::Builder::new().name("usage".into()).spawn(move || reserving.run())?;
        Ok(usage)
    }

    /// The same without a thread: who has the other half reserves.
    pub fn unattended(store: store::Handle, workers: usize, epoch: u64, deliver: Deliver) -> (Self, Reserving) {
        let (requests, asked) = channel();
        let usage = Usage {
            counts: Mutex::default(),
            accounts: Mutex::default(),
            generation: AtomicU64::new(1),
            requests,
            epoch,
            workers: workers as u64,
        };
        (usage, Reserving { store, asked, deliver })
    }

    /// Takes what the store has from the run before; what this run has counted already stays as it is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn read(&self, reader: &mut dyn Reader) -> Result<(), Failure> {
        let rows = table::all(reader)?;
        let mut counts = self.counts();
        for (key, used) in rows {
            counts.entry(key).or_insert_with_key(|key| Arc::new(Count::new(key.clone(), used)));
        }
        Ok(())
    }

    /// A moment, of a worker's time.
    #[inline]
    pub fn moment(&self, now: u64, wall: u64) -> Moment {
        Moment { steady: self.epoch.saturating_add(now), wall }
    }

    /// Whether what was made of the agreements at this generation holds.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What was made of the agreements holds no more.
    pub fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// These are all accounts that there are, each in good standing or suspended.
    pub fn set_accounts(&self, mut now: HashMap<String, Standing>) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        for name in accounts.keys() {
            if !now.contains_key(name) {
                now.insert(name.clone(), Standing::Removed);
            }
        }
        let barred = |all: &HashMap<String, Standing>, name| all.get(name).is_some_and(|it| *it != Standing::Good);
        let changed = now.keys().any(|name| barred(&accounts, name) != barred(&now, name));
        *accounts = now;
        drop(accounts);
        if changed {
            self.renew();
        }
    }

    /// Why an account is admitted nothing, where it is one that is not.
    pub fn barred(&self, account: &str) -> Option<&'static str> {
        match self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(account)? {
            Standing::Good => None,
            Standing::Suspended => Some("it is suspended"),
            Standing::Removed => Some("it was removed"),
        }
    }

    /// The counts of an account and a service, with their terms. `None` where there are as many as there may be.
    pub fn of(
        &self,
        agreements: &Agreements,
        account: &str,
        service: &str,
    ) -> Option<Vec<(Arc<Count>, Arc<Agreement>)>> {
        let mut found = Vec::new();
        for (name, terms) in agreements {
            let Some(account) = terms.counts_for(account, service) else { continue };
            let key = Key { agreement: name.clone(), account: account.to_owned(), service: service.to_owned() };
            let mut counts = self.counts();
            let full = counts.len() >= COUNTS_MAX;
            let count = match counts.get(&key) {
                Some(count) => Arc::clone(count),
                None if full => return None,
                None => Arc::clone(
                    counts.entry(key).or_insert_with_key(|key| Arc::new(Count::new(key.clone(), Used::default()))),
                ),
            };
            found.push((count, Arc::clone(terms)));
        }
        Some(found)
    }

    /// Has more reserved; the worker is told.
    pub fn ask(&self, request: Request) {
        if self.requests.send(request).is_err() {
            tracing::error!("the usage's thread has ended: a bug in the host");
        }
    }

    /// All counts, by their names.
    pub fn all(&self) -> BTreeMap<Key, Arc<Count>> {
        self.counts().iter().map(|(key, count)| (key.clone(), Arc::clone(count))).collect()
    }

    /// Writes down exactly what was used, once no worker takes any more.
    ///
    /// # Errors
    /// It is not committed.
    pub fn settle(&self, store: &dyn Store) -> Result<(), Failure> {
        let used = self.all().into_values().map(|count| (count.settled(), count));
        // Those that nothing was ever written of have nothing to be lost.
        let used =
            used.filter(|(used, _)| used.quotas.iter().any(|quota| quota.start > 0) || used.tat != Arrival::At(0));
        let steps: Vec<Step> = used.map(|(used, count)| table::put(&count.key, &used)).collect();
        for steps in steps.chunks(TOGETHER_MAX) {
            store.write(steps.to_vec())?;
        }
        Ok(())
    }

    /// A poisoned lock is one whose holder panicked between two whole operations.
    fn counts(&self) -> MutexGuard<'_, HashMap<Key, Arc<Count>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserves in the store what is asked for.
pub struct Reserving {
    store: store::Handle,
    asked: Receiver<Request>,
    deliver: Deliver,
}

impl Reserving {
    /// Until nobody can ask any more.
    fn run(&self) {
        while let Ok(first) = self.asked.recv() {
            self.reserve(first);
        }
    }

    /// What is asked for now. False where that is nothing.
    pub fn step(&self) -> bool {
        self.asked.try_recv().map(|first| self.reserve(first)).is_ok()
    }

    /// The first, and what is asked for beside it.
    fn reserve(&self, first: Request) {
        let Reserving { store, asked, deliver } = self;
        let requests: Vec<Request> = std::iter::once(first).chain(asked.try_iter().take(TOGETHER_MAX - 1)).collect();
        // One for each count: what several workers need of it is asked once.
        let mut plans: Vec<(Arc<Count>, Used)> = Vec::new();
        let mut needs: HashMap<*const Count, (u64, &Request)> = HashMap::new();
        for request in &requests {
            needs.entry(Arc::as_ptr(&request.count)).or_insert((0, request)).0 += request.need;
        }
        for (need, Request { count, terms, at, .. }) in needs.into_values() {
            plans.extend(count.plan(terms, *at, need).map(|planned| (Arc::clone(count), planned)));
        }
        let steps: Vec<Step> = plans.iter().map(|(count, planned)| table::put(&count.key, planned)).collect();
        let outcome = match store.get() {
            _ if steps.is_empty() => Ok(()),
            Some(store) => store.write(steps).map(drop),
            None => Err(Failure::Unavailable("there is no store".to_owned())),
        };
        if outcome.is_ok() {
            plans.iter().for_each(|(count, planned)| count.keep(planned));
        }
        for Request { count, worker, .. } in requests {
            deliver(worker, Reserved { count, outcome: outcome.clone() });
        }
    }
}
