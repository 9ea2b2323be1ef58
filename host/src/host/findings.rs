//! What an operator is told of a reload: of each file, of each service that nothing serves, of a configuration that a
//! component refuses.

use anyhow::anyhow;

use super::Host;
use super::reload::{Found, What};
use crate::admin::{FileReport, Outcome};
use crate::config::{Config, Source};
use crate::observe::notice::{self, Notice};
use crate::version::stage::Stage;

impl Host {
    /// The services that nothing serves, with what there is instead.
    pub(super) fn unserved(&self) -> Vec<String> {
        let snapshot = self.table.current();
        let mut findings = Vec::new();
        for (name, service) in &self.config.service {
            let number = self.services.iter().position(|known| known == name);
            if number.is_some_and(|number| snapshot.services[number].instance.is_some()) {
                continue;
            }
            let versions = self.versions.iter().filter(|version| version.manifest.name == service.component);
            let there: Vec<String> =
                versions.map(|version| format!("{} ({})", version.name(), version.stage.word())).collect();
            let wanted = self.config.component(&service.component).version;
            let wanted = wanted.map(|wanted| format!(" {wanted}")).unwrap_or_default();
            let there = if there.is_empty() { "no version of it is known".to_owned() } else { there.join(", ") };
            findings.push(format!(
                "service.{name}: nothing serves it: it wants component `{}`{wanted}; {there}",
                service.component
            ));
        }
        findings
    }

    /// The components of which another version serves than the one that the configuration names.
    pub(super) fn not_as_named(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for (name, component) in &self.config.component {
            let (Some(named), Some(active)) = (&component.version, self.active(name)) else { continue };
            let active = &self.versions[active];
            if !active.candidate().is(named) {
                findings.push(format!(
                    "component.{name}.version: {named} is not there or was refused, and {} serves on; \
                     copy it into the components directory, or name another",
                    active.name()
                ));
            }
        }
        findings
    }

    pub(super) fn file_report(&self, found: &Found, before: &[usize]) -> FileReport {
        let file = found.file.clone();
        let at = match &found.what {
            What::Ignored(reason) => {
                return FileReport { file, outcome: Outcome::Ignored, version: None, reason: Some(reason.clone()) };
            }
            What::Refused(reason) => {
                return FileReport { file, outcome: Outcome::Refused, version: None, reason: Some(reason.clone()) };
            }
            What::Version(at) => *at,
        };
        let version = &self.versions[at];
        let (outcome, reason) = match &version.stage {
            _ if version.refusal.is_some() => (Outcome::Refused, version.refusal.clone()),
            _ if version.quarantine.is_some() => (Outcome::Refused, Some(self.why_quarantined(at))),
            Stage::Active if before.contains(&at) => (Outcome::Unchanged, None),
            Stage::Active => (Outcome::Loaded, self.stands_over(at)),
            Stage::Canary => (Outcome::Tried, self.canary_reason(at)),
            _ => (Outcome::Kept, Some(self.why_kept(at))),
        };
        FileReport { file, outcome, version: Some(version.name()), reason }
    }

    /// Says so where a version was preferred to another of the same number.
    fn stands_over(&self, at: usize) -> Option<String> {
        let version = &self.versions[at];
        let other = self.versions.iter().find(|other| {
            other.digest != version.digest
                && other.manifest.name == version.manifest.name
                && other.manifest.version == version.manifest.version
                && !matches!(other.stage, Stage::Refused(_))
        })?;
        let reason = format!("it is newer than {}, which has the same number", other.name());
        notice::give(Notice::VersionReplaced, &format!("{}: {reason}", version.name()));
        Some(reason)
    }

    fn why_quarantined(&self, at: usize) -> String {
        let version = &self.versions[at];
        let why = version.quarantine.as_deref().unwrap_or_default();
        let name = version.name();
        format!("it is quarantined, since it has failed at work: {why}; `tandem promote {name}` has it serve again")
    }

    fn why_kept(&self, at: usize) -> String {
        if let Some(reason) = self.withdrawn(at) {
            return reason;
        }
        let name = &self.versions[at].manifest.name;
        match self.active(name).map(|active| &self.versions[active]) {
            Some(active) if active.manifest.version == self.versions[at].manifest.version => {
                format!("{} has the same number and is newer", active.name())
            }
            Some(active) => format!("{} serves", active.name()),
            None if self.config.service.values().all(|service| service.component != *name) => {
                format!("no service has the component `{name}`")
            }
            None if self.config.component(name).version.is_some() => format!("component.{name}.version names another"),
            None => "the reload changed nothing".to_owned(),
        }
    }

    /// The operator's error, with the line that it is in.
    pub(super) fn refused_configuration(&self, component: &str, config: &Config, reason: &str) -> anyhow::Error {
        let service = config.service.iter().find(|(name, one)| {
            one.component == component
                && (reason.contains(name.as_str())
                    || one.config != self.config.service.get(*name).and_then(|old| old.config.clone()))
        });
        let Some((name, _)) = service else { return anyhow!("component `{component}`: {reason}") };
        // The examination says for which service; the key says it again.
        let (key, rest) = split_key(reason.strip_prefix(&format!("service `{name}`: ")).unwrap_or(reason));
        Source::wrong_at(&self.source, &["service", name, "config"], key, rest).into()
    }
}

/// A refusal of serde begins with the key: `routes[0].path: missing field`.
fn split_key(reason: &str) -> (&str, &str) {
    match reason.split_once(": ") {
        Some((key, rest)) if !key.contains(' ') => (key, rest),
        _ => ("", reason),
    }
}
