//! Notices: a closed list of what an operator should know, each counted, each with the last reason.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::time_of_day;

/// One kind of notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Notice {
    /// A new version serves.
    VersionActive,
    /// A version was refused.
    VersionRefused,
    /// A version's last session has gone and it is unmapped.
    VersionRetired,
    /// Sessions have left a version, as `tandem drain` has asked.
    VersionDrained,
    /// A version is retired but stays mapped.
    VersionLingering,
    /// A new version takes a share of new sessions, to see how it does.
    VersionTried,
    /// … and takes none any more: an operator has said so, or it did worse than the one that serves.
    VersionWithdrawn,
    /// The time of a canary is over, and there is too little of it to say how it does.
    CanaryUndecided,
    /// A version was followed by another without a reload: an operator has said so, or it has failed at work.
    VersionRolled,
    /// A version has failed at work too often: it was taken back, and does not serve again before an operator says so.
    VersionQuarantined,
    /// A version fails at work too often, and there is none to go back to.
    VersionFailing,
    /// A version that was held is held no more, since the component's files have changed.
    HoldEnded,
    /// A library was unloaded and had not freed all that it had allocated.
    MemoryLeaked,
    /// A version has allocated more than the soft limit of its component.
    MemoryAboveSoft,
    /// A version was to allocate more than the hard limit, and a worker is kept inside of it.
    MemoryExhausted,
    /// Two files have one name and number; the newer one counts.
    VersionReplaced,
    /// The kernel lacks something of what an examination is confined by.
    ExaminationUnconfined,
    /// A file in the components directory was passed over.
    FileIgnored,
    /// A reload changed nothing, because of the configuration or the directory.
    ReloadRefused,
    /// Sessions have followed a publication.
    SessionsMoved,
    /// A session stays with its version, because the newer one refused it.
    MoveRefused,
    /// A component refused to open a session.
    SessionRefused,
    /// A session was ended because its component panicked, gave up or broke a rule.
    SessionBroken,
    /// The run before was ended by a component, or by a bug of the host.
    Crashed,
    /// A component takes longer over one event than it may: it is still at it.
    EventOverrun,
    /// A component did not come back, and another worker has taken over all but that session.
    WorkerTakenOver,
    /// … and now the thread that was given up has come back.
    ThreadReturned,
    /// A worker takes no publication: a component does not give it back.
    WorkerStuck,
    /// A connection came for a service that no version serves.
    ServiceDown,
    /// A connection could not be accepted: out of descriptors or memory.
    AcceptFailed,
    /// TLS was not agreed on, with somebody who has connected (also to the admin interface) or with a server of an upstream.
    HandshakeFailed,
    /// Somebody has connected where proxies say on behalf of whom they do, and is none of them, or has not said so.
    ProxyRefused,
    /// A call between services was not answered.
    CallFailed,
    /// Datagrams were dropped.
    DatagramLost,
    /// A connection that a service keeps is down.
    ConnectorDown,
    /// … and now it is up.
    ConnectorUp,
    /// A server of an upstream is left out for a while.
    ServerEjected,
    /// Records were dropped, because they could not be written as fast as they came.
    RecordsLost,
    /// Spans of traces were dropped: a collector did not take them, or not as fast as they came.
    TracesLost,
    /// Nothing can be written to the store.
    StoreFailing,
    /// … and now it can again.
    StoreBack,
    /// A version has added to the tables.
    SchemaGrown,
    /// A keyed conversation goes on with another version than the one that it was bound to, or is not bound.
    BindingMoved,
    /// A conversation has lost its binding, and what was saved of it: there were as many as there may be.
    BindingDropped,
    /// A secret was not that of the account, or the account may not use the service.
    AuthenticationFailed,
    /// A secret was not looked at: too many were, or the accounts could not be read.
    AuthenticationPutOff,
    /// An agreement has refused an account something.
    AgreementRefused,
    /// A session was to call, dial or forward without the admission that its service requires.
    AdmissionMissing,
    /// What a version has accepted is not what has become of it: see `tandem status --ledger`.
    LedgerUnbalanced,
    /// Whether it is cannot be read.
    LedgerUnread,
    /// The counts of an agreement cannot be kept, so nothing is admitted that needs more of them.
    AgreementFailing,
}

