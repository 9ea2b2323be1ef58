//! A version at work for a service with one configuration: what a lease is on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_component::Policy;

use super::canary::Canary;
use super::{Exchanges, Lease};
use crate::account::Accounts;
use crate::agreement::Agreements;
use crate::config;
use crate::loader::code::{Failure, Object};
use crate::observe::records::Records;
use crate::observe::traces::Traces;
use crate::store::table::Table;

/// A version at work for a service with one configuration.
pub struct Instance {
    object: Object,
    /// What the log and `status` call the version: `http@1.2.0#3fa9c1`.
    pub version: Arc<str>,
    /// The same with the whole digest: what conversations are bound to.
    pub identity: Arc<str>,
    /// What becomes of its sessions when another is active.
    pub policy: Policy,
    /// What is counted of it.
    pub counts: Arc<Counts>,
    /// What it was started with.
    pub started: Started,
    /// Whether it has tables.
    pub stores: bool,
}

/// What an instance is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// All but the upstreams: two of one version and with the same would do the same.
    pub with: Vec<u8>,
    /// The names of the upstreams that there were.
    pub upstreams: BTreeSet<String>,
}

impl Started {
    /// Whether an instance that was started so can stand for one that would be started like `other`.
    ///
    /// Also where upstreams were added since, which its configuration does not name, or it would not have started. Where
    /// one was taken out it cannot: only a new start can refuse the name that has gone.
    pub fn stands_for(&self, other: &Started) -> bool {
        self.with == other.with && self.upstreams.is_subset(&other.upstreams)
    }
}

/// What is counted of an instance, and outlives it.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions that run on it now.
    pub sessions: AtomicU64,
    /// Sessions that were opened or resumed on it.
    pub taken: AtomicU64,
    /// Panics and faults.
    pub failures: AtomicU64,
    /// Panics alone.
    pub panics: AtomicU64,
    /// Calls that took longer than they may.
    pub overruns: AtomicU64,
    /// The exchanges that it tells of.
    pub exchanges: Exchanges,
    /// Sessions that were told to say goodbye, did not in their time, and were ended.
    pub overdue: AtomicU64,
    /// Threads that were given up in it and have not come back.
    pub inside: AtomicU64,
}

impl Instance {
    /// Of a component that was started.
    pub fn new(
        object: Object,
        (version, identity): (Arc<str>, Arc<str>),
        policy: Policy,
        counts: Arc<Counts>,
        started: Started,
    ) -> Self {
        let stores = !object.code().tables.is_empty();
        Instance { object, version, identity, policy, counts, started, stores }
    }

    /// The component that it is a version of.
    pub fn component(&self) -> &str {
        &self.object.code().manifest.name
    }

    /// The tables that it reads and writes.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.object.code().tables
    }

    /// Whether it knows of calls between services.
    pub fn takes_requests(&self) -> bool {
        const SINCE: u32 = 3;
        self.object.code().manifest.api >= SINCE
    }

    /// Whether it knows of admissions.
    pub fn asks_admissions(&self) -> bool {
        const SINCE: u32 = 4;
        self.object.code().manifest.api >= SINCE
    }

    /// Whether it tells of exchanges that are not recorded.
    pub fn tells_ends(&self) -> bool {
        self.object.code().manifest.api >= Exchanges::SINCE
    }

    /// Whether each worker keeps a session of it without a peer.
    pub fn is_resident(&self) -> bool {
        self.object.code().manifest.resident
    }

    /// The object, when the last lease is gone.
    pub fn into_object(self) -> Object {
        self.object
    }
}

impl AsRef<Object> for Instance {
    #[inline]
    fn as_ref(&self) -> &Object {
        &self.object
    }
}

impl Counts {
    /// A session runs on it from now on. Relaxed, as are all counts: they are for reading, they order nothing.
    pub fn enter(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// It made no session. That it panicked is a failure; a refusal is its right. Says why, for an operator.
    pub fn refused(&self, why: Failure) -> String {
        if matches!(why, Failure::Panicked(_)) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        why.to_string()
    }

    /// A session has not said goodbye in its time.
    pub fn count_overdue(&self) {
        self.overdue.fetch_add(1, Ordering::Relaxed);
    }

    /// A session runs on it no more.
    pub fn leave(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a publication publishes: which instance serves each service, and what services use.
#[derive(Default)]
pub struct Snapshot {
    /// Counts publications.
    pub number: u64,
    /// By the service's number, which it keeps for as long as the host runs.
    pub services: Vec<Service>,
    /// The upstreams, with the health of their servers.
    pub upstreams: Arc<config::Upstreams>,
    /// The accounts that the configuration has.
    pub accounts: Arc<Accounts>,
    /// The agreements.
    pub agreements: Arc<Agreements>,
    /// Where traces are exported to.
    pub traces: Option<Arc<Traces>>,
}

impl Snapshot {
    /// The next one, with other instances and all else as it is.
    pub fn followed_by(&self, services: Vec<Service>) -> Self {
        let Snapshot { number, upstreams, accounts, agreements, traces, .. } = self;
        let (upstreams, accounts, agreements) = (Arc::clone(upstreams), Arc::clone(accounts), Arc::clone(agreements));
        Snapshot { number: number + 1, services, upstreams, accounts, agreements, traces: traces.clone() }
    }
}

/// A service in a snapshot.
#[derive(Clone, Default)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Whether the configuration has it still.
    pub configured: bool,
    /// What serves it; `None` where nothing does.
    pub instance: Option<Lease<Instance>>,
    /// What is tried beside that.
    pub canary: Option<Canary>,
    /// Those that it was served by before and that conversations are bound to still.
    pub bound: Vec<Lease<Instance>>,
    /// How long a binding lives, and how many there may be.
    pub bindings: config::Bindings,
    /// Whether it keeps connections: requests go to their sessions, and to no others.
    pub connects: bool,
    /// Whether its exchanges have to be admitted.
    pub admission: config::Admission,
    /// Where its records go.
    pub records: Option<Records>,
}

#[cfg(test)]
mod tests {
    use super::Started;

    #[test]
    fn an_instance_stands_for_another_unless_an_upstream_was_taken_out() {
        let started = |with: &str, upstreams: &[&str]| Started {
            with: with.into(),
            upstreams: upstreams.iter().map(ToString::to_string).collect(),
        };
        let stands = started("config", &["a", "b"]);
        let rows = [
            (started("config", &["a", "b"]), true),
            (started("config", &["a", "b", "c"]), true),
            (started("config", &["a"]), false),
            (started("config", &["a", "c"]), false),
            (started("another", &["a", "b"]), false),
        ];
        for (other, expected) in rows {
            assert_eq!(stands.stands_for(&other), expected, "{other:?}");
        }
    }
}
