//! A reload: from the files in the components directory and the configuration to one publication, or to none.
//!
//! In this order, so that whatever is wrong is found before anything has changed: the configuration is read and checked,
//! each file copied to the shelf and its manifest read, what is to serve examined in a child, loaded and started, new
//! addresses bound; then comes the one publication, and the workers take it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use tandem_component::Starting;

use super::versions::Version;
use super::{Host, trust};
use crate::admin::{FileReport, Outcome, Refused, Report};
use crate::config::{Config, Listen, Source};
use crate::loader::code::Code;
use crate::loader::examine::Trial;
use crate::loader::signature;
use crate::observe::notice::{self, Notice};
use crate::observe::records::Records;
use crate::observe::traces::Traces;
use crate::system;
use crate::transport::{Address, Bound, bind};
use crate::version::rollout;
use crate::version::stage::{Stage, Step};
use crate::version::{Instance, Lease, Started};

/// A file in the components directory.
pub(super) struct Found {
    pub(super) file: String,
    pub(super) what: What,
}

pub(super) enum What {
    /// No library by its name.
    Ignored(String),
    /// A library that cannot serve.
    Refused(String),
    /// A version, by its place in the host's list.
    Version(usize),
}

/// What is to serve a component's services.
pub(super) struct Decision {
    pub(super) component: String,
    /// The version, by its place in the host's list; `None` where its file was taken out.
    pub(super) version: Option<usize>,
    /// An instance for each of its services.
    pub(super) instances: Vec<(usize, Lease<Instance>)>,
    /// A better version was there and was refused.
    pub(super) refused: bool,
    /// The version that is tried beside it, with an instance for each of the services.
    pub(super) canary: Option<Tried>,
}

/// A version that is tried.
#[derive(Clone)]
pub(super) struct Tried {
    /// By its place in the host's list.
    pub(super) version: usize,
    /// As in a [`Decision`].
    pub(super) instances: Vec<(usize, Lease<Instance>)>,
}

impl Host {
    /// Reloads. Whatever goes wrong, what runs goes on.
    pub(super) fn reload(&mut self) -> Report {
        let mut found = Vec::new();
        self.findings.clear();
        let result = self.try_reload(&mut found);
        self.reload_error = result.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(error) = &self.reload_error {
            notice::give(Notice::ReloadRefused, error);
        }
        let files = result.unwrap_or_else(|_| {
            let active = self.active_versions();
            found.iter().map(|one| self.file_report(one, &active)).collect()
        });
        let refused = files.iter().filter(|file| file.outcome == Outcome::Refused);
        self.refused = refused
            .map(|file| Refused { file: file.file.clone(), reason: file.reason.clone().unwrap_or_default() })
            .collect();
        self.versions.iter_mut().for_each(|version| version.shelved = None);
        self.unload_what_is_not_used();
        let present: Vec<usize> = found.iter().filter_map(Found::version).collect();
        self.sweep_shelf(&present);
        self.tell_withdrawn();
        self.forget_versions(&present);
        Report {
            ok: self.reload_error.is_none() && self.refused.is_empty() && self.findings.is_empty(),
            publication: self.table.current().number,
            error: self.reload_error.clone(),
            files,
            findings: self.findings.clone(),
        }
    }

    fn try_reload(&mut self, found: &mut Vec<Found>) -> anyhow::Result<Vec<FileReport>> {
        let config = self.source.read()?;
        self.check_fixed_keys(&config)?;
        trust::check_own(&config, &self.source).map_err(anyhow::Error::msg)?;
        let certificates = self
            .certificates
            .read(&config)
            .map_err(|(path, reason)| Source::wrong_at_path(&self.source, &path, &reason))?;
        self.open_own_tables()?;
        *found = self.scan(&config)?;
        for (at, version) in self.versions.iter_mut().enumerate() {
            version.present = found.iter().any(|one| one.version() == Some(at));
        }
        if self.table.current().number == 0 {
            self.quarantine_what_crashed();
        }
        self.keep_quarantined();
        for name in config.service.keys() {
            if !self.services.contains(name) {
                self.services.push(name.clone());
            }
        }
        let components: BTreeSet<&String> = config.service.values().map(|service| &service.component).collect();
        let mut decisions = Vec::new();
        for component in components {
            decisions.push(self.decide(component, &config, found)?);
        }
        self.hold_groups_together(&config, &mut decisions, found)?;
        self.check_component_changes(&config, &decisions)?;
        let bound = self.bind_new(&config)?;
        self.open_records(&config)?;
        self.open_traces(&config)?;
        self.read_agreements(&config)?;
        let tried = |decision: &Decision| decision.canary.as_ref().map(|canary| canary.version);
        self.migrate_tables(decisions.iter().flat_map(|decision| decision.version.into_iter().chain(tried(decision))))?;
        let before = self.active_versions();
        let loaded = self.load_bound(&config, &decisions);
        self.verifiers.limit(config.attempts);
        if let Err(reason) = self.tell_standings(Some(&config)) {
            self.findings.push(format!("account: which there are, and which are suspended, cannot be read: {reason}"));
        }
        self.findings.extend_from_slice(certificates.findings());
        self.certificates = certificates;
        self.publish(config, &decisions, loaded, bound);
        self.take_stages(&decisions);
        self.write_rollouts();
        self.findings.extend(self.wait_until_taken());
        self.findings.extend(self.unserved());
        self.findings.extend(self.not_as_named());
        let there = self.versions.iter().map(|version| version.manifest.name.as_str());
        self.findings.extend(self.config.unknown_components(there));
        self.keep_no_more_than_wanted();
        Ok(found.iter().map(|one| self.file_report(one, &before)).collect())
    }

