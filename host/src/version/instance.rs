//! A version at work for a service with one configuration: what a lease is on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_component::Policy;

use super::Lease;
use crate::config;
use crate::loader::code::Object;
use crate::observe::records::Records;

/// A version at work for a service with one configuration.
pub struct Instance {
    object: Object,
    /// What the log and `status` call the version: `http@1.2.0#3fa9c1`.
    pub version: Arc<str>,
    /// What becomes of its sessions when another is active.
    pub policy: Policy,
    /// What is counted of it.
    pub counts: Arc<Counts>,
    /// What it was started with: two of one version with one key would be the same.
    pub key: Vec<u8>,
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
}

impl Instance {
    /// Of a component that was started.
    pub fn new(object: Object, version: Arc<str>, policy: Policy, counts: Arc<Counts>, key: Vec<u8>) -> Self {
        Instance { object, version, policy, counts, key }
    }

    /// The component that it is a version of.
    pub fn component(&self) -> &str {
        &self.object.code().manifest.name
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
}

/// A service in a snapshot.
#[derive(Clone, Default)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// What serves it; `None` where nothing does.
    pub instance: Option<Lease<Instance>>,
    /// Where its records go.
    pub records: Option<Records>,
}
