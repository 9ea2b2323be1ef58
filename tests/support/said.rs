//! What `tandem … --json` prints, as structs. Keys that a test does not look at are passed over.

use serde::Deserialize;

/// What `tandem reload` says.
#[derive(Debug, Deserialize)]
pub struct Reload {
    /// Whether nothing was refused.
    pub ok: bool,
    /// The publication after it.
    pub publication: u64,
    /// Why nothing was looked at.
    pub error: Option<String>,
    /// What became of each file.
    pub files: Vec<File>,
    /// What else an operator should see to.
    pub findings: Vec<String>,
    /// The exit code of the command.
    #[serde(skip)]
    pub code: Option<i32>,
}

/// What became of a file in the components directory.
#[derive(Debug, Deserialize)]
pub struct File {
    /// Its name.
    pub file: String,
    /// `loaded`, `unchanged`, `refused`, `kept`, `ignored`.
    pub outcome: String,
    /// `http@1.2.0#3fa9c1`
    pub version: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What `tandem status` says.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// The gateway's process.
    pub pid: u32,
    /// The publication that serves.
    pub publication: u64,
    /// What came of it for the sessions, once all have followed.
    pub moves: Option<Moves>,
    /// Every version that the gateway knows of.
    pub versions: Vec<Version>,
    /// Every service of the configuration.
    pub services: Vec<Service>,
    /// What accounts have used of their agreements.
    pub agreements: Vec<Agreement>,
    /// Files that are refused.
    pub refused: Vec<Refused>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
}

/// What an account has used of one agreement and service.
#[derive(Debug, Deserialize)]
pub struct Agreement {
    /// The agreement.
    pub agreement: String,
    /// The account; empty where it is a group's.
    pub account: String,
    /// The service.
    pub service: String,
    /// Its quotas.
    pub quotas: Vec<Quota>,
    /// Exchanges that are held, and how many there may be.
    pub concurrent: (u64, Option<u64>),
    /// Sessions, and how many there may be.
    pub sessions: (u64, Option<u64>),
    /// How often something was refused.
    pub refused: u64,
}

/// How much of a quota is used.
#[derive(Debug, Deserialize)]
pub struct Quota {
    /// Of which period.
    pub period: String,
    /// How much.
    pub used: u64,
    /// Of how much.
    pub of: u64,
}

/// What came of a publication for the sessions that there were.
#[derive(Debug, Deserialize)]
pub struct Moves {
    /// How many were moved.
    pub moved: u64,
    /// How many were not.
    pub stay: u64,
    /// How long that took from the publication.
    pub took_ms: f64,
}

/// What `tandem stop` says.
#[derive(Debug, Deserialize)]
pub struct Stopping {
    /// The gateway's process, which is gone.
    pub pid: u32,
    /// How long sessions had, in milliseconds.
    pub within_ms: u64,
}

/// What `tandem status --ledger` says of a component.
#[derive(Debug, Deserialize)]
pub struct Ledger {
    /// The component.
    pub component: String,
    /// What became of all that each version has accepted.
    pub balances: Vec<Balance>,
}

/// What became of all that a version has accepted.
#[derive(Debug, Deserialize)]
pub struct Balance {
    /// The version.
    pub version: String,
    /// In whole.
    pub whole: Sums,
    /// Its parts.
    pub parts: Sums,
}

/// So many were accepted, and have come to this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Sums {
    /// All.
    pub accepted: i64,
    /// They have arrived.
    pub delivered: i64,
    /// They will not.
    pub rejected: i64,
    /// Their time was over first.
    pub expired: i64,
    /// They were taken back.
    pub cancelled: i64,
    /// They have not come to an end.
    pub pending: i64,
    /// Of these, so many that somebody else may have.
    pub uncertain: i64,
}

impl Sums {
    /// Whether each that was accepted is somewhere.
    pub fn add_up(&self) -> bool {
        self.accepted == self.delivered + self.rejected + self.expired + self.cancelled + self.pending
    }
}

/// What `tandem sessions` says.
#[derive(Debug, Deserialize)]
pub struct Holders {
    /// How many sessions there are.
    pub count: u64,
    /// Some of them.
    pub sessions: Vec<Holding>,
    /// What else holds a version.
    pub others: Vec<OtherHolder>,
}

