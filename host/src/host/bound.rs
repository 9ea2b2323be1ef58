//! Versions that keyed conversations are bound to: they stay while they are, and are there again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use tandem_component::Policy;

use super::Host;
use super::reload::Decision;
use super::versions::Version;
use crate::clock;
use crate::config::Config;
use crate::loader::shelf::Digest;
use crate::observe::notice::{self, Notice};
use crate::version::stage::Step;
use crate::version::{Instance, Lease, Service};
use crate::worker::{Command, Following};

/// So often the store is asked whether anything is bound to a version still.
const LOOK: Duration = Duration::from_secs(1);

impl Host {
    /// Opens the store, which has the host's own rows, and counts the bindings in it.
    ///
    /// # Errors
    /// The store cannot be opened or read.
    pub(super) fn open_own_tables(&mut self) -> anyhow::Result<()> {
        if self.reader.is_none() {
            let mut reader = self.open_store().map_err(anyhow::Error::msg)?.reader()?;
            self.bindings.count(&mut *reader)?;
            self.reader = Some(reader);
            self.read_verdicts()?;
        }
        Ok(())
    }

    /// Loads, as the host starts, the versions that conversations are bound to, beside those that were decided on. By the
    /// number of the service.
    pub(super) fn load_bound(&mut self, config: &Config, decisions: &[Decision]) -> Vec<(usize, Lease<Instance>)> {
        let (mut loaded, mut prepared) = (Vec::new(), BTreeMap::new());
        if self.table.current().number > 0 {
            return loaded;
        }
        let active: BTreeSet<String> =
            decisions.iter().filter_map(|one| Some(self.versions[one.version?].identity())).collect();
        for (name, service) in &config.service {
            for identity in self.bound_versions(name).into_iter().filter(|one| !active.contains(one)) {
                // Once, for all services that have it.
                if !prepared.contains_key(&identity) {
                    let instances = self.load_one(&identity, name, &service.component, config);
                    prepared.insert(identity.clone(), instances);
                }
                let number = self.services.iter().position(|known| known == name);
                match &prepared[&identity] {
                    Ok(instances) => loaded.extend(instances.iter().filter(|one| Some(one.0) == number).cloned()),
                    Err(reason) => notice::give(
                        Notice::BindingMoved,
                        &format!(
                            "service.{name}: conversations are bound to {identity}, which cannot serve: {reason}; they go on with the active version"
                        ),
                    ),
                }
            }
        }
        loaded
    }

    fn bound_versions(&mut self, service: &str) -> Vec<String> {
        let Some(reader) = &mut self.reader else { return Vec::new() };
        self.bindings.versions(&mut **reader, service).unwrap_or_else(|error| {
            self.findings.push(format!("service.{service}: what is bound to which version cannot be read: {error}"));
            Vec::new()
        })
    }

    /// Loads a version from the shelf, for the services that have its component. None of them where its sessions are carried:
    /// their conversations follow them.
    fn load_one(
        &mut self,
        identity: &str,
        service: &str,
        component: &str,
        config: &Config,
    ) -> Result<Vec<(usize, Lease<Instance>)>, String> {
        let at = self.shelved(identity)?;
        let manifest = &self.versions[at].manifest;
        if manifest.name != component {
            return Err(format!("the service has the component `{component}` now"));
        }
        if config.service[service].policy.unwrap_or(manifest.policy) == Policy::Carry {
            return Ok(Vec::new());
        }
        let instances = self.prepare(at, component, config)?;
        self.versions[at].step(Step::Bind);
        tracing::info!(version = %self.versions[at].name(), service, "loaded again: conversations are bound to it");
        Ok(instances)
    }

