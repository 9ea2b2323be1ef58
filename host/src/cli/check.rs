//! `tandem check`: whether a configuration would be accepted, components and all, without running anything.

use std::path::Path;
use std::process::ExitCode;

use tandem_component::{Starting, abi};

use super::say;
use crate::config::{Config, Service, Source};
use crate::host::certificates::Certificates;
use crate::host::trust;
use crate::loader::examine::{self, Trial};
use crate::loader::manifest::Manifest;
use crate::loader::shelf::{Digest, Shelved};
use crate::loader::signature::{self, Untrusted};
use crate::system;

pub(super) fn check(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let config = source.read()?;
    let places = [trust::check_own(&config, source), trust::check_components(&config)];
    let mut findings: Vec<String> = places.into_iter().filter_map(Result::err).collect();
    match Certificates::default().read(&config) {
        Ok(certificates) => findings.extend_from_slice(certificates.findings()),
        Err((path, reason)) => findings.push(source.wrong_at_path(&path, &reason).to_string()),
    }
    let mut files: Vec<_> = std::fs::read_dir(&config.components)
        .map_err(|error| anyhow::anyhow!("components: {} cannot be read: {error}", config.components.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION))
        .collect();
    files.sort();
    let (host, mut there, mut served) = (examine::own_executable()?, Vec::new(), Vec::new());
    for file in &files {
        let name = file.display();
        let content = match std::fs::read(file) {
            Ok(content) => content,
            Err(error) => {
                findings.push(format!("{name}: it cannot be read: {error}"));
                continue;
            }
        };
        if let Err(exposed) = system::only_ours([file.as_path()]) {
            findings.push(format!("{name}: {exposed}"));
            continue;
        }
        if let Err(untrusted) = trusted(&config, file, &content) {
            findings.push(format!("{name}: {untrusted}"));
            continue;
        }
        let manifest = match Manifest::parse(&content, 1..=abi::REVISION) {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(format!("{name}: {error}"));
                continue;
            }
        };
        there.push(manifest.name.clone());
        let trials = trials(&config, &manifest)?;
        let library = Shelved { digest: Digest::of(&content), path: file.canonicalize()?, len: content.len() as u64 };
        match examine::examine(&host, &library, &trials, config.examination.limits()) {
            Ok(_) => served.push(manifest.name),
            Err(refused) => findings.push(format!("{name}: {refused}")),
        }
    }
    for (name, service) in &config.service {
        if !served.contains(&service.component) {
            let directory = config.components.display();
            findings.push(format!("service.{name}: no library in {directory} can serve `{}`", service.component));
        }
    }
    findings.extend(config.unknown_components(there.iter().map(String::as_str)));
    if json {
        say(serde_json::json!({ "ok": findings.is_empty(), "findings": findings }));
    } else if findings.is_empty() {
        say(format_args!("right: {} services, {} libraries", config.service.len(), files.len()));
    } else {
        findings.iter().for_each(say);
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A version at work for each service of its component, as it will be tried.
pub(super) fn trials(config: &Config, manifest: &Manifest) -> Result<Vec<Trial>, rmp_serde::encode::Error> {
    let version = format!("{}@{}", manifest.name, manifest.version);
    let upstreams: Vec<&str> = config.upstream.keys().map(String::as_str).collect();
    let services = config.service.iter().filter(|(_, service)| service.component == manifest.name);
    let trial = |(service, settings): (&String, &Service)| {
        let records = config.wants_records(settings, manifest.api);
        let traces = config.traces.as_ref().map(|traces| traces.sample);
        let starting = Starting { service, version: &version, upstreams: upstreams.clone(), run: 1, records, traces };
        Ok(Trial {
            service: service.clone(),
            starting: rmp_serde::to_vec_named(&starting)?,
            config: rmp_serde::to_vec_named(&settings.config)?,
            states: Vec::new(),
        })
    };
    services.map(trial).collect()
}

pub(super) fn trusted(config: &Config, file: &Path, content: &[u8]) -> Result<(), Untrusted> {
    if config.trust.is_empty() {
        return Ok(());
    }
    let beside = signature::beside(file);
    let signature = signature::read(&beside)?.ok_or(Untrusted::Unsigned(beside))?;
    config.trust.verify(content, &signature).map(drop)
}
