//! What the host knows of each version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::clock;
use crate::loader::code::Code;
use crate::loader::library::{Closed, Library, Trace};
use crate::loader::manifest::Manifest;
use crate::loader::shelf::{Digest, Shelved};
use crate::observe::crash::Whose;
use crate::observe::notice::{self, Notice};
use crate::version::rollout::Candidate;
use crate::version::stage::{Stage, Step};
use crate::version::{Counted, Counts, Instance, Lease, Started};

use super::around::Passed;

/// One version of a component.
pub(super) struct Version {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    /// Counts versions in the order in which they were first seen.
    pub(super) seen: u64,
    pub(super) stage: Stage,
    /// The proof that its content has passed the examination.
    pub(super) passed: Option<Passed>,
    /// Its copy, where the reload that is under way has read it, and so need not read it again.
    pub(super) shelved: Option<Shelved>,
    pub(super) code: Option<Arc<Code>>,
    /// Copies of it that were closed or could not be closed, and are mapped still.
    pub(super) lingering: Vec<Lingering>,
    /// Its instances that are not gone.
    pub(super) running: Vec<Running>,
    /// The starts that nobody waits for any more and that have not come back, by the numbers of their instances.
    pub(super) held: BTreeMap<u32, Started>,
    /// What was counted of those that are.
    pub(super) past: Past,
    /// Held so that it can be gone back to.
    pub(super) kept: Vec<Lease<Instance>>,
    /// Why the last reload refused it, if it did.
    pub(super) refusal: Option<String>,
    /// Counts publications: when it was active last …
    pub(super) active_at: u64,
    /// … and since when it has been.
    pub(super) active_since: u64,
    /// Whether the last reload has found it in the components directory.
    pub(super) present: bool,
    /// Why it is not tried again, where it has failed at work.
    pub(super) quarantine: Option<String>,
    /// Why it does not serve, where an operator's word holds another.
    pub(super) withdrawal: Option<String>,
    /// What was counted of it as its failures were looked at anew.
    pub(super) looked: Looked,
    /// It had more than the soft limit when it was looked last.
    pub(super) above_soft: bool,
    /// Where it is tried.
    pub(super) trial: Option<Trial>,
}

/// How a canary began.
pub(super) struct Trial {
    pub(super) since: Instant,
    /// What was counted of it, and of the version that serves, at its beginning.
    pub(super) before: (Counted, Counted),
    /// That nobody knows yet how it does was said.
    pub(super) said: bool,
}

/// What was counted of a version at a time.
pub(super) struct Looked {
    pub(super) at: Instant,
    pub(super) failures: u64,
    pub(super) taken: u64,
}

/// What was counted of instances that are gone.
#[derive(Clone, Default)]
pub(super) struct Past {
    pub(super) taken: u64,
    pub(super) failures: u64,
    pub(super) panics: u64,
    pub(super) overruns: u64,
    pub(super) exchanges: Counted,
}

impl Past {
    pub(super) fn add(&mut self, counts: &Counts) {
        self.taken += counts.taken.load(Ordering::Relaxed);
        self.failures += counts.failures.load(Ordering::Relaxed);
        self.panics += counts.panics.load(Ordering::Relaxed);
        self.overruns += counts.overruns.load(Ordering::Relaxed);
        counts.exchanges.add_to(&mut self.exchanges);
    }
}

/// A copy of a library that should be gone and is not.
pub(super) struct Lingering {
    /// What keeps it.
    pub(super) reason: String,
    pub(super) left: Left,
}

/// What there is left to do about a library that lingers.
pub(super) enum Left {
    /// Nothing: it was closed, and stays mapped all the same.
    Nothing,
    /// To close it, once no thread needs it.
    Close(Library),
    /// To see whether it is gone: it was closed.
    Look(Trace),
    /// To unload it, once these instances, by their numbers, have stopped.
    Unload(Arc<Code>, BTreeSet<u32>),
}

