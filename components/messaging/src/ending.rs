//! A message gets its final state: once, whoever finds it. Then it is counted, and its front is told.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::State;

use crate::Messaging;
use crate::desk::Desk;
use crate::message::{MESSAGES, Message, Phase, after, nanos};
use crate::record::record;
use crate::then::Then;
use crate::totals::count_ended;
use crate::waiting::count_gone;

#[derive(Serialize)]
struct Enroute<'a> {
    id: &'a str,
    state: State,
    #[serde(flatten)]
    found: Option<Found>,
}

/// As whoever does something about a message has found it or left it: if it is otherwise, somebody else has it now.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Found {
    pub(crate) phase: Phase,
    pub(crate) due_at: i64,
}

#[derive(Serialize)]
struct End<'a> {
    state: State,
    phase: Phase,
    due_at: i64,
    run: i64,
    ended_at: i64,
    error: Option<&'a str>,
    tries: u32,
    uncertain: bool,
}

#[derive(Serialize)]
struct After<'a> {
    id: &'a str,
    phase: Phase,
    due_at: i64,
    run: i64,
}

impl Desk {
    /// Gives a message its final state, where it has none, and is as it was found.
    pub(crate) fn end(
        &mut self,
        m: &Messaging,
        id: &str,
        found: Option<Found>,
        (state, error): (State, &str),
        out: &mut Out<'_, Desk>,
    ) {
        let now = nanos(out.now());
        let error = Some(error).filter(|error| !error.is_empty() && state != State::Delivered);
        let (phase, due_at) = (Phase::Ending, self.soon(out.now()));
        let end = End { state, phase, due_at, run: m.run, ended_at: now, error, tries: 0, uncertain: false };
        let expected = Enroute { id, state: State::Enroute, found };
        out.swap(&MESSAGES, &expected, &end, Then::Ended { id: id.to_owned() });
    }

    /// Whether it was us.
    pub(crate) fn ended(&mut self, id: String, answer: Answer<'_>, out: &mut Out<'_, Desk>) {
        if answer == Answer::Changed(true) {
            out.get(&MESSAGES, &id, Then::Ending);
        }
    }

    pub(crate) fn ending(
        &mut self,
        m: &Messaging,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        if let (Answer::Row(Some(row)), false) = (answer, failed) {
            let message: Message = row.read()?;
            // Where that time is over somebody else counts it, or has.
            let ours = message.ended_at.is_some_and(|at| message.due_at == after(at, SOON));
            if ours && nanos(out.now()) < message.due_at {
                self.count(m, &message, out);
            }
        }
        Ok(())
    }

    /// Counts a message that has ended and was not counted, and tells its front.
    pub(crate) fn count(&mut self, m: &Messaging, message: &Message, out: &mut Out<'_, Desk>) {
        if message.phase != Phase::Ending {
            return;
        }
        count_ended(message, out);
        count_gone(message, out);
        if m.records {
            record(message, out);
        }
        if message.owes(message.state) {
            let due_at = self.soon(out.now());
            out.update(&MESSAGES, &After { id: &message.id, phase: Phase::Owing, due_at, run: m.run });
            self.report(message, out);
        } else {
            done(m, &message.id, out);
        }
    }
}

impl Desk {
    /// When somebody else may do something about what a session has begun. One that was opened for a request ends with its answer, so
    /// a resident may at once.
    pub(crate) fn soon(&self, now: Time) -> i64 {
        after(nanos(now), if self.transport == Transport::Resident { SOON } else { Duration::ZERO })
    }
}

/// Nothing is left to be done about a message.
pub(crate) fn done(m: &Messaging, id: &str, out: &mut Out<'_, Desk>) {
    let due_at = after(nanos(out.now()), m.config.keep);
    out.update(&MESSAGES, &After { id, phase: Phase::Ended, due_at, run: m.run });
}

/// Until then nobody else does anything about it.
pub(crate) const SOON: Duration = Duration::from_secs(60);
