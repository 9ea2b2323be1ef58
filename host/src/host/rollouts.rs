//! The way back and forth between versions without a reload: `tandem rollback` and `tandem promote`, and the way back by itself from a
//! version that fails at work.
//!
//! Each is one publication, of what is there already: the version that served before is kept started, so nothing has to be examined or
//! loaded. What was decided is written down first, and holds across reloads and restarts: see [`verdicts`](crate::version::verdicts).
//! Sessions follow as they follow any publication.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Host;
use super::reload::{Decision, Tried};
use crate::admin::{Rolled, RolledOne};
use crate::clock::{self, time_of_day};
use crate::loader::shelf::Digest;
use crate::observe::notice::{self, Notice};
use crate::store::Step;
use crate::version::rollout;
use crate::version::stage::Stage;
use crate::version::verdicts::{self, QUARANTINE, Quarantined, ROLLOUTS, Rollout};
use crate::version::{Instance, Lease};

/// What the store has of verdicts, by the component and by the digest.
#[derive(Default)]
pub(super) struct Verdicts {
    pub(super) rollouts: BTreeMap<String, Rollout>,
    pub(super) quarantined: BTreeMap<String, Quarantined>,
}

impl Host {
    /// Reads what was decided before.
    pub(super) fn read_verdicts(&mut self) -> anyhow::Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let rollouts: Vec<Rollout> = verdicts::read(&mut **reader, &ROLLOUTS)?;
        let quarantined: Vec<Quarantined> = verdicts::read(&mut **reader, &QUARANTINE)?;
        self.verdicts.rollouts = rollouts.into_iter().map(|one| (one.component.clone(), one)).collect();
        self.verdicts.quarantined = quarantined.into_iter().map(|one| (one.digest.clone(), one)).collect();
        Ok(())
    }

    /// Puts the versions that are quarantined there, once they are known.
    pub(super) fn keep_quarantined(&mut self) {
        for version in &mut self.versions {
            if let Some(row) = self.verdicts.quarantined.get(&version.digest.to_string())
                && version.quarantine.is_none()
            {
                version.quarantine(&row.why);
            }
        }
    }

    /// Where a version has ended the run before, it is quarantined as the host starts, and the one that served before it is held. One that no
    /// other could stand in for serves on.
    pub(super) fn quarantine_what_crashed(&mut self) {
        let Some((whose, why)) =
            self.begun.crashed_before().and_then(|crash| Some((crash.whose.clone()?, crash.why.clone())))
        else {
            return;
        };
        let files = self.files_of(&whose.component);
        let others = self
            .versions
            .iter()
            .any(|one| one.present && one.manifest.name == whose.component && one.digest.to_string() != whose.digest);
        let why = format!("it ended the process: {why}");
        let since = i64::try_from(time_of_day()).unwrap_or(i64::MAX);
        let mut steps = Vec::new();
        let stands_in = self.verdicts.rollouts.get_mut(&whose.component).and_then(|row| {
            // One that was tried has the one that served beside it.
            let served = row.active.as_ref().is_some_and(|active| active.ends_with(&whose.digest));
            row.held = Some(if served { row.before.clone() } else { row.active.clone() }?);
            (row.files, row.why, row.since) = (Some(files), Some(why.clone()), since);
            steps.push(row.put());
            Some(())
        });
        if stands_in.is_none() && !others {
            let reason = format!("{}: {why}; no other version of it is there, so it serves on", whose.version);
            return notice::give(Notice::VersionFailing, &reason);
        }
        let row = Quarantined { digest: whose.digest, version: whose.version, why, since };
        steps.push(row.put());
        let reason = format!("{}: {}; its content serves again once `tandem promote` says so", row.version, row.why);
        notice::give(Notice::VersionQuarantined, &reason);
        self.verdicts.quarantined.insert(row.digest.clone(), row);
        self.write_verdicts(steps);
    }

    /// The version that is held for a component. What was held of other files than there are now is let go.
    pub(super) fn held(&mut self, component: &str) -> Option<usize> {
        let files = self.files_of(component);
        let row = self.verdicts.rollouts.get_mut(component)?;
        let identity = row.held.clone()?;
        if row.files.as_ref() != Some(&files) {
            row.let_go();
            let reason = format!("{component}: its files have changed, so {identity} is no longer held");
            notice::give(Notice::HoldEnded, &reason);
            let steps = vec![row.put()];
            self.write_verdicts(steps);
            return None;
        }
        match self.shelved(&identity) {
            Ok(at) => Some(at),
            Err(reason) => {
                notice::give(Notice::VersionRefused, &format!("{identity}: it is held, and cannot serve: {reason}"));
                None
            }
        }
    }

    /// Says of each version that would serve, if no other was held, that it is withdrawn.
    pub(super) fn tell_withdrawn(&mut self) {
        for at in 0..self.versions.len() {
            let reason = self.withdrawn(at);
            self.versions[at].withdraw(reason);
        }
    }

    /// Why a version does not serve that would, if no other was held.
    pub(super) fn withdrawn(&self, at: usize) -> Option<String> {
        let version = &self.versions[at];
        if !version.present || version.quarantine.is_some() || version.refusal.is_some() {
            return None;
        }
        let component = &version.manifest.name;
        let row = self.verdicts.rollouts.get(component)?;
        let held = self.active(component).map(|active| &self.versions[active])?;
        if row.held.as_ref() != Some(&held.identity()) {
            return None;
        }
        let wanted = self.config.component(component).version;
        let first = rollout::order(vec![version.candidate(), held.candidate()], wanted.as_deref());
        let why = row.why.as_deref().unwrap_or_default();
        (first.first()?.seen == version.seen && version.seen != held.seen)
            .then(|| format!("{} is held ({why}); `tandem promote {component}` ends that", held.name()))
    }

    /// The digests of a component's files in the directory.
    fn files_of(&self, component: &str) -> String {
        let present = self.versions.iter().filter(|one| one.present && one.manifest.name == component);
        let digests: BTreeSet<String> = present.map(|one| one.digest.to_string()).collect();
        digests.into_iter().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn write_verdicts(&mut self, steps: Vec<Step>) {
        let written = self.open_store().and_then(|store| store.write(steps).map_err(|failure| failure.to_string()));
        if let Err(reason) = written {
            let finding =
                format!("what was decided of versions is not written down, and does not outlive this run: {reason}");
            tracing::error!("{finding}");
            self.findings.push(finding);
        }
    }

    /// Writes down which versions serve, and which did before, where that has changed.
    pub(super) fn write_rollouts(&mut self) {
        let mut steps = Vec::new();
        for at in self.active_versions() {
            let version = &self.versions[at];
            let (component, identity) = (version.manifest.name.clone(), version.identity());
            let keeps = self.config.component(&component).versions.keep > 0;
            let row = self.verdicts.rollouts.entry(component.clone()).or_default();
            if row.active.as_ref() != Some(&identity) {
                row.component = component;
                row.before = row.active.replace(identity).filter(|_| keeps);
                steps.push(row.put());
            }
        }
        if !steps.is_empty() {
            self.write_verdicts(steps);
        }
    }

    /// What the shelf keeps for a way back after a restart.
    pub(super) fn ways_back(&self) -> impl Iterator<Item = Digest> + '_ {
        let named =
            self.verdicts.rollouts.values().flat_map(|row| row.active.iter().chain(&row.before).chain(&row.held));
        named.filter_map(|identity| identity.rsplit_once('#')?.1.parse().ok())
    }

    /// Goes back to the version that served before, by an operator's word.
    pub(super) fn roll_back(&mut self, component: &str) -> Result<Rolled, String> {
        let active = self.active(component).ok_or_else(|| self.no_such(component))?;
        if let Some(canary) = self.canary(component) {
            return self.withdraw(canary, "by `tandem rollback`");
        }
        if let Some(row) = self.verdicts.rollouts.get(component).filter(|row| row.held.is_some()) {
            let held = self.versions[active].name();
            let why = row.why.clone().unwrap_or_default();
            return Err(format!(
                "{held} is held already ({why}); `tandem promote {component}` ends that, `tandem promote {component}@VERSION` holds another"
            ));
        }
        let why = "by `tandem rollback`".to_owned();
        let members = self.changed_with(active);
        let mut ways = Vec::new();
        for member in members {
            let name = self.versions[member].manifest.name.clone();
            let before = self.before(member).ok_or_else(|| self.no_way_back(&name))?;
            self.may_hold(before)?;
            ways.push((member, before));
        }
        self.go(&ways, Some(&why))
    }

    /// Has a version serve: the one that is named, which is held; or the newest, by which nothing is held any more.
    pub(super) fn promote(&mut self, component: &str, version: Option<&str>) -> Result<Rolled, String> {
        let active = self.active(component).ok_or_else(|| self.no_such(component))?;
        let at = match version {
            Some(wanted) => {
                let at = self.named(component, wanted)?;
                self.may_hold(at)?;
                at
            }
            None => self.canary(component).or_else(|| self.newest(component)).unwrap_or(active),
        };
        let mut ways = vec![(active, at)];
        if version.is_none() {
            // What went back together comes forward together.
            let since = self.verdicts.rollouts.get(component).map(|row| row.since);
            let others = self.verdicts.rollouts.values().filter(|row| row.held.is_some() && Some(row.since) == since);
            let others: Vec<String> = others.map(|row| row.component.clone()).filter(|one| one != component).collect();
            for other in others {
                if let (Some(active), Some(newest)) = (self.active(&other), self.newest(&other)) {
                    ways.push((active, newest));
                }
            }
        }
        if self.verdicts.quarantined.remove(&self.versions[at].digest.to_string()).is_some() {
            self.versions[at].release();
            let steps = vec![Quarantined::delete(&self.versions[at].digest.to_string())];
            self.write_verdicts(steps);
        }
        self.go(&ways, version.map(|_| "by `tandem promote`"))
    }

    /// Goes back from each version that has failed too often at work since it was looked at anew.
    pub(super) fn take_back_failing(&mut self, now: Instant) {
        let at_work = |version: &super::Version| matches!(version.stage, Stage::Active | Stage::Canary);
        for at in (0..self.versions.len()).filter(|at| at_work(&self.versions[*at])).collect::<Vec<_>>() {
            let failing = self.fails(at, now);
            let within = self.config.component(&self.versions[at].manifest.name).rollback.within.get();
            match failing {
                Some(why) if self.versions[at].stage == Stage::Canary => self.withdraw_failing(at, &why),
                Some(why) => self.take_back(at, &why),
                None if now.duration_since(self.versions[at].looked.at) >= within => {
                    self.versions[at].looked = self.versions[at].look(now);
                }
                None => {}
            }
        }
    }

    /// Whether a version may have to be taken back.
    pub(super) fn watches_failures(&self) -> bool {
        let watched = |one: &super::Version| match one.stage {
            Stage::Active => self.has_way_back(one),
            _ => one.stage == Stage::Canary,
        };
        self.versions.iter().any(watched)
    }

    fn has_way_back(&self, version: &super::Version) -> bool {
        let row = self.verdicts.rollouts.get(&version.manifest.name);
        let kept = |one: &super::Version| one.manifest.name == version.manifest.name && one.is_behind();
        row.is_some_and(|row| row.before.is_some()) || self.versions.iter().any(kept)
    }

    /// Writes down that a version is quarantined.
    pub(super) fn write_quarantine(&mut self, at: usize, why: &str) {
        let row = Quarantined {
            digest: self.versions[at].digest.to_string(),
            version: self.versions[at].name(),
            why: why.to_owned(),
            since: i64::try_from(time_of_day()).unwrap_or(i64::MAX),
        };
        self.write_verdicts(vec![row.put()]);
        self.verdicts.quarantined.insert(row.digest.clone(), row);
    }

    /// A version is out of service for what it has done: its content does not serve again by itself.
    pub(super) fn quarantined(&mut self, at: usize, why: &str) {
        let (name, component) = (self.versions[at].name(), self.versions[at].manifest.name.clone());
        self.versions[at].quarantine(why);
        let reason =
            format!("{name}: {why}; its content serves again once `tandem promote {component}@VERSION` says so");
        notice::give(Notice::VersionQuarantined, &reason);
        self.unload_if_idle(at);
    }

    /// Goes back from a version that fails at work, and quarantines it.
    pub(super) fn take_back(&mut self, at: usize, why: &str) {
        let name = self.versions[at].name();
        self.versions[at].looked = self.versions[at].look(clock::instant());
        let mut ways = Vec::new();
        for member in self.changed_with(at) {
            match self.before(member) {
                Some(before) => ways.push((member, before)),
                None if member == at => {
                    let reason = format!("{name}: {why}; no earlier version of it is kept, so it serves on");
                    return notice::give(Notice::VersionFailing, &reason);
                }
                None => {}
            }
        }
        self.write_quarantine(at, why);
        match self.go(&ways, Some(why)) {
            Ok(_) => self.quarantined(at, why),
            Err(reason) => {
                notice::give(Notice::VersionFailing, &format!("{name}: {why}; there is no way back: {reason}"))
            }
        }
    }

    /// The active versions that became active with this one because a group changes together, this one first.
    fn changed_with(&self, at: usize) -> Vec<usize> {
        let since = self.versions[at].active_since;
        let mut together = BTreeSet::from([self.versions[at].manifest.name.as_str()]);
        for group in self.config.together.iter().cycle().take(self.config.together.len().pow(2)) {
            if group.iter().any(|one| together.contains(one.as_str())) {
                together.extend(group.iter().map(String::as_str));
            }
        }
        let others = self.active_versions().into_iter().filter(|other| {
            let version = &self.versions[*other];
            *other != at && version.active_since == since && together.contains(version.manifest.name.as_str())
        });
        std::iter::once(at).chain(others).collect()
    }

    /// The version that served before this one: kept started, or on the shelf since an earlier run.
    fn before(&mut self, at: usize) -> Option<usize> {
        let name = self.versions[at].manifest.name.clone();
        let fit = |one: &super::Version| one.manifest.name == name && one.quarantine.is_none();
        let kept = (0..self.versions.len()).filter(|other| {
            let version = &self.versions[*other];
            *other != at && fit(version) && version.is_behind()
        });
        if let Some(kept) = kept.max_by_key(|other| self.versions[*other].active_at) {
            return Some(kept);
        }
        let identity = self.verdicts.rollouts.get(&name)?.before.clone()?;
        let before = self.shelved(&identity).ok()?;
        (before != at && self.versions[before].quarantine.is_none()).then_some(before)
    }

    /// The version that would serve if nothing was held.
    fn newest(&self, component: &str) -> Option<usize> {
        let present = self.versions.iter().filter(|one| {
            one.present && one.manifest.name == component && one.quarantine.is_none() && one.refusal.is_none()
        });
        let wanted = self.config.component(component).version;
        let newest = rollout::order(present.map(super::Version::candidate).collect(), wanted.as_deref());
        newest.first().map(|one| self.at_seen(one.seen))
    }

    /// The one version of a component that is meant: `1.2.0` or `1.2.0#3fa9c1`.
    pub(super) fn named(&self, component: &str, wanted: &str) -> Result<usize, String> {
        let of_it = |at: &usize| self.versions[*at].manifest.name == component;
        let known: Vec<usize> = (0..self.versions.len()).filter(of_it).collect();
        let meant: Vec<usize> = known.iter().copied().filter(|at| self.versions[*at].candidate().is(wanted)).collect();
        let list = |all: &[usize]| all.iter().map(|at| self.versions[*at].name()).collect::<Vec<_>>().join(", ");
        match meant[..] {
            [at] => Ok(at),
            [] => Err(format!("no version {component}@{wanted} is known; known are {}", list(&known))),
            _ => Err(format!("{component}@{wanted} may be any of {}: name it with its digest", list(&meant))),
        }
    }

    /// What the configuration names is not overruled by a command.
    fn may_hold(&self, at: usize) -> Result<(), String> {
        let version = &self.versions[at];
        let component = &version.manifest.name;
        match self.config.component(component).version {
            Some(named) if !version.candidate().is(&named) => {
                Err(format!("component.{component}.version names {named}; change it there, and reload"))
            }
            _ => Ok(()),
        }
    }

    fn no_such(&self, component: &str) -> String {
        let active: Vec<&str> =
            self.active_versions().into_iter().map(|at| self.versions[at].manifest.name.as_str()).collect();
        format!("no version of `{component}` serves; those that serve are of {}", active.join(", "))
    }

    fn no_way_back(&self, component: &str) -> String {
        let keep = self.config.component(component).versions.keep;
        let keep = if keep == 0 { format!("; component.{component}.versions.keep is 0") } else { String::new() };
        format!(
            "no version of `{component}` that served before is there to go back to{keep}; copy one into the components directory, and reload"
        )
    }

    /// What is held against a version's failures since they were looked at anew; `None` where they are few.
    pub(super) fn fails(&self, at: usize, now: Instant) -> Option<String> {
        let version = &self.versions[at];
        let limits = self.config.component(&version.manifest.name).rollback;
        let look = version.look(now);
        let failures = look.failures.saturating_sub(version.looked.failures);
        let taken = look.taken.saturating_sub(version.looked.taken).max(failures);
        let many = failures >= u64::from(limits.failures) && failures as f64 >= limits.share.get() * taken as f64;
        (limits.failures > 0 && failures > 0 && many).then(|| {
            format!("{failures} failures of {taken} sessions within {:.1?}", now.duration_since(version.looked.at))
        })
    }

    /// One publication by which each of these versions is followed by the other. With a reason they are held, without one nothing is.
    pub(super) fn go(&mut self, ways: &[(usize, usize)], why: Option<&str>) -> Result<Rolled, String> {
        let mut decisions = self.as_they_are();
        let mut changes = Vec::new();
        for (from, to) in ways {
            let component = self.versions[*to].manifest.name.clone();
            let instances = match self.instances_for(*to, &component) {
                Ok(instances) => instances,
                Err(reason) => {
                    // It may have been loaded for that, and nothing else would look whether it is needed.
                    self.unload_if_idle(*to);
                    return Err(reason);
                }
            };
            decisions.retain(|decision| decision.component != component);
            let version = Some(*to);
            decisions.push(Decision { component: component.clone(), version, instances, refused: false, canary: None });
            changes.push(RolledOne { from: self.versions[*from].name(), to: self.versions[*to].name(), component });
        }
        let since = i64::try_from(time_of_day()).unwrap_or(i64::MAX);
        let mut steps = Vec::new();
        for (_, to) in ways {
            let (component, identity) = (self.versions[*to].manifest.name.clone(), self.versions[*to].identity());
            let files = self.files_of(&component);
            let row = self.verdicts.rollouts.entry(component.clone()).or_default();
            row.component = component;
            row.let_go();
            if let Some(why) = why {
                (row.held, row.files) = (Some(identity), Some(files));
                (row.why, row.since) = (Some(why.to_owned()), since);
            }
            steps.push(row.put());
        }
        self.write_verdicts(steps);
        self.findings.clear();
        self.publish(self.config.clone(), &decisions, Vec::new(), Vec::new());
        self.take_stages(&decisions);
        self.write_rollouts();
        let findings: Vec<String> =
            self.wait_until_taken().into_iter().chain(std::mem::take(&mut self.findings)).collect();
        self.keep_no_more_than_wanted();
        self.tell_withdrawn();
        for RolledOne { from, to, .. } in changes.iter().filter(|one| one.from != one.to) {
            let why = why.unwrap_or("nothing is held any more");
            notice::give(Notice::VersionRolled, &format!("{from} is followed by {to}: {why}"));
        }
        Ok(Rolled { publication: self.table.current().number, changes, findings })
    }

    /// What serves, as a reload would decide it that changes nothing.
    fn as_they_are(&self) -> Vec<Decision> {
        let snapshot = self.table.current();
        let active = self.active_versions().into_iter().map(|at| {
            let numbers: BTreeSet<u32> = self.versions[at].running.iter().map(|running| running.number).collect();
            let served = snapshot.services.iter().enumerate().filter_map(|(number, service)| {
                let instance = service.instance.as_ref().filter(|one| numbers.contains(&one.as_ref().number))?;
                Some((number, instance.clone()))
            });
            let component = self.versions[at].manifest.name.clone();
            let canary = self.canary(&component).map(|version| {
                let tried = snapshot.services.iter().enumerate();
                let tried =
                    tried.filter_map(|(number, service)| Some((number, service.canary.as_ref()?.instance.clone())));
                let numbers: BTreeSet<u32> = self.versions[version].running.iter().map(|one| one.number).collect();
                let instances = tried.filter(|one| numbers.contains(&one.1.as_ref().number)).collect();
                Tried { version, instances }
            });
            Decision { component, version: Some(at), instances: served.collect(), refused: false, canary }
        });
        active.collect()
    }

    /// Instances of a version for the services of its component: those with which it served, and new ones for services that were not
    /// there then.
    fn instances_for(&mut self, at: usize, component: &str) -> Result<Vec<(usize, Lease<Instance>)>, String> {
        let version = &self.versions[at];
        let number_of = |lease: &Lease<Instance>| {
            version.running.iter().find(|one| one.number == lease.as_ref().number).map(|one| one.service)
        };
        let mut instances: BTreeMap<usize, Lease<Instance>> =
            version.kept.iter().filter_map(|lease| Some((number_of(lease)?, lease.clone()))).collect();
        let services = self.config.service.iter().filter(|(_, service)| service.component == component);
        let wanted: BTreeSet<usize> =
            services.filter_map(|(name, _)| self.services.iter().position(|known| known == name)).collect();
        instances.retain(|number, _| wanted.contains(number));
        if wanted.iter().any(|number| !instances.contains_key(number)) {
            let config = self.config.clone();
            for (number, instance) in self.prepare(at, component, &config)? {
                instances.entry(number).or_insert(instance);
            }
            self.migrate_tables(std::iter::once(at)).map_err(|error| format!("{error:#}"))?;
        }
        Ok(instances.into_iter().collect())
    }
}
