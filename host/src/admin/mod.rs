//! The admin interface: HTTP and JSON on a socket in the data directory, which is the host's alone, and where the configuration says. The
//! command line asks there as anybody may; `/openapi.json` describes it.

mod account;
mod agreement;
mod client;
mod dashboard;
mod exchanges;
mod guard;
mod holders;
mod metrics;
mod problem;
mod routes;
mod server;
mod watch;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::observe::notice::Tally;
use crate::store::Migration;
use crate::store::ledger::Balance;

pub use account::{AccountRequest, AccountStatus, Changed, From};
pub use agreement::{AgreementStatus, QuotaStatus, RateStatus};
pub use client::{AdminError, ask, ask_for, stop};
pub use exchanges::{ExchangesStatus, SpanStatus};
pub use holders::{DrainReport, DrainRequest, Holders, OtherHolder, Pace, SessionState, SessionStatus};
pub use problem::Problem;
pub use server::{Beside, serve};
pub use watch::{Told, watch};

/// Who has asked, and waits for the answer.
pub type Reply = oneshot::Sender<Answer>;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Do what SIGHUP does, and say what became of each file.
    Reload,
    /// Say how things are.
    Status,
    /// Say what was ever added to the tables of components.
    Schema,
    /// Say what became of all that components have accepted.
    Ledger,
    /// Go back to the version of a component that served before.
    Rollback(RollbackRequest),
    /// Have a version of a component serve, and hold it; without one the newest, and hold none.
    Promote(PromoteRequest),
    /// Say who holds versions.
    Sessions {
        /// Those of this component or version: `http`, `http@1.2.0`, `http@1.2.0#3fa9c1`; all where it is not said.
        named: Option<String>,
        /// So many sessions at most.
        most: usize,
        /// With what another version would go on with.
        states: bool,
    },
    /// Have the sessions of a version leave it. It is answered once that is over.
    Drain(DrainRequest),
    /// Say which accounts there are, or change them.
    Account(AccountRequest),
    /// Do what SIGTERM does. The connection then stays until the host's process is gone.
    Stop,
}

/// What is to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The component: `http`
    pub component: String,
}

/// What is to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// The component: `http`
    pub component: String,
    /// `1.2.0`, or `1.2.0#3fa9c1`, which is held; where it is not said the newest serves, and none is held.
    pub version: Option<String>,
}

/// What a reload came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Nothing was refused.
    pub ok: bool,
    /// The publication that holds now.
    pub publication: u64,
    /// Why nothing was changed at all, where that is so.
    pub error: Option<String>,
    /// One for each file found.
    pub files: Vec<FileReport>,
    /// What else is not as an operator would want it: a service that nothing serves, a worker that does not follow.
    pub findings: Vec<String>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileReport {
    /// Its name in the components directory.
    pub file: String,
    /// In a word.
    pub outcome: Outcome,
    /// The version in it, where it could be read: `http@1.2.0#3fa9c1`.
    pub version: Option<String>,
    /// Why, and what to do, where it is not simply loaded or unchanged.
    pub reason: Option<String>,
}

/// What became of a file, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its version is active, and was not before.
    Loaded,
    /// Its version takes a share of new sessions, to see how it does.
    Tried,
    /// Its version is active as before.
    Unchanged,
    /// Its version does not serve, since another is preferred.
    Kept,
    /// It is no library by its name, and was passed over.
    Ignored,
    /// It will not serve.
    Refused,
}

/// What a rollback or a promotion came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rolled {
    /// The publication that holds now.
    pub publication: u64,
    /// Each component that it was about.
    pub changes: Vec<RolledOne>,
    /// What is not as an operator would want it.
    pub findings: Vec<String>,
}

/// One component of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolledOne {
    /// Which.
    pub component: String,
    /// The version that served.
    pub from: String,
    /// The one that serves now.
    pub to: String,
}

/// How things are.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The host's process.
    pub pid: u32,
    /// When it began, in nanoseconds since 1970.
    #[serde(default)]
    pub since: u64,
    /// Publications so far.
    pub publication: u64,
    /// What came of the last one for the sessions that there were; nothing while they are on their way.
    pub moves: Option<MovesStatus>,
    /// Worker threads.
    pub workers: usize,
    /// Every version that is not gone without a trace, newest first.
    pub versions: Vec<VersionStatus>,
    /// Every service.
    pub services: Vec<ServiceStatus>,
    /// Every upstream.
    #[serde(default)]
    pub upstreams: Vec<UpstreamStatus>,
    /// What accounts have used of their agreements, the fullest first.
    pub agreements: Vec<AgreementStatus>,
    /// How many more of them there are.
    pub agreements_left_out: usize,
    /// What the last reload refused.
    pub refused: Vec<Refused>,
    /// Why the last reload changed nothing at all, where that is so.
    pub reload_error: Option<String>,
    /// Notices since the start.
    pub notices: Vec<Tally>,
}

