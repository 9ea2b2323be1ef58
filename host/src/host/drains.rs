//! `tandem drain`: has the sessions of a version leave it before its time, and says what came of it.
//!
//! It is what happens at the drain deadline, begun by an operator: conversations that are bound to it are bound to it no more,
//! sessions that can be moved are, the others are asked to say goodbye.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Host;
use crate::admin::{Answer, DrainReport, DrainRequest, Reply};
use crate::clock::{self, nanos};
use crate::loader::shelf::Digest;
use crate::observe::notice::{self, Notice};
use crate::version::Counts;
use crate::version::stage::Stage;
use crate::worker::{Command, Drained, Draining};

/// What an operator has begun to drain.
pub(super) struct Drain {
    digest: Digest,
    draining: Arc<Draining>,
    /// What is counted of its instances, which may be gone before it is over …
    counts: Vec<Arc<Counts>>,
    /// … and how many sessions they had ended for being late before it began.
    overdue: u64,
    begun: Instant,
    by: Instant,
}

/// Longer is refused: whoever asks is waiting.
const WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);
/// So long after all should be gone it is said what is.
const SETTLING: Duration = Duration::from_secs(3);

impl Host {
    /// Begins to drain a version. It is answered once it is over.
    pub(super) fn drain(&mut self, request: &DrainRequest, reply: Reply) {
        match self.begin_drain(request) {
            Ok(drain) => self.drains.push((drain, reply)),
            // Who asked may have gone.
            Err(reason) => drop(reply.send(Answer::Refused(reason))),
        }
    }

    fn begin_drain(&mut self, request: &DrainRequest) -> Result<Drain, String> {
        let DrainRequest { component, version: wanted, within_ms, pace } = request;
        let at = self.named(component, wanted)?;
        let version = &self.versions[at];
        let (name, digest) = (version.name(), version.digest);
        let instances: BTreeSet<u32> = version.running.iter().map(|running| running.number).collect();
        if instances.is_empty() {
            return Err(format!("{name} is {}: nothing runs on it", version.stage));
        }
        let current = self.table.current();
        let serves = |service: &&crate::version::Service| {
            let canary = service.canary.iter().map(|canary| &canary.instance);
            service.instance.iter().chain(canary).any(|one| instances.contains(&one.as_ref().number))
        };
        let served: Vec<String> =
            current.services.iter().filter(serves).map(|service| format!("service.{}", service.name)).collect();
        drop(current);
        if !served.is_empty() {
            return Err(format!(
                "{name} serves {}: have another version serve first, by `tandem promote`, `tandem rollback`, or a newer file",
                served.join(" and ")
            ));
        }
        let versions = self.config.component(component).versions;
        let within = within_ms.map_or(versions.goodbye.get(), Duration::from_millis);
        if within > WITHIN_MAX {
            return Err(format!("it may take {} hours at most", WITHIN_MAX.as_secs() / 3600));
        }
        let pause = match pace {
            Some(pace) => pace.pause(self.workers.len()),
            None => versions.pause(),
        };
        let counts: Vec<Arc<Counts>> = version.running.iter().map(|running| Arc::clone(&running.counts)).collect();
        let overdue = sum(&counts, |counts| &counts.overdue);
        for running in &mut self.versions[at].running {
            running.drain_due = None;
        }
        self.unbind(&instances);
        let begun = clock::instant();
        let by = self.clock.now().saturating_add(nanos(within));
        let draining = Arc::new(Draining::new(Some(instances), (within, Some(by)), pause, self.workers.len()));
        for worker in &self.workers {
            worker.tell(Command::Drain(Arc::clone(&draining)));
        }
        Ok(Drain { digest, draining, counts, overdue, begun, by: begun + within })
    }

    /// Answers those that are over.
    pub(super) fn look_after_drains(&mut self, now: Instant) {
        for (drain, reply) in std::mem::take(&mut self.drains) {
            let remaining = sum(&drain.counts, |counts| &counts.sessions);
            let (drained, through) = drain.draining.drained();
            let version = self.versions.iter().find(|version| version.digest == drain.digest);
            let settled = version.is_none_or(|version| version.stage != Stage::Draining);
            if !(through && remaining == 0 && settled) && now < drain.by + SETTLING {
                self.drains.push((drain, reply));
                continue;
            }
            let Drained { moved, told, left, faster } = drained;
            let findings = [
                (!through).then(|| "a worker has not told all of its sessions; is a component stuck in an event?".to_owned()),
                (faster > 0).then(|| {
                    "they were told faster than that, since all were to be gone in time: a longer --within lets them go more slowly"
                        .to_owned()
                }),
            ];
            let report = DrainReport {
                version: version.map(super::Version::name).unwrap_or_default(),
                moved,
                told,
                overdue: sum(&drain.counts, |counts| &counts.overdue).saturating_sub(drain.overdue),
                left,
                remaining,
                stage: version.map_or_else(|| Stage::Retired.to_string(), |version| version.stage.to_string()),
                took_ms: u64::try_from(now.duration_since(drain.begun).as_millis()).unwrap_or(u64::MAX),
                findings: findings.into_iter().flatten().collect(),
            };
            notice::give(Notice::VersionDrained, &report.line());
            let _ = reply.send(Answer::Drained(report));
        }
    }
}

fn sum(counts: &[Arc<Counts>], count: fn(&Counts) -> &AtomicU64) -> u64 {
    counts.iter().map(|counts| count(counts).load(Ordering::Relaxed)).sum()
}
