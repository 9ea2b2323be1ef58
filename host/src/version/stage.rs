//! The life of a version, as a pure function: where it is, what happens, where it is then.
//!
//! ```text
//! found ─▶ examined ─▶ staged ─▶ (canary ─▶) active ─▶ draining ─▶ retired
//!   │          │          │        ▲  ▲        │  ▲        │
//!   └──────────┴──────────┴▶ refused  └─ again ┘  └── lingering
//!                          ▶ withdrawn
//!                          ▶ quarantined
//! ```
//! A version that drains may become active again (an older file copied over a newer one); one that is kept for rollback
//! goes back to staged when its last session has gone; one that is refused after it was loaded, and stays mapped, lingers. One that
//! has failed at work is quarantined once nothing of it is loaded: it is not tried again before an operator says so. One that would serve,
//! if an operator's word did not hold another, is withdrawn once nothing of it is loaded, and is found again when that is over.

use std::fmt;

/// Where a version is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Seen in the components directory and copied to the shelf.
    Found,
    /// A child process has opened, checked and tried it.
    Examined,
    /// Loaded and started; serves no new sessions.
    Staged,
    /// A share of new sessions runs it, to see how it does.
    Canary,
    /// New sessions run it.
    Active,
    /// Another is active; sessions of this one are still there.
    Draining,
    /// Its last session has gone and its library is unmapped.
    Retired,
    /// It will not serve, for this reason.
    Refused(String),
    /// An operator's word holds another, for this reason; it serves once that is over.
    Withdrawn(String),
    /// It has failed at work, and is not tried again: for this reason.
    Quarantined(String),
    /// It is retired, but still mapped, for this reason.
    Lingering(String),
}

/// What happens to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It lies in the components directory again, or still.
    Find,
    /// The examination has passed it.
    Pass,
    /// It was loaded and started for every service.
    Load,
    /// A publication names it beside another, for a share of new sessions.
    Try,
    /// A publication names it.
    Publish,
    /// A publication names another, or none.
    Supersede,
    /// It serves nothing new, but conversations are bound to it.
    Bind,
    /// Its last lease is gone, and it is kept for rollback.
    Keep,
    /// Its last lease is gone, and its library was seen to be unmapped.
    Unmap,
    /// Its last lease is gone, but its library stays mapped.
    Linger(String),
    /// It is not to serve.
    Refuse(String),
    /// It is not to serve for as long as another is held.
    Withdraw(String),
    /// It is not to serve before an operator says so.
    Quarantine(String),
}

/// A step that cannot follow on a stage: a bug in the host.
#[derive(Debug, PartialEq, Eq)]
pub struct Impossible {
    /// Where the version was.
    pub stage: Stage,
    /// What was to happen.
    pub step: Step,
}

impl Stage {
    /// Where a version is after a step.
    ///
    /// # Errors
    /// The step cannot follow on the stage.
    pub fn after(self, step: Step) -> Result<Stage, Impossible> {
        match (self, step) {
            // What was refused is tried again by each reload: the configuration may have been what was wrong.
            (Stage::Refused(_) | Stage::Withdrawn(_) | Stage::Quarantined(_), Step::Find) => Ok(Stage::Found),
            (Stage::Found, Step::Pass) => Ok(Stage::Examined),
            // Retired and lingering versions load again from the shelf: their content has been passed.
            // One that was refused while it was loaded is loaded still.
            (
                Stage::Examined
                | Stage::Retired
                | Stage::Lingering(_)
                | Stage::Refused(_)
                | Stage::Withdrawn(_)
                | Stage::Quarantined(_),
                Step::Load,
            ) => Ok(Stage::Staged),
            (Stage::Staged | Stage::Draining | Stage::Canary, Step::Try) => Ok(Stage::Canary),
            (Stage::Staged | Stage::Draining | Stage::Canary, Step::Publish) => Ok(Stage::Active),
            (Stage::Active, Step::Publish) => Ok(Stage::Active),
            (Stage::Active | Stage::Canary, Step::Supersede) => Ok(Stage::Draining),
            (Stage::Staged | Stage::Draining, Step::Bind) => Ok(Stage::Draining),
            (Stage::Draining, Step::Keep) => Ok(Stage::Staged),
            (Stage::Staged | Stage::Draining | Stage::Lingering(_), Step::Unmap) => Ok(Stage::Retired),
            (
                Stage::Staged
                | Stage::Draining
                | Stage::Lingering(_)
                | Stage::Refused(_)
                | Stage::Withdrawn(_)
                | Stage::Quarantined(_),
                Step::Linger(reason),
            ) => Ok(Stage::Lingering(reason)),
            // One that was active or drains is not refused: what it serves, it serves to the end.
            (
                Stage::Found
                | Stage::Examined
                | Stage::Staged
                | Stage::Retired
                | Stage::Lingering(_)
                | Stage::Refused(_)
                | Stage::Withdrawn(_),
                Step::Refuse(reason),
            ) => Ok(Stage::Refused(reason)),
            // What is loaded still, for a way forward, is staged.
            (Stage::Found | Stage::Examined | Stage::Retired | Stage::Withdrawn(_), Step::Withdraw(reason)) => {
                Ok(Stage::Withdrawn(reason))
            }
            (
                Stage::Found
                | Stage::Examined
                | Stage::Staged
                | Stage::Retired
                | Stage::Refused(_)
                | Stage::Withdrawn(_)
                | Stage::Quarantined(_),
                Step::Quarantine(reason),
            ) => Ok(Stage::Quarantined(reason)),
            (stage, step) => Err(Impossible { stage, step }),
        }
    }

