//! A message gets its final state: once, whoever finds it. Then it is counted, and its front is told.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::State;

use crate::Messaging;
use crate::desk::Desk;
use crate::message::{MESSAGES, Message, Phase, after, nanos};
use crate::record::{record, tell, took};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<bool>,
}

#[derive(Serialize)]
struct After<'a> {
    id: &'a str,
    phase: Phase,
    due_at: i64,
    run: i64,
}

#[derive(Serialize)]
struct Counted<'a> {
    id: &'a str,
    phase: Phase,
    due_at: i64,
    run: i64,
    counted: bool,
}

/// What a message counts for, and who is told: as its row has it for as long as it is enroute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) version: String,
    pub(crate) account: String,
    pub(crate) more: u32,
    pub(crate) counted: bool,
    wants_receipt: u8,
    /// A version that does not know has begun it where it is 0.
    #[serde(default)]
    submitted_at: i64,
}

impl Counts {
    pub(crate) fn of(message: &Message) -> Self {
        let Message { version, account, more, counted, wants_receipt, submitted_at, .. } = message;
        let (version, account) = (version.clone(), account.clone());
        let (more, counted, wants_receipt, submitted_at) = (*more, *counted, *wants_receipt, *submitted_at);
        Counts { version, account, more, counted, wants_receipt, submitted_at }
    }

    /// Whether its front wants to be told that it ends so.
    fn owes(&self, ends: State) -> bool {
        match self.wants_receipt & 0b11 {
            1 => true,
            2 => ends != State::Delivered,
            _ => false,
        }
    }
}

impl Desk {
    /// Gives a message its final state, where it has none, and is as it was found. It is counted in the same transaction, where it is
    /// known what for; not where it has a record, which is written of the whole row, and again where that was not done.
    pub(crate) fn end(
        &mut self,
        m: &Messaging,
        (id, counts): (&str, Option<&Counts>),
        found: Option<Found>,
        (state, error): (State, &str),
        out: &mut Out<'_, Desk>,
    ) {
        let now = nanos(out.now());
        let error = Some(error).filter(|error| !error.is_empty() && state != State::Delivered);
        let expected = Enroute { id, state: State::Enroute, found };
        let end = |phase, due_at, counted| {
            let (tries, uncertain) = (0, false);
            End { state, phase, due_at, run: m.run, ended_at: now, error, tries, uncertain, counted }
        };
        let ended = || Then::Ended { id: id.to_owned() };
        let Some(counts) = counts.filter(|_| m.recording == Recording::None) else {
            out.swap(&MESSAGES, &expected, &end(Phase::Ending, self.soon(out.now()), None), ended());
            return;
        };
        let (phase, due_at, then) = match counts.owes(state) {
            true => (Phase::Owing, self.soon(out.now()), ended()),
            false => {
                let took = now.checked_sub(counts.submitted_at).filter(|_| counts.submitted_at > 0);
                let then = took.map_or(Then::WrittenDown, |took| Then::Over { state, took });
                (Phase::Ended, after(now, m.config.keep), then)
            }
        };
        out.swap_and(&MESSAGES, &expected, &end(phase, due_at, Some(false)), then, |writes| {
            count_ended(counts, state, writes);
            count_gone(counts, writes);
        });
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
                match message.phase {
                    Phase::Owing => {
                        // As it was counted in the same transaction, nothing was told of it.
                        tell(message.state, took(&message), out);
                        self.report(&message, out);
                    }
                    _ => self.count(m, &message, out),
                }
            }
        }
        Ok(())
    }

    /// Counts a message that has ended and was not counted, and tells its front.
    pub(crate) fn count(&mut self, m: &Messaging, message: &Message, out: &mut Out<'_, Desk>) {
        if message.phase != Phase::Ending {
            return;
        }
        let (counts, writes) = (Counts::of(message), &mut out.writes());
        count_ended(&counts, message.state, writes);
        count_gone(&counts, writes);
        let owes = counts.owes(message.state);
        let (phase, due_at) = match owes {
            true => (Phase::Owing, self.soon(out.now())),
            false => (Phase::Ended, after(nanos(out.now()), m.config.keep)),
        };
        out.update(&MESSAGES, &Counted { id: &message.id, phase, due_at, run: m.run, counted: false });
        match m.recording.takes(message.trace.map(Span::from)) {
            true => record(message, out),
            false => tell(message.state, took(message), out),
        }
        if owes {
            self.report(message, out);
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
