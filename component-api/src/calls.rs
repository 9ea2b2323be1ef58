//! Calls between services: [`Call`] and [`Request`], what comes back, and whose secret something is: [`Account`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::component::Time;
use crate::named;
use crate::trace::Trace;

/// Which service is asked, how long the answer may take, and on whose behalf it is asked.
///
/// ```
/// use std::time::Duration;
/// use tandem_component::Call;
/// let soon = Call::to("smsc-a").within(Duration::from_secs(5)).account("acme");
/// # let _ = soon;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub(crate) service: &'a str,
    /// In nanoseconds.
    pub(crate) within: u64,
    pub(crate) account: &'a str,
    pub(crate) trace: Option<Trace>,
    pub(crate) label: &'a str,
}

impl<'a> Call<'a> {
    /// A service, by its name in the configuration; the answer within 30 seconds.
    pub fn to(service: &'a str) -> Self {
        Call { service, within: 30_000_000_000, account: "", trace: None, label: "" }
    }

    /// The answer within this time.
    #[must_use]
    pub fn within(mut self, span: Duration) -> Self {
        self.within = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// For this account. Left out, or empty: for that of the request which the event is about, where it is about one.
    #[must_use]
    pub fn account(mut self, account: &'a str) -> Self {
        self.account = account;
        self
    }

    /// With this label: a canary of the service may take such requests, where it has a session for each (`canary.labels`).
    #[must_use]
    pub fn label(mut self, label: &'a str) -> Self {
        self.label = label;
        self
    }

    /// As a part of this trace, of which nothing is known where there is none. Left out: of that of the request which the event is
    /// about, or one that begins here.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<Option<Trace>>) -> Self {
        self.trace = trace.into();
        self
    }
}

impl<'a> From<&'a str> for Call<'a> {
    fn from(service: &'a str) -> Self {
        Call::to(service)
    }
}

/// The host's number of a request; valid in every version. Data: it may be kept in the state until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// What another service asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub(crate) from: &'a str,
    pub(crate) asked: &'a [u8],
    pub(crate) account: &'a str,
    pub(crate) trace: Trace,
    pub(crate) deadline: Time,
}

impl<'a> Request<'a> {
    /// The service that asks: `esme`.
    pub fn from(&self) -> &'a str {
        self.from
    }

    /// Whose account it is for, as the one that asks has said; empty where it has said none.
    pub fn account(&self) -> &'a str {
        self.account
    }

    /// Until when there is somebody who waits for the answer. Then the request is [withdrawn](crate::Event::Withdrawn).
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// What it is a part of: the trace of the one that asks, with the call as its span. Its id is the same in all that follows.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// Reads what is asked.
    ///
    /// # Errors
    /// It is something else: answer so, the one that asks has made the mistake.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, Misfit> {
        read(self.asked)
    }
}

/// What a service has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a>(pub(crate) &'a [u8]);

impl<'a> Response<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// It is something else.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, Misfit> {
        read(self.0)
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Misfit> {
    named::read(bytes).map_err(|(path, why)| Misfit(format!("it does not fit at {path}: {why}")))
}

/// What another component has said is not what this one reads, and where. No `Fault` of this session, so it is not made one
/// by `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}

/// Why a call was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallFailure {
    /// The configuration has no such service, or its component takes no requests.
    Unknown,
    /// No session of it takes requests now: its connections are down.
    Down,
    /// Those that do have as many as they may have.
    Full,
    /// The time that the call had is up.
    TimedOut,
    /// The session that had it has ended without an answer. Whether what was asked has been done, nobody knows.
    Ended,
    /// It would be the ninth in a row: services call each other in a circle.
    TooDeep,
    /// The service's exchanges have to be admitted, and the session holds no admission of one.
    NotAdmitted,
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    pub(crate) name: &'a str,
}

impl<'a> Account<'a> {
    /// Its name in the configuration.
    pub fn name(&self) -> &'a str {
        self.name
    }
}
