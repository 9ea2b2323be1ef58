//! Who holds a version, for `tandem sessions`, and what came of having them leave, for `tandem drain`.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who holds versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holders {
    /// How many sessions there are in all.
    pub count: u64,
    /// Some of them: first those that do not run on what serves their service, and of these the longest there.
    pub sessions: Vec<SessionStatus>,
    /// What else holds a version.
    pub others: Vec<OtherHolder>,
    /// What is missing: a worker that has not answered.
    pub findings: Vec<String>,
}

/// A session. Times are in nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionStatus {
    /// The version that it holds: `http@1.2.0#3fa9c1`.
    pub version: String,
    /// The service.
    pub service: String,
    /// The worker that it lives on.
    pub worker: usize,
    /// Its number.
    pub session: u64,
    /// The other side.
    pub peer: String,
    /// Since when it runs on that version.
    pub since: u64,
    /// Since when its connection stands.
    pub established: u64,
    /// Since when nothing has happened on it.
    pub idle_since: u64,
    /// What becomes of it when another version is active: `renew`, `carry` or `pin`.
    pub policy: String,
    /// What it waits for beside its peer.
    pub waits: Vec<String>,
    /// The key of the conversation that it is.
    pub conversation: Option<String>,
    /// Why it does not run on what serves its service; nothing where it does.
    pub stays: Option<String>,
    /// It was told to say goodbye, and is ended at this time.
    pub ends: Option<u64>,
    /// What another version would go on with, where that was asked for and the session is in the middle of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
}

/// What another version is given to go on with a session, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionState {
    /// MessagePack of how it was opened: service, peer, times.
    pub opening: String,
    /// MessagePack of its state. What a peer has shown to prove who it is may be in it.
    pub state: String,
}

/// What holds a version and is no session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherHolder {
    /// The version.
    pub version: String,
    /// The service; nothing where it is the version as a whole.
    pub service: Option<String>,
    /// What it is: `it serves`, `kept started for a way back`, `the conversation "c0ffee" is bound to it` …
    pub what: String,
}

/// What is to be drained, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainRequest {
    /// The component.
    pub component: String,
    /// `1.2.0`, or `1.2.0#3fa9c1`.
    pub version: String,
    /// Within how many milliseconds all are gone; what the configuration says, where it is not said.
    pub within_ms: Option<u64>,
    /// How fast they are told to say goodbye; what the configuration says, where it is not said.
    pub pace: Option<Pace>,
}

/// So many in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pace {
    of: u32,
    per_ms: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainReport {
    /// The version.
    pub version: String,
    /// How many of its sessions run on another version since.
    pub moved: u64,
    /// How many were told to say goodbye.
    pub told: u64,
    /// Of these, how many did not in their time, and were ended.
    pub overdue: u64,
    /// How many have ended before they were told.
    pub left: u64,
    /// How many are still there.
    pub remaining: u64,
    /// Where the version is in its life now, with the reason.
    pub stage: String,
    /// How long it took.
    pub took_ms: u64,
    /// What is not as it was asked for.
    pub findings: Vec<String>,
}

impl Pace {
    /// How long each of so many who tell waits between two.
    pub fn pause(self, by: usize) -> Duration {
        let by = u32::try_from(by).unwrap_or(u32::MAX);
        Duration::from_millis(self.per_ms.into()).saturating_mul(by) / self.of
    }
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate; one is written 100/s or 30/m");
        let (of, per) = text.split_once('/').ok_or_else(wrong)?;
        let per_ms = match per {
            "s" => 1000,
            "m" => 60_000,
            _ => return Err(wrong()),
        };
        match of.parse() {
            Ok(0) => Err("at a rate of 0 they would never go".to_owned()),
            Ok(of) => Ok(Pace { of, per_ms }),
            Err(_) => Err(wrong()),
        }
    }
}

impl DrainReport {
    /// Whether nothing of it runs any more.
    pub fn is_drained(&self) -> bool {
        self.remaining == 0
    }

    /// `12 moved, 3 told goodbye (1 of them ended, its time was up), 0 still there; it is retired`
    pub fn line(&self) -> String {
        let DrainReport { version, moved, told, overdue, left, remaining, stage, .. } = self;
        let part = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let overdue = part(*overdue, "of them ended, since their time was up");
        let told = part(*told, "told goodbye").map(|told| match overdue {
            Some(overdue) => format!("{told} ({overdue})"),
            None => told,
        });
        let parts = [part(*moved, "moved"), told, part(*left, "ended by themselves"), part(*remaining, "still there")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let sessions = if parts.is_empty() { "no sessions".to_owned() } else { parts.join(", ") };
        format!("{version}: {sessions}; it is {stage}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DrainReport, Pace};

    #[test]
    fn a_rate_is_that_of_all_who_tell_together() {
        let pause = |text: &str, by| text.parse::<Pace>().map(|pace| pace.pause(by));
        assert_eq!(pause("100/s", 1), Ok(Duration::from_millis(10)));
        assert_eq!(pause("100/s", 2), Ok(Duration::from_millis(20)));
        assert_eq!(pause("30/m", 1), Ok(Duration::from_secs(2)));
        for wrong in ["100", "0/s", "-1/s", "1/h", "1/", "/s", "many/s"] {
            assert!(pause(wrong, 1).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_came_of_it_is_one_line() {
        let report = DrainReport { version: "http@1.2.0#3fa9c1".to_owned(), ..DrainReport::default() };
        let stage = || "retired".to_owned();
        let none = DrainReport { stage: stage(), ..report.clone() };
        assert_eq!(none.line(), "http@1.2.0#3fa9c1: no sessions; it is retired");
        let some = DrainReport { moved: 12, told: 3, overdue: 1, left: 2, remaining: 1, stage: stage(), ..report };
        assert_eq!(
            some.line(),
            "http@1.2.0#3fa9c1: 12 moved, 3 told goodbye (1 of them ended, since their time was up), \
             2 ended by themselves, 1 still there; it is retired"
        );
    }
}
