//! How things are, for `tandem status`.

use super::Host;
use crate::admin::{
    ExchangesStatus, FileReport, MovesStatus, Outcome, Report, ServerStatus, ServiceStatus, Status, UpstreamStatus,
    VersionStatus,
};
use crate::observe::notice;
use crate::version::stage::Stage;

impl Host {
    pub(super) fn status(&self) -> Status {
        let snapshot = self.table.current();
        let mut versions: Vec<VersionStatus> =
            (0..self.versions.len()).rev().map(|at| self.version_status(at)).collect();
        versions.sort_by(|one, other| one.component.cmp(&other.component));
        let services = self.config.service.iter().map(|(name, service)| {
            let number = self.services.iter().position(|known| known == name);
            let instance = number.and_then(|number| snapshot.services.get(number)?.instance.as_ref());
            ServiceStatus {
                name: name.clone(),
                component: service.component.clone(),
                listen: service.listen.iter().map(ToString::to_string).collect(),
                connect: number.map(|number| self.connections_of(number)).unwrap_or_default(),
                version: instance.map(|instance| instance.version.to_string()),
            }
        });
        let (agreements, agreements_left_out) = self.agreements_status();
        Status {
            pid: std::process::id(),
            since: self.since,
            publication: snapshot.number,
            moves: self.following.moves().map(|moves| MovesStatus {
                publication: self.following.publication,
                moved: moves.moved,
                stay: moves.stay,
                took_ms: moves.took.as_secs_f64() * 1e3,
            }),
            workers: self.workers.len(),
            versions,
            services: services.collect(),
            upstreams: self.upstreams_status(),
            agreements,
            agreements_left_out,
            refused: self.refused.clone(),
            reload_error: self.reload_error.clone(),
            notices: notice::tallies(),
        }
    }

    /// In a line: what serves, and whether the last reload has left something to look at.
    pub(super) fn in_short(&self) -> String {
        let snapshot = self.table.current();
        let serving = snapshot.services.iter().filter(|service| service.configured);
        let serving: Vec<String> = serving
            .map(|service| match &service.instance {
                Some(instance) => format!("{} {}", service.name, instance.version),
                None => format!("{} none", service.name),
            })
            .collect();
        let mut line = format!("Serving {}", serving.join(", "));
        if let Some(error) = &self.reload_error {
            line.push_str(&format!("; the last reload changed nothing: {error}"));
        } else if !self.refused.is_empty() {
            line.push_str(&format!("; {} refused, see `tandem status`", self.refused.len()));
        }
        line
    }

    fn upstreams_status(&self) -> Vec<UpstreamStatus> {
        let now = self.clock.now();
        let upstreams = self.upstreams.iter().map(|(name, (settings, health))| {
            let servers = settings.servers.iter().zip(health);
            let servers = servers
                .map(|(address, health)| ServerStatus { address: address.to_string(), ejected: !health.is_in(now) });
            UpstreamStatus { name: name.clone(), servers: servers.collect() }
        });
        upstreams.collect()
    }

    fn version_status(&self, at: usize) -> VersionStatus {
        let (version, bound) = (&self.versions[at], self.is_bound(at));
        let memory = version.code.as_ref().and_then(|code| code.memory());
        let mut counted = version.past.clone();
        version.running.iter().for_each(|running| counted.add(&running.counts));
        let exchanges = Some(&counted.exchanges).filter(|exchanges| exchanges.ended() > 0).map(ExchangesStatus::from);
        let mut services: Vec<String> =
            version.running.iter().map(|running| self.services[running.service].clone()).collect();
        services.dedup();
        VersionStatus {
            version: version.name(),
            component: version.manifest.name.clone(),
            number: version.manifest.version.to_string(),
            digest: version.digest.to_string(),
            stage: version.stage.word().to_owned(),
            reason: version
                .reason()
                .or_else(|| self.canary_reason(at))
                .or_else(|| bound.then(|| "conversations are bound to it".to_owned())),
            memory,
            uncounted: version.code.is_some() && memory.is_none(),
            sessions: version.sessions(),
            taken: counted.taken,
            failures: counted.failures,
            panics: counted.panics,
            overruns: counted.overruns,
            exchanges,
            services,
        }
    }

    /// Versions of which nothing is left to say: retired or refused, and not in the directory any more. The last few
    /// are kept, so that an operator can see what became of them.
    pub(super) fn forget_versions(&mut self, present: &[usize]) {
        const REMEMBERED: usize = 32;
        let done = |index: usize, version: &super::Version| {
            let gone = matches!(
                version.stage,
                Stage::Retired | Stage::Refused(_) | Stage::Withdrawn(_) | Stage::Quarantined(_)
            );
            (gone || matches!(version.stage, Stage::Found | Stage::Examined))
                && version.code.is_none()
                && version.lingering.is_empty()
                && !present.contains(&index)
        };
        let all = self.versions.iter().enumerate().filter(|(index, version)| done(*index, version)).count();
        let mut surplus = all.saturating_sub(REMEMBERED);
        let mut index = 0;
        self.versions.retain(|version| {
            let drop = surplus > 0 && done(index, version);
            surplus -= usize::from(drop);
            index += 1;
            !drop
        });
    }
}

impl Report {
    /// One line for each file, and one where nothing was changed at all.
    pub fn lines(&self) -> Vec<String> {
        let files = self.files.iter().map(FileReport::line);
        let error = self.error.as_ref().map(|error| format!("nothing was changed: {error}"));
        files.chain(self.findings.iter().cloned()).chain(error).collect()
    }
}

impl FileReport {
    fn line(&self) -> String {
        let FileReport { file, outcome, version, reason } = self;
        let word = match outcome {
            Outcome::Loaded => "loaded",
            Outcome::Tried => "tried",
            Outcome::Unchanged => "unchanged",
            Outcome::Kept => "kept",
            Outcome::Ignored => "ignored",
            Outcome::Refused => "refused",
        };
        let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{file}: {word}{version}{reason}")
    }
}
