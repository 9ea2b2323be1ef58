//! `tandem verify OLD NEW`: whether a library can take over from another, said before it is deployed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::json;
use tandem_component::{Policy, abi};

use super::check::{trials, trusted};
use super::say;
use crate::admin::{Holders, SessionState};
use crate::config::{Config, Source};
use crate::loader::examine::{self, Resumed, Trial};
use crate::loader::manifest::Manifest;
use crate::loader::shelf::{Digest, Shelved};
use crate::store::schema::{Known, additions};

pub(super) fn verify(
    old: &Path,
    new: &Path,
    states: Option<&Path>,
    source: &Source,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let config = source.read()?;
    let (old, new) = (Library::read(old)?, Library::read(new)?);
    let mut verdict = Verdict::default();
    verdict.compare(&old.manifest, &new.manifest);
    if let Err(untrusted) = trusted(&config, &new.shelved.path, &new.content) {
        verdict.findings.push(untrusted.to_string());
    }
    let recorded = states.map(|file| recorded(file, &old)).transpose()?.unwrap_or_default();
    verdict.examine(&new, &config, recorded)?;
    let Verdict { findings, facts } = verdict;
    let (ok, old, new) = (findings.is_empty(), old.name(), new.name());
    if json {
        say(json!({ "ok": ok, "old": old, "new": new, "facts": facts, "findings": findings }));
    } else {
        findings.iter().for_each(say);
        facts.iter().for_each(|fact| say(format_args!("  {fact}")));
        say(format_args!("{new} {} take over from {old}", if ok { "can" } else { "cannot" }));
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file that is a library, as its bytes have it.
struct Library {
    manifest: Manifest,
    content: Vec<u8>,
    shelved: Shelved,
}

impl Library {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let name = || file.display().to_string();
        let content = std::fs::read(file).with_context(name)?;
        let manifest = Manifest::parse(&content, 1..=abi::REVISION).with_context(name)?;
        let digest = Digest::of(&content);
        let shelved = Shelved { digest, path: file.canonicalize()?, len: content.len() as u64 };
        Ok(Library { manifest, content, shelved })
    }

    fn name(&self) -> String {
        let Manifest { name, version, .. } = &self.manifest;
        format!("{name}@{version}#{}", self.shelved.digest.short())
    }
}

/// A session that was recorded, and its service.
type Recorded = (String, Resumed);

/// The sessions of a version that were recorded.
fn recorded(file: &Path, old: &Library) -> anyhow::Result<Vec<Recorded>> {
    let name = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(name)?;
    let why = "it is nothing that `tandem sessions --record` has written";
    let holders: Holders = serde_json::from_str(&text).context(why).with_context(name)?;
    let of = old.name();
    let own: Vec<_> = holders.sessions.iter().filter(|session| session.version == of).collect();
    if own.is_empty() {
        let versions: std::collections::BTreeSet<&str> =
            holders.sessions.iter().map(|session| session.version.as_str()).collect();
        let versions = if versions.is_empty() { "none".to_owned() } else { Vec::from_iter(versions).join(", ") };
        return Err(anyhow!("{}: it has no session of {of}; it has of {versions}", file.display()));
    }
    let state = |(service, SessionState { opening, state }): (&String, &SessionState)| {
        let bytes = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).context(why).with_context(name);
        Ok((service.clone(), Resumed { opening: bytes(opening)?, state: bytes(state)? }))
    };
    own.iter().filter_map(|session| Some((&session.service, session.state.as_ref()?))).map(state).collect()
}

#[derive(Default)]
struct Verdict {
    /// Why it cannot.
    findings: Vec<String>,
    /// What comes of it where it can.
    facts: Vec<String>,
}