    /// A service that is served does not stop because its configuration names a component that nothing can serve.
    fn check_component_changes(&self, config: &Config, decisions: &[Decision]) -> anyhow::Result<()> {
        let snapshot = self.table.current();
        for (name, service) in &config.service {
            let changed = self.config.service.get(name).is_some_and(|before| before.component != service.component);
            let served = snapshot.services.iter().any(|one| *one.name == **name && one.instance.is_some());
            let serves = decisions.iter().any(|one| one.component == service.component && one.version.is_some());
            if changed && served && !serves {
                let there: BTreeSet<&str> = self.versions.iter().map(|one| one.manifest.name.as_str()).collect();
                let there = there.into_iter().collect::<Vec<_>>().join(", ");
                let reason = format!("no version of `{}` can serve it; known are {there}", service.component);
                return Err(Source::wrong_at(&self.source, &["service", name], "component", &reason).into());
            }
        }
        Ok(())
    }

    fn check_fixed_keys(&self, config: &Config) -> anyhow::Result<()> {
        let (now, then) = (&self.config, config);
        // Where it is not said, it is as many as there were processors: how many there are by now changes nothing.
        if let Some(workers) = then.workers
            && workers != self.workers.len()
        {
            bail!("workers: {} are running, {workers} takes a restart", self.workers.len());
        }
        if (&now.admin.listen, &now.admin.token_file) != (&then.admin.listen, &then.admin.token_file) {
            bail!("admin: where it listens, and for which word, takes a restart");
        }
        if now.data != then.data {
            bail!("data: {} is in use, {} takes a restart", now.data.display(), then.data.display());
        }
        Ok(())
    }

    /// Looks at each file of the directory.
    fn scan(&mut self, config: &Config) -> anyhow::Result<Vec<Found>> {
        let directory = &config.components;
        trust::check_components(config).map_err(anyhow::Error::msg)?;
        let unreadable = || format!("components: {} cannot be read", directory.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let file = entry.file_name().to_string_lossy().into_owned();
            // Hidden files are copies under way: `.libx.so.tmp`. Signatures are read with what they sign.
            if !file.starts_with('.') && !signature::is_signature(Path::new(&file)) {
                let changed = entry.metadata().and_then(|metadata| metadata.modified()).ok();
                files.push((changed, file));
            }
        }
        if files.is_empty() {
            bail!(
                "components: {} is empty; build a component and copy it there (to stop a service, take it out of the configuration)",
                directory.display()
            );
        }
        // Oldest first: between two new files of one number, the newer one is what the host saw later.
        files.sort();
        Ok(files.into_iter().map(|(_, file)| self.look_at(config, file)).collect())
    }

    fn look_at(&mut self, config: &Config, file: String) -> Found {
        let path = config.components.join(&file);
        if path.extension().is_none_or(|extension| extension != std::env::consts::DLL_EXTENSION) {
            let reason = format!("it does not end in .{}", std::env::consts::DLL_EXTENSION);
            notice::give(Notice::FileIgnored, &format!("{file}: {reason}"));
            return Found { file, what: What::Ignored(reason) };
        }
        let what = match self.take(config, &path) {
            Ok(at) => What::Version(at),
            Err(reason) => {
                notice::give(Notice::VersionRefused, &format!("{file}: {reason}"));
                What::Refused(reason)
            }
        };
        Found { file, what }
    }

