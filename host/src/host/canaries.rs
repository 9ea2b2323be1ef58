//! Versions that are tried: when a new one is, when it serves, and when it is withdrawn.

use std::time::Instant;

use super::Host;
use super::versions::Trial;
use crate::admin::Rolled;
use crate::clock;
use crate::config::Config;
use crate::observe::notice::{self, Notice};
use crate::version::Counted;
use crate::version::canary::{Verdict, compare};
use crate::version::stage::Stage;

impl Host {
    /// The version of a component that is tried.
    pub(super) fn canary(&self, component: &str) -> Option<usize> {
        self.versions.iter().position(|one| one.stage == Stage::Canary && one.manifest.name == component)
    }

    /// The version that goes on serving while this one is tried beside it; `None` where it is not to be tried, but serves.
    pub(super) fn tried_beside(&mut self, at: usize, component: &str, config: &Config) -> Option<usize> {
        config.component(component).canary?;
        // Each worker has one session of it, and there are no others to share.
        if self.versions[at].manifest.resident {
            self.findings.push(format!(
                "component.{component}.canary: {} keeps a resident, so it has no new sessions of which it could take a share; it serves",
                self.versions[at].name()
            ));
            return None;
        }
        let held = self.verdicts.rollouts.get(component).and_then(|row| row.held.clone());
        if held.is_some_and(|held| held == self.versions[at].identity()) {
            return None;
        }
        // As the host starts, what served before it ended.
        let serves = self.active(component).or_else(|| {
            let identity = self.verdicts.rollouts.get(component)?.active.clone()?;
            let first = self.table.current().number == 0;
            first.then(|| self.shelved(&identity).ok()).flatten()
        })?;
        (serves != at && self.versions[serves].quarantine.is_none()).then_some(serves)
    }

    /// A version begins to be tried.
    pub(super) fn begin_trial(&mut self, at: usize) {
        let now = clock::instant();
        let active = self.active(&self.versions[at].manifest.name);
        let before =
            (self.versions[at].exchanges(), active.map(|at| self.versions[at].exchanges()).unwrap_or_default());
        let beside = active.map_or_else(String::new, |at| self.versions[at].name());
        let version = &mut self.versions[at];
        version.trial = Some(Trial { since: now, before, said: false });
        version.looked = version.look(now);
        notice::give(Notice::VersionTried, &format!("{} is tried beside {beside}", version.name()));
    }

    /// What was counted of a canary and of what serves, since it began.
    fn counted(&self, at: usize) -> Option<(Counted, Counted)> {
        let version = &self.versions[at];
        let trial = version.trial.as_ref()?;
        let active = &self.versions[self.active(&version.manifest.name)?];
        Some((version.exchanges().since(&trial.before.0), active.exchanges().since(&trial.before.1)))
    }

    /// Withdraws the canaries that do worse than what serves; those whose time is over serve.
    pub(super) fn judge_canaries(&mut self, now: Instant) {
        let canaries: Vec<usize> =
            (0..self.versions.len()).filter(|at| self.versions[*at].stage == Stage::Canary).collect();
        for at in canaries {
            let component = self.versions[at].manifest.name.clone();
            let Some(settings) = self.config.component(&component).canary else { continue };
            let Some((canary, active)) = self.counted(at) else { continue };
            let verdict = compare(&canary, &active, &settings);
            let version = &self.versions[at];
            let taken = version.look(now).taken;
            let Some(trial) = &version.trial else { continue };
            let over = settings.span.is_some_and(|span| now.duration_since(trial.since) >= span.get());
            // One whose protocol tells of no exchanges has its sessions to show. One that ends none where the other does has not.
            let tells_none = canary.ended() == 0 && active.ended() == 0;
            let enough = verdict == Verdict::Fit || tells_none && taken >= u64::from(settings.samples);
            match verdict {
                Verdict::Worse(why) => self.withdraw_failing(at, &why),
                _ if !over => {}
                _ if enough => {
                    let active = self.active(&component).unwrap_or(at);
                    if let Err(reason) = self.go(&[(active, at)], None) {
                        let name = self.versions[at].name();
                        notice::give(Notice::VersionFailing, &format!("{name}: it cannot serve: {reason}"));
                    }
                }
                _ if !trial.said => {
                    let reason = format!(
                        "{}: its time is over, and {} exchanges and {taken} sessions are too few to say how it does; \
                         `tandem promote {component}` has it serve",
                        version.name(),
                        canary.ended()
                    );
                    notice::give(Notice::CanaryUndecided, &reason);
                    if let Some(trial) = &mut self.versions[at].trial {
                        trial.said = true;
                    }
                }
                _ => {}
            }
        }
    }

    /// What `status` says of a canary.
    pub(super) fn canary_reason(&self, at: usize) -> Option<String> {
        let version = &self.versions[at];
        let settings =
            self.config.component(&version.manifest.name).canary.filter(|_| version.stage == Stage::Canary)?;
        let (canary, active) = self.counted(at)?;
        Some(format!(
            "it takes {} % of new sessions: {} exchanges, {} failed, nine in ten up to {} µs; of what serves {}, {}, {} µs",
            settings.share.get() * 100.0,
            canary.ended(),
            canary.failed(),
            canary.ninth_tenth(),
            active.ended(),
            active.failed(),
            active.ninth_tenth()
        ))
    }

    /// Withdraws a canary: what serves is held, until the files change.
    pub(super) fn withdraw(&mut self, at: usize, why: &str) -> Result<Rolled, String> {
        let (name, component) = (self.versions[at].name(), self.versions[at].manifest.name.clone());
        let active = self.active(&component).ok_or("nothing serves beside it")?;
        let rolled = self.go(&[(active, active)], Some(why))?;
        notice::give(Notice::VersionWithdrawn, &format!("{name}: {why}"));
        self.unload_if_idle(at);
        Ok(rolled)
    }

    /// … and quarantines it, for what it has done.
    pub(super) fn withdraw_failing(&mut self, at: usize, why: &str) {
        self.write_quarantine(at, why);
        match self.withdraw(at, why) {
            Ok(_) => self.quarantined(at, why),
            Err(reason) => {
                let name = self.versions[at].name();
                notice::give(Notice::VersionFailing, &format!("{name}: {why}; it is not withdrawn: {reason}"));
            }
        }
    }
}