impl Verdict {
    /// By what the files say of themselves. None of their code runs.
    fn compare(&mut self, old: &Manifest, new: &Manifest) {
        if old.name != new.name {
            let reason = "a service goes on with a library of the same name";
            return self.findings.push(format!("it is `{}`, and the other one is `{}`: {reason}", new.name, old.name));
        }
        if new.version < old.version {
            self.findings.push(format!(
                "its number {} is below {}, and the highest one serves; raise `version` in its Cargo.toml, or have it serve by `tandem \
                 promote {}@{0}`",
                new.version, old.version, new.name
            ));
        } else if new.version == old.version {
            self.facts
                .push(format!("both are {}: the newer file counts; raise `version` in its Cargo.toml", new.version));
        }
        self.facts.push(match old.policy {
            Policy::Pin => "sessions stay with the version that they have begun with (policy `pin`)".to_owned(),
            Policy::Renew => "sessions begin anew on it between two exchanges (policy `renew`)".to_owned(),
            Policy::Carry => "sessions go on with it, with their state (policy `carry`)".to_owned(),
        });
        let unknown: Vec<String> =
            old.then.iter().filter(|then| !new.then.contains(then)).map(|then| format!("`{then}`")).collect();
        if !unknown.is_empty() {
            let waits = format!("sessions may wait for {}, which it does not know", unknown.join(", "));
            if old.policy == Policy::Carry {
                let reason = "those that do stay where they are until that has come; keep the variants of `Then`";
                self.facts.push(format!("{waits}: {reason}"));
            }
        }
        self.compare_tables(old, new);
    }

    fn compare_tables(&mut self, old: &Manifest, new: &Manifest) {
        let (there, declared) = match (old.tables(), new.tables()) {
            (Ok(there), Ok(declared)) => (there, declared),
            (there, declared) => {
                let wrong = [there.err(), declared.err()].into_iter().flatten();
                return self.findings.extend(wrong.map(|wrong| wrong.to_string()));
            }
        };
        // As the store comes to know them.
        let mut known = Vec::new();
        match additions(&[], &there, &old.version) {
            Ok(changes) => changes.iter().for_each(|change| Known::take(&mut known, change, &old.version)),
            Err(misfit) => return self.findings.push(misfit.to_string()),
        }
        match additions(&known, &declared, &new.version) {
            Ok(changes) => {
                let added =
                    changes.iter().map(|change| format!("it adds to table {}: {}", change.table, change.words()));
                self.facts.extend(added);
            }
            Err(misfit) => self.findings.push(misfit.to_string()),
        }
    }

    /// By a child that runs it, confined, with the services of the configuration.
    fn examine(&mut self, new: &Library, config: &Config, recorded: Vec<Recorded>) -> anyhow::Result<()> {
        let mut trials = trials(config, &new.manifest)?;
        let count = recorded.len();
        for (service, session) in recorded {
            let Some(trial) = trials.iter_mut().find(|trial| trial.service == service) else {
                let reason = "name the configuration that they were recorded with, by --config";
                let finding =
                    format!("sessions of service.{service} were recorded, and it is no service of its: {reason}");
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
                continue;
            };
            trial.states.push(session);
        }
        let services = trials.len();
        let tried: usize = trials.iter().map(|trial: &Trial| trial.states.len()).sum();
        match examine::examine(&examine::own_executable()?, &new.shelved, &trials, config.examination.limits()) {
            Err(refused) => self.findings.push(refused.to_string()),
            Ok(examined) => {
                let started = if services == 0 {
                    "no service of the configuration has it".to_owned()
                } else {
                    format!("it starts with the configuration of {services} services")
                };
                self.facts.push(format!("it passes its examination; {started}"));
                if count > 0 {
                    let goes_on = tried - examined.refused.len();
                    self.facts.push(format!("{goes_on} of {count} recorded sessions go on with it"));
                }
                let refused = examined.refused.into_iter();
                self.findings.extend(refused.map(|(service, which, reason)| {
                    format!("session {} that was recorded of service.{service} does not go on: {reason}", which + 1)
                }));
            }
        }
        Ok(())
    }
}