/// An instance that is not gone.
pub(super) struct Running {
    pub(super) number: u32,
    pub(super) service: usize,
    pub(super) counts: Arc<Counts>,
    /// When its remaining sessions are asked to say goodbye: another instance serves its service, or none.
    pub(super) drain_due: Option<Instant>,
    pub(super) stop: Stop,
}

impl Running {
    /// What is said of threads that were given up in it, where there are some.
    pub(super) fn inside(&self) -> Option<String> {
        threads_inside(self.counts.inside.load(Ordering::Relaxed))
    }
}

fn threads_inside(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some("a thread that was given up is inside still".to_owned()),
        count => Some(format!("{count} threads that were given up are inside still")),
    }
}

/// How far an instance is with its end.
#[derive(PartialEq, Eq)]
pub(super) enum Stop {
    /// It is leased.
    NotYet,
    /// The last lease is gone, and its component is dropped, on a thread of its own, until then.
    By(Instant),
    /// Its component has not come back from that in time, or from its start. What an operator is told of it.
    Overdue(String),
}

impl Lingering {
    /// What lingers of a library after it was closed; nothing where it is gone.
    pub(super) fn after(closed: Closed) -> Option<Self> {
        match closed {
            Closed::Unmapped => None,
            Closed::Lingering { reason, library } => {
                Some(Lingering { reason, left: library.map_or(Left::Nothing, Left::Close) })
            }
            Closed::Unseen { reason, trace } => Some(Lingering { reason, left: Left::Look(trace) }),
        }
    }
}

impl Version {
    pub(super) fn new(digest: Digest, manifest: Manifest, seen: u64) -> Self {
        Version {
            digest,
            manifest,
            seen,
            stage: Stage::Found,
            passed: None,
            shelved: None,
            code: None,
            lingering: Vec::new(),
            running: Vec::new(),
            held: BTreeMap::new(),
            past: Past::default(),
            kept: Vec::new(),
            refusal: None,
            active_at: 0,
            active_since: 0,
            present: false,
            quarantine: None,
            withdrawal: None,
            looked: Looked { at: clock::instant(), failures: 0, taken: 0 },
            above_soft: false,
            trial: None,
        }
    }

    /// `http@1.2.0#3fa9c1`
    pub(super) fn name(&self) -> String {
        format!("{}@{}#{}", self.manifest.name, self.manifest.version, self.digest.short())
    }

    /// The name with the whole digest.
    pub(super) fn identity(&self) -> String {
        format!("{}@{}#{}", self.manifest.name, self.manifest.version, self.digest)
    }

