//! One publication, and what follows from it: listening sockets, connections, the stage of each version, workers that have taken it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::Host;
use super::certificates::to_upstream;
use super::reload::Decision;
use crate::clock;
use crate::config::{Config, Upstreams};
use crate::observe::notice::{self, Notice};
use crate::service::Settings;
use crate::transport::{Address, Bound};
use crate::version::canary::Canary;
use crate::version::stage::{Stage, Step};
use crate::version::{Instance, Lease, Service, Snapshot};
use crate::worker::{Command, Following};

/// How long a worker may take to take a publication.
const TAKING: Duration = Duration::from_secs(5);

impl Host {
    /// The one publication, and the listening sockets and connections that go with it.
    pub(super) fn publish(
        &mut self,
        config: Config,
        decisions: &[Decision],
        loaded: Vec<(usize, Lease<Instance>)>,
        bound: Vec<(Address, usize, Vec<Bound>)>,
    ) {
        let mut instances: BTreeMap<usize, Lease<Instance>> =
            decisions.iter().flat_map(|decision| decision.instances.iter().cloned()).collect();
        let tried = decisions.iter().filter_map(|decision| Some((decision.canary.as_ref()?, &decision.component)));
        let mut canaries: BTreeMap<usize, Canary> = tried
            .filter_map(|(canary, component)| {
                let settings = Arc::new(config.component(component).canary?);
                let of = |(number, instance): &(usize, Lease<Instance>)| {
                    (*number, Canary { instance: instance.clone(), settings: Arc::clone(&settings) })
                };
                Some(canary.instances.iter().map(of).collect::<Vec<_>>())
            })
            .flatten()
            .collect();
        let services = self.services.iter().enumerate().map(|(number, name)| Service {
            name: name.as_str().into(),
            bound: self.still_bound(number, instances.get(&number), &loaded),
            bindings: config.service.get(name).map(|service| service.bindings).unwrap_or_default(),
            configured: config.service.contains_key(name),
            connects: config.service.get(name).is_some_and(|service| !service.connect.is_empty()),
            instance: instances.remove(&number),
            canary: canaries.remove(&number),
            admission: config.service.get(name).map(|service| service.admission).unwrap_or_default(),
            records: config
                .service
                .get(name)
                .and_then(|service| self.records.get(&service.records.as_ref()?.file))
                .cloned(),
        });
        let services = services.collect();
        self.upstreams = self.upstreams_of(&config);
        let number = self.table.current().number + 1;
        let (upstreams, accounts) = (Arc::clone(&self.upstreams), Arc::new(config.account.clone()));
        let agreements = config.agreement.iter().map(|(name, one)| (name.clone(), Arc::new(one.clone())));
        let agreements = Arc::new(agreements.collect());
        self.table.publish(Snapshot { number, services, upstreams, accounts, agreements, traces: self.traces.clone() });
        self.auditor.keep(self.ledgers());
        self.usage.renew();
        // What is bound now may be on its way to the store: it is looked for a while later.
        self.looked_for_bindings = clock::instant();
        self.following = Arc::new(Following::new(number, clock::instant(), self.workers.len()));
        let wanted: BTreeSet<&Address> = config.listeners().map(|listen| &listen.address).collect();
        let unwanted: Vec<Address> =
            self.listening.keys().filter(|address| !wanted.contains(address)).cloned().collect();
        for address in unwanted {
            self.listening.remove(&address);
            self.entrances.remove(&address);
            for worker in &self.workers {
                worker.tell(Command::Unlisten(address.clone()));
            }
        }
        // Who connects from now on is asked for what the configuration says now; who has connected is not asked again.
        for listen in config.listeners() {
            let terms = self.certificates.terms(listen);
            self.entrances.entry(listen.address.clone()).or_default().set(terms);
        }
        self.admin_entrance.set(self.certificates.admin_terms(&config));
        for (address, service, sockets) in bound {
            self.listening.insert(address.clone(), service);
            for (worker, bound) in self.workers.iter().zip(sockets) {
                let entrance = Arc::clone(&self.entrances[&address]);
                worker.tell(Command::Listen { service, address: address.clone(), bound, entrance });
            }
        }
        self.keep_connected(&config);
        self.watchdog.set(config.overrun);
        self.config = config;
    }

