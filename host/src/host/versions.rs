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
    /// When its remaining sessions are asked to say goodbye.
    pub(super) drain_due: Option<Instant>,
    /// Counts publications: when it was active last.
    pub(super) active_at: u64,
}

/// An instance that is not gone.
pub(super) struct Running {
    pub(super) number: u32,
    pub(super) service: usize,
    pub(super) counts: Arc<Counts>,
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
            drain_due: None,
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

    pub(super) fn refuse(&mut self, reason: &str) {
        notice::give(Notice::VersionRefused, &format!("{}: {reason}", self.name()));
        self.step(Step::Refuse(reason.to_owned()));
    }

    pub(super) fn sessions(&self) -> u64 {
        self.running.iter().map(|running| running.counts.sessions.load(std::sync::atomic::Ordering::Relaxed)).sum()
    }

    pub(super) fn wants_looking_after(&self) -> bool {
        self.stage == Stage::Draining || self.lingering.is_some()
    }
}