    /// Whose code it is, of an instance for a service.
    pub(super) fn whose(&self, service: &str) -> Whose {
        let (component, digest) = (self.manifest.name.clone(), self.digest.to_string());
        Whose { component, version: self.name(), digest, service: service.to_owned() }
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate { number: self.manifest.version.clone(), digest: self.digest.to_string(), seen: self.seen }
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
        // … and one that is still mapped goes on saying that.
        if !matches!(self.stage, Stage::Active | Stage::Canary | Stage::Draining | Stage::Lingering(_)) {
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

    /// It is not tried again before an operator says so. One that serves or drains does so to its end.
    pub(super) fn quarantine(&mut self, reason: &str) {
        self.quarantine = Some(reason.to_owned());
        self.kept.clear();
        self.settle_quarantine();
    }

    /// Takes the step into quarantine, where it is to and nothing stands against it.
    fn settle_quarantine(&mut self) {
        if let Some(reason) = &self.quarantine
            && !matches!(
                self.stage,
                Stage::Active | Stage::Canary | Stage::Draining | Stage::Lingering(_) | Stage::Quarantined(_)
            )
        {
            self.step(Step::Quarantine(reason.clone()));
        }
    }

    /// It does not serve for as long as another is held, for this reason; or nothing is held against it any more. What drains does so to its
    /// end, and what is kept for a way forward stays loaded.
    pub(super) fn withdraw(&mut self, reason: Option<String>) {
        self.withdrawal = reason;
        match &self.stage {
            Stage::Withdrawn(_) if self.withdrawal.is_none() => self.step(Step::Find),
            _ => self.settle_withdrawal(),
        }
    }

    /// Takes the step out of service, where it is to and nothing stands against it.
    fn settle_withdrawal(&mut self) {
        if let Some(reason) = &self.withdrawal
            && matches!(self.stage, Stage::Found | Stage::Examined | Stage::Retired | Stage::Withdrawn(_))
        {
            self.step(Step::Withdraw(reason.clone()));
        }
    }

    /// Where nothing of it is loaded any more, it is what was said of it meanwhile.
    pub(super) fn settle_verdicts(&mut self) {
        self.settle_quarantine();
        self.settle_withdrawal();
    }

    /// An operator wants it to be tried again.
    pub(super) fn release(&mut self) {
        self.quarantine = None;
        if matches!(self.stage, Stage::Quarantined(_)) {
            self.step(if self.code.is_some() { Step::Load } else { Step::Find });
        }
    }

    /// What was counted of its exchanges until now.
    pub(super) fn exchanges(&self) -> Counted {
        let mut counted = self.past.exchanges.clone();
        self.running.iter().for_each(|running| running.counts.exchanges.add_to(&mut counted));
        counted
    }

    /// What is counted of it now.
    pub(super) fn look(&self, at: Instant) -> Looked {
        let sum = |count: fn(&Counts) -> &std::sync::atomic::AtomicU64| -> u64 {
            self.running.iter().map(|one| count(&one.counts).load(Ordering::Relaxed)).sum()
        };
        let failures = sum(|counts| &counts.failures) + sum(|counts| &counts.overruns);
        Looked { at, failures, taken: sum(|counts| &counts.taken) }
    }

    /// Why it is where it is, where there is a reason.
    pub(super) fn reason(&self) -> Option<String> {
        match (&self.stage, self.refusal.as_ref().or(self.quarantine.as_ref())) {
            (Stage::Lingering(reason), Some(refusal)) => Some(format!("{reason}; it was refused: {refusal}")),
            (Stage::Draining, Some(reason)) if self.quarantine.is_some() => {
                Some(format!("it is quarantined: {reason}"))
            }
            (stage, _) => {
                let withdrawn = self.withdrawal.as_ref().filter(|_| matches!(stage, Stage::Draining | Stage::Staged));
                let withdrawn = || withdrawn.map(|reason| format!("it is withdrawn: {reason}"));
                let inside = || self.overdue().or_else(|| self.inside()).or_else(withdrawn);
                stage.reason().map(str::to_owned).or_else(inside).or_else(|| {
                    let lingering = self.lingering.last()?;
                    Some(format!("of an earlier time that it was loaded, something lingers: {}", lingering.reason))
                })
            }
        }
    }

    /// What is said of threads that were given up in it, where there are some.
    fn inside(&self) -> Option<String> {
        threads_inside(self.running.iter().map(|running| running.counts.inside.load(Ordering::Relaxed)).sum())
    }

    pub(super) fn sessions(&self) -> u64 {
        self.running.iter().map(|running| running.counts.sessions.load(Ordering::Relaxed)).sum()
    }

    /// What is said of its instances that do not stop, where there are some.
    pub(super) fn overdue(&self) -> Option<String> {
        let reasons = self.running.iter().filter_map(|running| match &running.stop {
            Stop::Overdue(reason) => Some(reason.as_str()),
            _ => None,
        });
        let reasons: Vec<&str> = reasons.collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    pub(super) fn wants_looking_after(&self) -> bool {
        let due = self.running.iter().any(|running| running.drain_due.is_some() || matches!(running.stop, Stop::By(_)));
        due || self.stage == Stage::Draining
            || self.lingering.iter().any(|one| matches!(one.left, Left::Close(_) | Left::Look(_)))
    }
}