    /// The place of a version in the list, which it is added to where it is on the shelf alone.
    pub(super) fn shelved(&mut self, identity: &str) -> Result<usize, String> {
        let digest = identity.rsplit_once('#').ok_or("its name has no digest")?.1;
        let digest: Digest = digest.parse().map_err(|error| format!("{error}"))?;
        if let Some(at) = self.versions.iter().position(|version| version.digest == digest) {
            return Ok(at);
        }
        let shelved = self.shelf.find(&digest).map_err(|error| error.to_string())?;
        let shelved = shelved.ok_or("its copy is not on the shelf")?;
        let manifest = self.around.manifest(&shelved.path)?;
        self.seen += 1;
        let mut version = Version::new(digest, manifest, self.seen);
        version.shelved = Some(shelved);
        self.versions.push(version);
        Ok(self.versions.len() - 1)
    }

    /// The instances that a service was served by before and that conversations may be bound to, with those that were loaded
    /// for it. Those that none is bound to are let go soon after: now some may be on their way to the store.
    pub(super) fn still_bound(
        &self,
        service: usize,
        next: Option<&Lease<Instance>>,
        loaded: &[(usize, Lease<Instance>)],
    ) -> Vec<Lease<Instance>> {
        if next.is_none_or(|next| next.policy == Policy::Carry) || !self.bindings.has_had_some(&self.services[service])
        {
            return Vec::new();
        }
        let current = self.table.current();
        let before = current.services.get(service);
        let before = before.into_iter().flat_map(|service| service.instance.iter().chain(&service.bound));
        let loaded = loaded.iter().filter(|one| one.0 == service).map(|one| &one.1);
        let mut bound: Vec<Lease<Instance>> = Vec::new();
        for instance in before.chain(loaded) {
            let goes_on =
                next.is_some_and(|next| next.identity != instance.identity && next.component() == instance.component());
            let known = bound.iter().any(|one| one.identity == instance.identity);
            if goes_on && !known && instance.policy != Policy::Carry {
                bound.push(instance.clone());
            }
        }
        bound
    }

    /// Whether conversations are bound to a version that does not serve.
    pub(super) fn is_bound(&self, at: usize) -> bool {
        let snapshot = self.table.current();
        let running = &self.versions[at].running;
        let mut bound = snapshot.services.iter().flat_map(|service| &service.bound);
        bound.any(|instance| running.iter().any(|one| one.number == instance.as_ref().number))
    }

    /// Lets go of the versions that nothing is bound to any more.
    pub(super) fn release_unbound(&mut self, now: Instant) {
        if now.duration_since(self.looked_for_bindings) < LOOK {
            return;
        }
        self.looked_for_bindings = now;
        let snapshot = self.table.current();
        let mut unbound = BTreeSet::new();
        for service in &snapshot.services {
            for instance in &service.bound {
                let Some(reader) = &mut self.reader else { return };
                // What cannot be asked now stays.
                if let Ok(false) = self.bindings.any(&mut **reader, &service.name, &instance.identity) {
                    unbound.insert(instance.as_ref().number);
                }
            }
        }
        self.unbind(&unbound);
    }

    /// Publishes that conversations are bound to these instances no more: the next that is named of theirs is bound anew.
    pub(super) fn unbind(&mut self, instances: &BTreeSet<u32>) {
        let last = self.table.current();
        let bound = |instance: &Lease<Instance>| instances.contains(&instance.as_ref().number);
        if !last.services.iter().any(|service| service.bound.iter().any(bound)) {
            return;
        }
        let services = last.services.iter().cloned().map(|mut service: Service| {
            service.bound.retain(|instance| !bound(instance));
            service
        });
        let services = services.collect();
        let next = last.followed_by(services);
        let number = next.number;
        drop(last);
        self.table.publish(next);
        self.following = Arc::new(Following::new(number, clock::instant(), self.workers.len()));
        // Nobody waits for it: who has not taken it yet goes on as before.
        let (taken, _) = channel();
        for worker in &self.workers {
            worker.tell(Command::Publication { taken: taken.clone(), following: Arc::clone(&self.following) });
        }
    }
}