    /// Copies a file to the shelf and reads its manifest, if it is trusted. The version's place in the list.
    fn take(&mut self, config: &Config, file: &Path) -> Result<usize, String> {
        system::only_ours([file])?;
        let shelved = self.shelf.take(file).map_err(|error| error.to_string())?;
        self.admit(config, &shelved, file)?;
        if let Some(at) = self.versions.iter().position(|version| version.digest == shelved.digest) {
            self.versions[at].find();
            self.versions[at].shelved = Some(shelved);
            return Ok(at);
        }
        let manifest = self.around.manifest(&shelved.path)?;
        manifest.tables().and_then(|_| manifest.books()).map_err(|error| error.to_string())?;
        self.seen += 1;
        let mut version = Version::new(shelved.digest, manifest, self.seen);
        version.shelved = Some(shelved);
        self.versions.push(version);
        Ok(self.versions.len() - 1)
    }

    /// Finds the best version of a component that passes, loads and starts.
    fn decide(&mut self, component: &str, config: &Config, found: &[Found]) -> anyhow::Result<Decision> {
        let present: Vec<usize> = found
            .iter()
            .filter_map(Found::version)
            .filter(|at| self.versions[*at].manifest.name == component)
            .collect();
        let active = self.active(component);
        let wanted = config.component(component).version;
        let fit = present.iter().filter(|at| self.versions[**at].quarantine.is_none());
        let candidates = fit.map(|at| self.versions[*at].candidate()).collect();
        let ordered = rollout::order(candidates, wanted.as_deref());
        let ordered: Vec<usize> = ordered.into_iter().map(|candidate| self.at_seen(candidate.seen)).collect();
        let mut refused = false;
        for at in self.held(component).into_iter().chain(ordered) {
            match self.prepare(at, component, config) {
                Ok(instances) => return self.decide_for(at, instances, component, config, refused),
                // The version that serves refuses the new configuration: that is the operator's error, not the version's.
                Err(reason) if Some(at) == active => return Err(self.refused_configuration(component, config, &reason)),
                Err(reason) => {
                    refused = true;
                    self.versions[at].refuse(&reason);
                }
            }
        }
        // Nothing in the directory can serve. What serves now goes on, unless its file was taken out.
        let taken_out = present.is_empty() && !found.iter().any(Found::is_refused);
        match active {
            Some(at) if !taken_out => {
                let instances = self
                    .prepare(at, component, config)
                    .map_err(|reason| self.refused_configuration(component, config, &reason))?;
                Ok(Decision { component: component.into(), version: Some(at), instances, refused, canary: None })
            }
            _ => Ok(Decision {
                component: component.into(),
                version: None,
                instances: Vec::new(),
                refused,
                canary: None,
            }),
        }
    }

    /// That this version is to serve; or that it is tried beside the one that does, where the configuration wants that.
    fn decide_for(
        &mut self,
        at: usize,
        instances: Vec<(usize, Lease<Instance>)>,
        component: &str,
        config: &Config,
        refused: bool,
    ) -> anyhow::Result<Decision> {
        let decision = |version, instances, canary| Decision {
            component: component.into(),
            version: Some(version),
            instances,
            refused,
            canary,
        };
        let Some(serves) = self.tried_beside(at, component, config) else {
            return Ok(decision(at, instances, None));
        };
        let serving = self
            .prepare(serves, component, config)
            .map_err(|reason| self.refused_configuration(component, config, &reason))?;
        Ok(decision(serves, serving, Some(Tried { version: at, instances })))
    }

    /// Examines, loads and starts a version for each of its services, as far as that was not done before.
    pub(super) fn prepare(
        &mut self,
        at: usize,
        component: &str,
        config: &Config,
    ) -> Result<Vec<(usize, Lease<Instance>)>, String> {
        let upstreams: Vec<&str> = config.upstream.keys().map(String::as_str).collect();
        let mut plans = Vec::new();
        for (name, service) in config.service.iter().filter(|(_, service)| service.component == component) {
            let number = self.services.iter().position(|known| known == name).expect("all were added before");
            let version = self.versions[at].name();
            let records = config.wants_records(service, self.versions[at].manifest.api);
            let traces = config.traces.as_ref().map(|traces| traces.sample);
            let (upstreams, run) = (upstreams.clone(), self.run);
            let starting = Starting { service: name, version: &version, upstreams, run, records, traces };
            let starting = rmp_serde::to_vec_named(&starting).map_err(|error| error.to_string())?;
            let settings = rmp_serde::to_vec_named(&service.config).map_err(|error| error.to_string())?;
            let policy = service.policy.unwrap_or(self.versions[at].manifest.policy);
            let with =
                rmp_serde::to_vec(&(name, &settings, policy, records, traces)).map_err(|error| error.to_string())?;
            let started = Started { with, upstreams: config.upstream.keys().cloned().collect() };
            plans.push(Plan { service: name.clone(), number, starting, settings, policy, started });
        }
        // What is to be started is tried in a child first, also when only the configuration is new.
        let unseen = matches!(self.versions[at].stage, Stage::Found);
        let new = |plan: &&Plan| self.standing(at, plan).is_none();
        plans.iter().filter(new).try_for_each(|plan| self.versions[at].check_not_held(plan))?;
        let trials: Vec<Trial> = plans.iter().filter(|plan| unseen || new(plan)).map(Plan::trial).collect();
        if unseen || !trials.is_empty() {
            self.compare_tables(at)?;
            self.examine(at, &trials, config)?;
        }
        let mut instances = Vec::new();
        for plan in plans {
            let instance = match self.standing(at, &plan) {
                Some(instance) => instance,
                None => self.start(at, &plan, config.examination.limit)?,
            };
            instances.push((plan.number, instance));
        }
        self.limit_memory(at, config)?;
        Ok(instances)
    }