    /// The configuration's upstreams; servers that were there before keep their health.
    fn upstreams_of(&self, config: &Config) -> Arc<Upstreams> {
        let old = &self.upstreams;
        let upstreams = config.upstream.iter().map(|(name, settings)| {
            let healths = settings.servers.iter().map(|server| {
                let known = old.get(name).and_then(|(before, healths)| {
                    let at = before.servers.iter().position(|address| address == server)?;
                    healths.get(at).cloned()
                });
                known.unwrap_or_default()
            });
            let dialing = self.certificates.dialing(&to_upstream(name));
            (name.clone(), (Settings { dialing, ..settings.clone() }, healths.collect()))
        });
        Arc::new(upstreams.collect())
    }

    /// What the publication means for the life of each version.
    pub(super) fn take_stages(&mut self, decisions: &[Decision]) {
        let publication = self.table.current().number;
        let chosen: BTreeSet<usize> = decisions.iter().filter_map(|decision| decision.version).collect();
        let tried = decisions.iter().filter_map(|decision| decision.canary.as_ref());
        for at in 0..self.versions.len() {
            let was_active = self.versions[at].stage == Stage::Active;
            let was_canary = self.versions[at].stage == Stage::Canary;
            if let Some(canary) = tried.clone().find(|canary| canary.version == at) {
                self.versions[at].step(Step::Try);
                self.versions[at].kept = canary.instances.iter().map(|one| one.1.clone()).collect();
                if !was_canary {
                    self.begin_trial(at);
                }
            } else if chosen.contains(&at) {
                let instances = decisions.iter().find(|decision| decision.version == Some(at));
                let version = &mut self.versions[at];
                version.step(Step::Publish);
                version.active_at = publication;
                if !was_active {
                    version.active_since = publication;
                    version.looked = version.look(clock::instant());
                }
                version.kept = instances
                    .map(|decision| decision.instances.iter().map(|one| one.1.clone()).collect())
                    .unwrap_or_default();
                if !was_active {
                    notice::give(Notice::VersionActive, &version.name());
                }
            } else if was_active || was_canary {
                self.versions[at].step(Step::Supersede);
                // What was only tried is no way back.
                if was_canary {
                    self.versions[at].kept.clear();
                }
            }
        }
        // An instance that no service is served by any more drains, whatever becomes of its version.
        let served = decisions.iter().flat_map(|decision| &decision.instances);
        let served = served.chain(tried.flat_map(|canary| &canary.instances));
        let serving: BTreeSet<u32> = served.map(|one| one.1.as_ref().number).collect();
        for version in &mut self.versions {
            let drain = self.config.component(&version.manifest.name).versions.drain.get();
            for running in &mut version.running {
                running.drain_due = match running.drain_due {
                    _ if serving.contains(&running.number) => None,
                    None => clock::instant().checked_add(drain),
                    due => due,
                };
            }
        }
    }

    /// Waits until every worker has taken the publication: from then on each request runs it.
    ///
    /// Says which workers have not.
    pub(super) fn wait_until_taken(&self) -> Option<String> {
        let (taken, takes) = channel();
        let mut missing: BTreeSet<usize> = (0..self.workers.len()).collect();
        for worker in &self.workers {
            worker.tell(Command::Publication { taken: taken.clone(), following: Arc::clone(&self.following) });
        }
        drop(taken);
        let deadline = clock::instant() + TAKING;
        while let Some(index) = self.hear(&takes, deadline) {
            missing.remove(&index);
        }
        if missing.is_empty() {
            return None;
        }
        let finding = format!("workers {missing:?} have not taken the publication; is a component stuck in an event?");
        notice::give(Notice::WorkerStuck, &finding);
        Some(finding)
    }
}