/// A session that holds a version. Times are in nanoseconds since 1970.
#[derive(Debug, Deserialize)]
pub struct Holding {
    /// The version.
    pub version: String,
    /// The service.
    pub service: String,
    /// The worker.
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
    /// What becomes of it when another version is active.
    pub policy: String,
    /// What it waits for.
    pub waits: Vec<String>,
    /// Why it does not run on what serves its service.
    pub stays: Option<String>,
}

/// What holds a version and is no session.
#[derive(Debug, Deserialize)]
pub struct OtherHolder {
    /// The version.
    pub version: String,
    /// The service.
    pub service: Option<String>,
    /// What it is.
    pub what: String,
}

/// What `tandem drain` says.
#[derive(Debug, Deserialize)]
pub struct Drained {
    /// The version.
    pub version: String,
    /// How many sessions have moved.
    pub moved: u64,
    /// How many were told to say goodbye …
    pub told: u64,
    /// … and were ended since they did not.
    pub overdue: u64,
    /// How many have ended by themselves.
    pub left: u64,
    /// How many are still there.
    pub remaining: u64,
    /// Where the version is in its life now.
    pub stage: String,
    /// How long it took.
    pub took_ms: u64,
    /// What is not as it was asked for.
    pub findings: Vec<String>,
}

/// A version, as the gateway knows it.
#[derive(Debug, Deserialize)]
pub struct Version {
    /// `http@1.0.0#3fa9c1`
    pub version: String,
    /// `http`
    pub component: String,
    /// `1.0.0`
    pub number: String,
    /// Its content.
    pub digest: String,
    /// Where it is in its life.
    pub stage: String,
    /// Why, where there is a reason.
    pub reason: Option<String>,
    /// How many sessions run it.
    pub sessions: u64,
    /// How many bytes it has allocated and not freed.
    pub memory: Option<u64>,
    /// How many events took it too long.
    pub overruns: u64,
}

/// A service.
#[derive(Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The version that serves new sessions.
    pub version: Option<String>,
    /// The connections that it keeps.
    pub connect: Vec<Connection>,
}

/// A connection that a service keeps.
#[derive(Debug, Deserialize)]
pub struct Connection {
    /// Where to.
    pub address: String,
    /// The worker that keeps it.
    pub worker: usize,
    /// `up`, `down`, `connecting`, `unserved`
    pub stage: String,
    /// Since when it is up, in nanoseconds since 1970.
    pub up_since: Option<u64>,
    /// In how many milliseconds it is tried again.
    pub next_try_ms: Option<u64>,
    /// Why it was last down.
    pub reason: Option<String>,
}

/// A file that is refused.
#[derive(Debug, Deserialize)]
pub struct Refused {
    /// Its name.
    pub file: String,
    /// Why, and what to do.
    pub reason: String,
}

/// A kind of notice, how often it was given, and the last reason.
#[derive(Debug, Deserialize)]
pub struct Notice {
    /// `version-refused`
    pub notice: String,
    /// How often.
    pub count: u64,
    /// The last reason.
    pub last: String,
}

impl Reload {
    /// What became of a file.
    ///
    /// # Panics
    /// Where nothing is said of it.
    pub fn file(&self, name: &str) -> &File {
        let found = self.files.iter().find(|found| found.file == name);
        found.unwrap_or_else(|| panic!("nothing is said of {name}: {self:?}"))
    }
}

impl Status {
    /// The versions of a component that are in a stage.
    pub fn numbers(&self, component: &str, stage: &str) -> Vec<&str> {
        let there = |version: &&Version| version.component == component && version.stage == stage;
        self.versions.iter().filter(there).map(|version| version.number.as_str()).collect()
    }

    /// The connections that a service keeps.
    ///
    /// # Panics
    /// Where there is no such service.
    pub fn connections(&self, service: &str) -> &[Connection] {
        let found = self.services.iter().find(|found| found.name == service);
        &found.unwrap_or_else(|| panic!("there is no service {service}: {self:?}")).connect
    }

    /// The last reason of a kind of notice.
    pub fn notice(&self, kind: &str) -> Option<&str> {
        self.notices.iter().find(|notice| notice.notice == kind).map(|notice| notice.last.as_str())
    }

    /// How often a kind of notice was given.
    pub fn count(&self, kind: &str) -> u64 {
        self.notices.iter().find(|notice| notice.notice == kind).map_or(0, |notice| notice.count)
    }
}