    fn examine(&mut self, at: usize, trials: &[Trial], config: &Config) -> Result<(), String> {
        self.admit_again(config, &self.versions[at].digest)?;
        let shelved = match self.versions[at].shelved.clone() {
            Some(shelved) => shelved,
            None => {
                let found = self.shelf.find(&self.versions[at].digest).map_err(|error| error.to_string())?;
                found.ok_or("its copy has gone from the shelf; reload once more")?
            }
        };
        let passed = self.around.examine(&shelved, trials, config.examination.limits())?;
        // It is the kernel's to have it: once says it.
        if !passed.lacks.is_empty() && self.lacks != passed.lacks {
            self.lacks.clone_from(&passed.lacks);
            let lacks = passed.lacks.join("; ");
            notice::give(
                Notice::ExaminationUnconfined,
                &format!("components are examined with less around them: {lacks}"),
            );
        }
        let version = &mut self.versions[at];
        if let Some(reason) = &passed.lingers {
            let reason = format!("{}: it will stay mapped when it is retired: {reason}", version.name());
            notice::give(Notice::VersionLingering, &reason);
        }
        version.passed = Some(passed);
        if version.stage == Stage::Found {
            version.step(Step::Pass);
        }
        Ok(())
    }

    /// An instance of this version for this service with this configuration, that runs or is kept.
    fn standing(&self, at: usize, plan: &Plan) -> Option<Lease<Instance>> {
        let snapshot = self.table.current();
        let served = snapshot.services.get(plan.number).and_then(|service| service.instance.as_ref());
        let all = served.into_iter().chain(&self.versions[at].kept);
        let code = self.versions[at].code.as_ref()?;
        all.filter(|instance| Arc::ptr_eq(instance.as_ref().code(), code))
            .find(|instance| instance.started.stands_for(&plan.started))
            .cloned()
    }

    pub(super) fn load(&mut self, at: usize) -> Result<Arc<Code>, String> {
        if let Some(code) = &self.versions[at].code {
            return Ok(Arc::clone(code));
        }
        // What was closed is looked for before its path is loaded from once more.
        self.versions[at].close_again();
        let version = &self.versions[at];
        let passed = version.passed.as_ref().ok_or("it was not examined")?;
        let code = Arc::new((passed.load)(&self.shelf, version.manifest.clone())?);
        self.versions[at].code = Some(Arc::clone(&code));
        self.versions[at].step(Step::Load);
        Ok(code)
    }

    /// A group changes together or not at all: where one was refused, the others stay with what they have.
    fn hold_groups_together(
        &mut self,
        config: &Config,
        decisions: &mut [Decision],
        found: &[Found],
    ) -> anyhow::Result<()> {
        // Held back, a component holds back the other groups that it is in: as often as there are groups is often enough.
        for group in config.together.iter().cycle().take(config.together.len().pow(2)) {
            let in_group = |decision: &&mut Decision| group.contains(&decision.component);
            let Some(culprit) = decisions.iter().find(|one| one.refused && group.contains(&one.component)) else {
                continue;
            };
            let culprit = culprit.component.clone();
            for decision in decisions.iter_mut().filter(in_group) {
                decision.refused = true;
                if let Some(canary) = decision.canary.take() {
                    let reason = format!("it is tried together with `{culprit}`, whose new version was refused");
                    self.versions[canary.version].refuse(&reason);
                }
                let Some(active) = self.active(&decision.component).filter(|at| Some(*at) != decision.version) else {
                    continue;
                };
                if let Some(at) = decision.version {
                    let reason = format!("it changes together with `{culprit}`, whose new version was refused");
                    decision.instances.clear();
                    if found.iter().any(|one| one.version() == Some(at)) {
                        self.versions[at].refuse(&reason);
                    }
                }
                decision.version = Some(active);
                decision.instances = self
                    .prepare(active, &decision.component, config)
                    .map_err(|reason| self.refused_configuration(&decision.component, config, &reason))?;
            }
        }
        Ok(())
    }