/// What came of a publication for the sessions that there were.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct MovesStatus {
    /// Its number.
    pub publication: u64,
    /// How many run on another instance since.
    pub moved: u64,
    /// How many do not run on the one that serves.
    pub stay: u64,
    /// How long that took from the publication to the last of them.
    pub took_ms: f64,
}

/// One version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionStatus {
    /// `http@1.2.0#3fa9c1`
    pub version: String,
    /// `http`
    pub component: String,
    /// `1.2.0`
    pub number: String,
    /// The whole digest.
    pub digest: String,
    /// Where it is in its life.
    pub stage: String,
    /// Why, where it is refused or lingers.
    pub reason: Option<String>,
    /// How many bytes its library has allocated and not freed; nothing where it is not loaded, or does not count.
    pub memory: Option<u64>,
    /// It is loaded and does not count: it is of an earlier revision of the API, or has an allocator of its own.
    pub uncounted: bool,
    /// Sessions that run on it.
    pub sessions: u64,
    /// Sessions that it took over all in all.
    pub taken: u64,
    /// Panics and faults.
    pub failures: u64,
    /// Panics alone.
    #[serde(default)]
    pub panics: u64,
    /// Events that took longer than `overrun.report`.
    #[serde(default)]
    pub overruns: u64,
    /// The exchanges that it has told of; nothing where there were none.
    #[serde(default)]
    pub exchanges: Option<ExchangesStatus>,
    /// The services that it serves, or still has sessions of.
    pub services: Vec<String>,
}

/// One service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// The component that serves it.
    pub component: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// The connections that it keeps.
    pub connect: Vec<ConnectionStatus>,
    /// The active version, where there is one.
    pub version: Option<String>,
}

/// One upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Its servers.
    pub servers: Vec<ServerStatus>,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerStatus {
    /// Where it is.
    pub address: String,
    /// It has failed too often, and is left out for a while.
    pub ejected: bool,
}

/// One connection that a service keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionStatus {
    /// Where to.
    pub address: String,
    /// Which of those to this address, from 0.
    pub nth: usize,
    /// The worker that keeps it.
    pub worker: usize,
    /// What it does.
    pub stage: ConnectionStage,
    /// Since when it is up, in nanoseconds since 1970.
    pub up_since: Option<u64>,
    /// In how many milliseconds it is tried again, where it is down.
    pub next_try_ms: Option<u64>,
    /// Why it was last down.
    pub reason: Option<String>,
}

/// What a connection does, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionStage {
    /// Nothing: no version serves its service.
    Unserved,
    /// It is being made.
    Connecting,
    /// It is up.
    Up,
    /// It is down, and waits for the next try.
    Down,
}

/// What became of all that a component has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerStatus {
    /// The component.
    pub component: String,
    /// By the version that has accepted it.
    pub balances: Vec<Balance>,
}

/// A file that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// Its name in the components directory.
    pub file: String,
    /// Why, and what to do.
    pub reason: String,
}

/// What the host says before it stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stopping {
    /// The host's process.
    pub pid: u32,
    /// How long what is under way gets, in milliseconds.
    pub within_ms: u64,
}

impl Stopping {
    /// How long what is under way gets.
    pub fn within(&self) -> Duration {
        Duration::from_millis(self.within_ms)
    }
}

/// What the host answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To a reload.
    Reload(Report),
    /// To a status.
    Status(Box<Status>),
    /// Every change to the tables, oldest first.
    Schema(Vec<Migration>),
    /// What became of all that components have accepted, by component.
    Ledger(Vec<LedgerStatus>),
    /// Every account, by name.
    Accounts(Vec<AccountStatus>),
    /// To a change of an account.
    Account(Changed),
    /// Who holds versions.
    Holders(Holders),
    /// What came of draining one.
    Drained(DrainReport),
    /// Versions were followed by others.
    Rolled(Rolled),
    /// It was not done, and why.
    Refused(String),
    /// To a stop.
    Stop(Stopping),
    /// The request was not understood.
    Unknown(String),
}
