//! What the host knows of each version.

use std::sync::Arc;
use std::time::Instant;

use crate::loader::code::Code;
use crate::loader::examine::Examined;
use crate::loader::library::Library;
use crate::loader::manifest::Manifest;
use crate::loader::shelf::Digest;
use crate::observe::notice::{self, Notice};
use crate::version::rollout::Candidate;
use crate::version::stage::{Stage, Step};
use crate::version::{Counts, Instance, Lease};

/// One version of a component.
pub(super) struct Version {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    /// Counts versions in the order in which they were first seen.
    pub(super) seen: u64,
    pub(super) stage: Stage,
    /// The proof that its content has passed the examination.
    pub(super) passed: Option<Examined>,
    pub(super) code: Option<Arc<Code>>,
    /// A library that could not be closed; tried again.
    pub(super) lingering: Option<Library>,
    /// Its instances that are not gone.
    pub(super) running: Vec<Running>,
    /// Held so that it can be gone back to.
    pub(super) kept: Vec<Lease<Instance>>,
    /// Why the last reload refused it, if it did.
    pub(super) refusal: Option<String>,
    /// Counts publications: when it was active last.
    pub(super) active_at: u64,
}

/// An instance that is not gone.
pub(super) struct Running {
    pub(super) number: u32,
    pub(super) service: usize,
    pub(super) counts: Arc<Counts>,
    /// When its remaining sessions are asked to say goodbye: another instance serves its service, or none.
    pub(super) drain_due: Option<Instant>,
}

impl Version {
    pub(super) fn new(digest: Digest, manifest: Manifest, seen: u64) -> Self {
        Version {
            digest,
            manifest,
            seen,
            stage: Stage::Found,
            passed: None,
            code: None,
            lingering: None,
            running: Vec::new(),
            kept: Vec::new(),
            refusal: None,
            active_at: 0,
        }
    }

    /// `http@1.2.0#3fa9c1`
    pub(super) fn name(&self) -> String {
        format!("{}@{}#{}", self.manifest.name, self.manifest.version, self.digest.short())
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate { number: self.manifest.version.clone(), digest: self.digest.short(), seen: self.seen }
    }

    /// Takes a step in its life. One that cannot follow is a bug of ours: it is told, and the version stays where it is.
    pub(super) fn step(&mut self, step: Step) {
        match self.stage.clone().after(step) {
            Ok(stage) => self.stage = stage,
            Err(impossible) => {
                debug_assert!(false, "{}: {impossible:?}", self.name());
                tracing::error!(version = %self.name(), ?impossible, "a bug in the host");
            }
        }
    }

    /// Refuses it. One that serves or drains serves on; that it was refused is said all the same.
    pub(super) fn refuse(&mut self, reason: &str) {
        notice::give(Notice::VersionRefused, &format!("{}: {reason}", self.name()));
        self.refusal = Some(reason.to_owned());
        if !matches!(self.stage, Stage::Active | Stage::Draining) {
            self.kept.clear();
            self.step(Step::Refuse(reason.to_owned()));
        }
    }

    /// It lies in the directory again, or still: what was refused is tried again.
    pub(super) fn find(&mut self) {
        self.refusal = None;
        if matches!(self.stage, Stage::Refused(_)) {
            self.step(if self.code.is_some() { Step::Load } else { Step::Find });
        }
    }

    pub(super) fn sessions(&self) -> u64 {
        self.running.iter().map(|running| running.counts.sessions.load(std::sync::atomic::Ordering::Relaxed)).sum()
    }

    pub(super) fn wants_looking_after(&self) -> bool {
        let drains = self.running.iter().any(|running| running.drain_due.is_some());
        drains || self.stage == Stage::Draining || self.lingering.is_some()
    }
}
