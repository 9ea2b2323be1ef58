//! The record of one exchange: what each says, whatever the protocol, is a [`Record`].

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::trace::Span;

/// What the record of an exchange says whatever the protocol. The rest is the component's: see [`Out::record`](crate::Out::record).
///
/// ```
/// use std::time::Duration;
/// use tandem_component::{Outcome, Record};
/// let record = Record { account: "acme", duration: Duration::from_millis(3), bytes_in: 120, ..Record::of(Outcome::Done) };
/// assert_eq!((record.account, record.bytes_out), ("acme", 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Record<'a> {
    /// Whose exchange it was; empty where nobody has authenticated.
    pub account: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took; as `duration_us` in whole microseconds.
    #[serde(rename = "duration_us", serialize_with = "microseconds")]
    pub duration: Duration,
    /// How many bytes came in for it.
    pub bytes_in: u64,
    /// How many bytes went out.
    pub bytes_out: u64,
    /// Which step of a trace it is. Where it is left out, one that follows from the request which the event is about.
    #[serde(flatten, serialize_with = "crate::trace::write_flat")]
    pub span: Option<Span>,
}

impl Record<'_> {
    /// Of an exchange without an account, that took no time and moved nothing.
    pub const fn of(outcome: Outcome) -> Self {
        Record { account: "", outcome, duration: Duration::ZERO, bytes_in: 0, bytes_out: 0, span: None }
    }
}

/// How an exchange ended. What that means in the protocol's own words is among the component's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done what was asked.
    Done,
    /// It was not, and whoever has asked is to ask otherwise.
    Refused,
    /// It was not, for a reason of ours or of those behind us.
    Failed,
    /// Whoever has asked went before it was over.
    Abandoned,
}

fn microseconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// A record with the fields of the component.
#[derive(Serialize)]
pub(crate) struct Whole<'a, R> {
    #[serde(flatten)]
    pub(crate) record: Record<'a>,
    #[serde(flatten)]
    pub(crate) more: &'a R,
}