    /// The word that an operator reads.
    pub fn word(&self) -> &'static str {
        match self {
            Stage::Found => "found",
            Stage::Examined => "examined",
            Stage::Staged => "staged",
            Stage::Canary => "canary",
            Stage::Active => "active",
            Stage::Draining => "draining",
            Stage::Retired => "retired",
            Stage::Refused(_) => "refused",
            Stage::Withdrawn(_) => "withdrawn",
            Stage::Quarantined(_) => "quarantined",
            Stage::Lingering(_) => "lingering",
        }
    }

    /// Why, where there is a reason.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Stage::Refused(reason)
            | Stage::Withdrawn(reason)
            | Stage::Quarantined(reason)
            | Stage::Lingering(reason) => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        self.reason().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, Step};

    /// Every stage against every step: what is not listed here is impossible.
    #[test]
    fn each_row_of_the_life_of_a_version() {
        let why = || String::from("why");
        let rows = [
            (Stage::Refused(why()), Step::Find, Stage::Found),
            (Stage::Found, Step::Pass, Stage::Examined),
            (Stage::Found, Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Examined, Step::Load, Stage::Staged),
            (Stage::Examined, Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Staged, Step::Try, Stage::Canary),
            (Stage::Draining, Step::Try, Stage::Canary),
            (Stage::Canary, Step::Try, Stage::Canary),
            (Stage::Canary, Step::Publish, Stage::Active),
            (Stage::Canary, Step::Supersede, Stage::Draining),
            (Stage::Staged, Step::Publish, Stage::Active),
            (Stage::Staged, Step::Bind, Stage::Draining),
            (Stage::Staged, Step::Unmap, Stage::Retired),
            (Stage::Staged, Step::Linger(why()), Stage::Lingering(why())),
            (Stage::Staged, Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Active, Step::Publish, Stage::Active),
            (Stage::Active, Step::Supersede, Stage::Draining),
            (Stage::Draining, Step::Publish, Stage::Active),
            (Stage::Draining, Step::Bind, Stage::Draining),
            (Stage::Draining, Step::Keep, Stage::Staged),
            (Stage::Draining, Step::Unmap, Stage::Retired),
            (Stage::Draining, Step::Linger(why()), Stage::Lingering(why())),
            (Stage::Retired, Step::Load, Stage::Staged),
            (Stage::Retired, Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Lingering(why()), Step::Load, Stage::Staged),
            (Stage::Lingering(why()), Step::Unmap, Stage::Retired),
            (Stage::Lingering(why()), Step::Linger(why()), Stage::Lingering(why())),
            (Stage::Lingering(why()), Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Refused(why()), Step::Linger(why()), Stage::Lingering(why())),
            (Stage::Refused(why()), Step::Load, Stage::Staged),
            (Stage::Refused(why()), Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Found, Step::Quarantine(why()), Stage::Quarantined(why())),
            (Stage::Examined, Step::Quarantine(why()), Stage::Quarantined(why())),
            (Stage::Staged, Step::Quarantine(why()), Stage::Quarantined(why())),
            (Stage::Retired, Step::Quarantine(why()), Stage::Quarantined(why())),
            (Stage::Refused(why()), Step::Quarantine(why()), Stage::Quarantined(why())),
            (Stage::Quarantined(why()), Step::Quarantine(why()), Stage::Quarantined(why())),
            (Stage::Quarantined(why()), Step::Find, Stage::Found),
            (Stage::Quarantined(why()), Step::Load, Stage::Staged),
            (Stage::Quarantined(why()), Step::Linger(why()), Stage::Lingering(why())),
            (Stage::Found, Step::Withdraw(why()), Stage::Withdrawn(why())),
            (Stage::Examined, Step::Withdraw(why()), Stage::Withdrawn(why())),
            (Stage::Retired, Step::Withdraw(why()), Stage::Withdrawn(why())),
            (Stage::Withdrawn(why()), Step::Withdraw(why()), Stage::Withdrawn(why())),
            (Stage::Withdrawn(why()), Step::Find, Stage::Found),
            (Stage::Withdrawn(why()), Step::Load, Stage::Staged),
            (Stage::Withdrawn(why()), Step::Linger(why()), Stage::Lingering(why())),
            (Stage::Withdrawn(why()), Step::Refuse(why()), Stage::Refused(why())),
            (Stage::Withdrawn(why()), Step::Quarantine(why()), Stage::Quarantined(why())),
        ];
        let stages = [
            Stage::Found,
            Stage::Examined,
            Stage::Staged,
            Stage::Canary,
            Stage::Active,
            Stage::Draining,
            Stage::Retired,
            Stage::Refused(why()),
            Stage::Withdrawn(why()),
            Stage::Quarantined(why()),
            Stage::Lingering(why()),
        ];
        let steps = [
            Step::Find,
            Step::Pass,
            Step::Load,
            Step::Try,
            Step::Publish,
            Step::Supersede,
            Step::Bind,
            Step::Keep,
            Step::Unmap,
            Step::Linger(why()),
            Step::Refuse(why()),
            Step::Withdraw(why()),
            Step::Quarantine(why()),
        ];
        for stage in &stages {
            for step in &steps {
                let row = rows.iter().find(|row| row.0 == *stage && row.1 == *step);
                let after = stage.clone().after(step.clone()).ok();
                assert_eq!(after.as_ref(), row.map(|row| &row.2), "{stage} and {step:?}");
            }
        }
    }
}