    /// Binds the addresses that are new.
    fn bind_new(&self, config: &Config) -> anyhow::Result<Vec<(Address, usize, Vec<Bound>)>> {
        let mut bound = Vec::new();
        for (name, service) in &config.service {
            let number = self.services.iter().position(|known| known == name).expect("all were added before");
            for Listen { address, .. } in &service.listen {
                match self.listening.get(address) {
                    Some(holder) if *holder == number => {}
                    Some(holder) => bail!(
                        "service.{name}.listen: {address} is held by service.{}; take it out there, reload, and then add it here",
                        self.services[*holder]
                    ),
                    None => {
                        let handed = self.handed.sockets(address, self.workers.len());
                        let sockets = handed.unwrap_or_else(|| bind(address, self.workers.len())).map_err(|error| {
                            anyhow!("service.{name}.listen: {address} cannot be bound: {error}; choose another, or stop who has it")
                        })?;
                        bound.push((address.clone(), number, sockets));
                    }
                }
            }
        }
        Ok(bound)
    }

    fn open_records(&mut self, config: &Config) -> anyhow::Result<()> {
        for (name, service) in &config.service {
            let Some(settings) = &service.records else { continue };
            if self.records.get(&settings.file).is_some_and(|records| records.stand(settings)) {
                continue;
            }
            if settings.table.is_some() {
                self.open_store().map_err(|error| anyhow!("service.{name}.records.table: {error}"))?;
            }
            let records = Records::open(settings, &self.store)
                .with_context(|| format!("service.{name}.records: {} cannot be opened", settings.file.display()))?;
            self.records.insert(settings.file.clone(), records);
        }
        let used: BTreeSet<_> =
            config.service.values().filter_map(|service| Some(&service.records.as_ref()?.file)).collect();
        self.records.retain(|path, _| used.contains(path));
        Ok(())
    }

    fn open_traces(&mut self, config: &Config) -> anyhow::Result<()> {
        let Some(settings) = &config.traces else {
            self.traces = None;
            return Ok(());
        };
        if !self.traces.as_ref().is_some_and(|traces| traces.stands(settings)) {
            self.traces = Some(Arc::new(Traces::open(settings).context("traces: they cannot be exported")?));
        }
        Ok(())
    }

    /// Unloads what was loaded and is not to serve.
    fn unload_what_is_not_used(&mut self) {
        for at in 0..self.versions.len() {
            self.unload_if_idle(at);
        }
    }

    fn sweep_shelf(&self, present: &[usize]) {
        let used =
            self.versions.iter().enumerate().filter(|(at, version)| {
                present.contains(at) || version.code.is_some() || !version.lingering.is_empty()
            });
        let keep = used.map(|(_, version)| version.digest).chain(self.ways_back()).collect();
        if let Err(error) = self.shelf.sweep(&keep) {
            tracing::warn!("the shelf {} cannot be swept: {error}", self.shelf.directory().display());
        }
    }

    pub(super) fn active(&self, component: &str) -> Option<usize> {
        self.versions.iter().position(|one| one.stage == Stage::Active && one.manifest.name == component)
    }

    pub(super) fn active_versions(&self) -> Vec<usize> {
        (0..self.versions.len()).filter(|at| self.versions[*at].stage == Stage::Active).collect()
    }

    pub(super) fn at_seen(&self, seen: u64) -> usize {
        self.versions.iter().position(|version| version.seen == seen).expect("candidates are made of this list")
    }
}

/// How a version is to be started for a service.
pub(super) struct Plan {
    pub(super) service: String,
    pub(super) number: usize,
    pub(super) starting: Vec<u8>,
    pub(super) settings: Vec<u8>,
    pub(super) policy: tandem_component::Policy,
    pub(super) started: Started,
}

impl Plan {
    fn trial(&self) -> Trial {
        Trial {
            service: self.service.clone(),
            starting: self.starting.clone(),
            config: self.settings.clone(),
            states: Vec::new(),
        }
    }
}

impl Found {
    fn version(&self) -> Option<usize> {
        match self.what {
            What::Version(at) => Some(at),
            _ => None,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(self.what, What::Refused(_))
    }
}
