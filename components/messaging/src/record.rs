//! The record of a message: one when it has its final state, whichever version has taken it, and whichever gives it that.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::State;

use crate::desk::Desk;
use crate::message::Message;

/// What there is to say of a message.
#[derive(Serialize)]
struct Fields<'a> {
    event: &'static str,
    message_id: &'a str,
    state: &'static str,
    source: &'a str,
    destination: &'a str,
    parts: u32,
    front: &'a str,
    network: &'a str,
    accepted_by: &'a str,
    error: &'a str,
    maybe_twice: bool,
    reference: &'a str,
}

/// Writes it. It says so once, but for a gateway that was killed before it was in the file.
pub(crate) fn record(message: &Message, out: &mut Out<'_, Desk>) {
    let text = message.text.as_ref().map_or(message.sms.short_message.len(), String::len);
    let record = Record {
        account: &message.account,
        duration: Duration::from_nanos(u64::try_from(took(message)).unwrap_or_default()),
        bytes_in: text as u64,
        span: message.trace.map(|trace| out.begin_span(Some(trace))),
        ..Record::of(outcome(message.state))
    };
    let fields = Fields {
        event: "message",
        message_id: &message.id,
        state: message.state.word(),
        source: &message.sms.source.digits,
        destination: &message.sms.destination.digits,
        parts: message.parts,
        front: &message.front,
        network: message.network.as_deref().unwrap_or_default(),
        accepted_by: &message.version,
        error: message.error.as_deref().unwrap_or_default(),
        maybe_twice: message.maybe_twice,
        reference: &message.reference,
    };
    out.record(record, &fields);
}

/// Tells the host of one that has no record.
pub(crate) fn tell(state: State, took: i64, out: &mut Out<'_, Desk>) {
    out.ended(outcome(state), Duration::from_nanos(u64::try_from(took).unwrap_or_default()));
}

/// In nanoseconds, how long it was on its way.
pub(crate) fn took(message: &Message) -> i64 {
    message.ended_at.unwrap_or(message.submitted_at).saturating_sub(message.submitted_at)
}

fn outcome(state: State) -> Outcome {
    match state {
        State::Delivered | State::Accepted => Outcome::Done,
        State::Deleted => Outcome::Abandoned,
        State::Rejected => Outcome::Refused,
        _ => Outcome::Failed,
    }
}