impl Notice {
    /// Whether it says that something went its way, and there is nothing to look at.
    pub fn goes_its_way(self) -> bool {
        matches!(
            self,
            Notice::VersionActive
                | Notice::VersionDrained
                | Notice::VersionRetired
                | Notice::ConnectorUp
                | Notice::SessionsMoved
                | Notice::SchemaGrown
        )
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The one spelling, from serde's names.
        let word = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(word.trim_matches('"'))
    }
}

/// How often, and the last reason.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tally {
    /// Which.
    pub notice: Notice,
    /// How often since the start.
    pub count: u64,
    /// The last reason.
    pub last: String,
}

/// A notice as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Said {
    /// Which of all those that were said since the start.
    pub number: u64,
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// Which.
    pub notice: Notice,
    /// How often it was given since the start; more than one since it was last said, where it comes in a flood.
    pub count: u64,
    /// The reason.
    pub reason: String,
}

/// So many notices are kept for who begins to listen.
const KEPT: usize = 256;

/// What was said last, and who listens.
struct Heard {
    number: u64,
    last: VecDeque<Said>,
    listeners: broadcast::Sender<Said>,
}

static HEARD: LazyLock<Mutex<Heard>> = LazyLock::new(|| {
    Mutex::new(Heard { number: 0, last: VecDeque::with_capacity(KEPT), listeners: broadcast::Sender::new(KEPT) })
});

/// The last notices, and those that follow on them.
pub fn listen() -> (VecDeque<Said>, broadcast::Receiver<Said>) {
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    (heard.last.clone(), heard.listeners.subscribe())
}

fn say(notice: Notice, count: u64, reason: &str) {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.number += 1;
    let said = Said { number: heard.number, at: time_of_day(), notice, count, reason: reason.to_owned() };
    if heard.last.len() == KEPT {
        heard.last.pop_front();
    }
    heard.last.push_back(said.clone());
    // There may be nobody.
    let _ = heard.listeners.send(said);
}

static TALLIES: Mutex<BTreeMap<Notice, (u64, String)>> = Mutex::new(BTreeMap::new());

/// Counts a notice and writes it into the log. Notices of one kind that come in a flood are all counted, but only the
/// first and each hundredth after the hundredth are logged.
pub fn give(notice: Notice, reason: &str) {
    let count = {
        let mut tallies = TALLIES.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(notice).or_default();
        tally.0 += 1;
        reason.clone_into(&mut tally.1);
        tally.0
    };
    if count > 100 && !count.is_multiple_of(100) {
        return;
    }
    say(notice, count, reason);
    if notice.goes_its_way() {
        tracing::info!(%notice, count, "{reason}");
    } else {
        tracing::warn!(%notice, count, "{reason}");
    }
}

/// All notices that were given since the start.
pub fn tallies() -> Vec<Tally> {
    let tallies = TALLIES.lock().unwrap_or_else(PoisonError::into_inner);
    tallies.iter().map(|(notice, (count, last))| Tally { notice: *notice, count: *count, last: last.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_is_told_of_in_the_documentation() {
        let text = include_str!("../../../docs/events.md");
        // What serde says of a word that is none names all that are.
        let unknown = serde_json::from_str::<Notice>("\"?\"").unwrap_err().to_string();
        let (_, words) = unknown.split_once("expected one of").unwrap();
        let notices: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
        assert!(notices.contains(&"version-active") && notices.len() > 40, "{unknown}");
        let mut wrong = Vec::new();
        let mut told = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let ["", name, level, what, to_do, ""] = cells[..] else { panic!("five bars make a line: {line}") };
            let name = name.trim_matches('`');
            if what.is_empty() || (to_do.is_empty() && level == "warn" && !NOTHING_TO_DO.contains(&name)) {
                wrong.push(format!("of {name} it is not told what it means, or what to do"));
            }
            if told.insert(name, level).is_some() {
                wrong.push(format!("{name} is there twice"));
            }
        }
        for name in notices {
            let notice: Notice = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            let level = if notice.goes_its_way() { "info" } else { "warn" };
            match told.remove(name) {
                None => {
                    wrong.push(format!("no line tells of it: | `{name}` | {level} | what has happened | what to do |"))
                }
                Some(told) if told != level => wrong.push(format!("{name} is given as {level}, not {told}")),
                Some(_) => {}
            }
        }
        wrong.extend(told.keys().map(|name| format!("{name} is no notice")));
        assert!(wrong.is_empty(), "docs/events.md:\n{}", wrong.join("\n"));
    }

    /// They say that something has ended.
    const NOTHING_TO_DO: [&str; 2] = ["hold-ended", "store-back"];
}
