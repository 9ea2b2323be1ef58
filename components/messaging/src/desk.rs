//! A session: [`Desk`]. Residents do all the work; one that was opened for a request keeps what it is asked, for a resident.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::{Asked, Cancelled, Delivered, Listed, Queried, Replaced, Submitted, status};

use crate::Messaging;
use crate::pausing::Pause;
use crate::record::tell;
use crate::sending::Attempt;
use crate::then::Then;
use crate::throttle::Pace;
use crate::waiting::Room;

/// What is under way at a resident. All of it is in the store as well.
#[derive(Serialize, Deserialize)]
pub struct Desk {
    pub(crate) transport: Transport,
    /// The last event could not be stored.
    pub(crate) failed: bool,
    /// It was asked to end: it begins nothing any more.
    pub(crate) leaving: bool,
    /// How many parts each network has unanswered.
    pub(crate) with: BTreeMap<String, u32>,
    /// The messages that are being sent.
    pub(crate) attempts: BTreeMap<String, Attempt>,
    /// How many fronts have something unanswered.
    pub(crate) telling: u32,
    /// It is looking for what is due.
    pub(crate) looking: bool,
    /// There is more that is due than was looked at, and some of that was taken on.
    pub(crate) more: bool,
    /// The networks that had no room for something that is due.
    #[serde(default)]
    pub(crate) full: BTreeSet<String>,
    /// Up to where was looked at what is due, where there is more.
    #[serde(default)]
    pub(crate) beyond: Option<(i64, String)>,
    /// How many pages of that are looked at now.
    #[serde(default)]
    pub(crate) walking: u32,
    /// For how many messages there is room, by account.
    #[serde(default)]
    pub(crate) rooms: BTreeMap<String, Room>,
    /// What is taken of the throttles of networks.
    #[serde(default)]
    pub(crate) paces: BTreeMap<String, Pace>,
    /// The networks that are given too much.
    #[serde(default)]
    pub(crate) pauses: BTreeMap<String, Pause>,
}

impl Session for Desk {
    type Component = Messaging;
    type Then = Then;

    fn handle(&mut self, m: &Messaging, event: Event<'_, Then>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::StoreFailed { .. } = event {
            self.failed = true;
            return Ok(());
        }
        let failed = std::mem::take(&mut self.failed);
        match event {
            Event::Opened if self.transport == Transport::Resident => {
                out.serve(true);
                self.look_for_what_was_left(out);
                out.after(SWEEP, Then::Sweep);
            }
            Event::Request { id, request } => self.asked(m, id, &request, failed, out),
            Event::Timeout { then: Then::Sweep } => {
                out.after(SWEEP, Then::Sweep);
                if !self.leaving {
                    self.sweep(out);
                    self.look_for_lone_pieces(out);
                    self.look_for_early(out);
                }
            }
            Event::Timeout { then: Then::LookAgain { reported } } => self.look_for(reported, out),
            Event::Timeout { then: Then::PaceDue { network } } => self.pace_due(m, &network, failed, out),
            Event::Timeout { then: Then::TakenAgain { of, outcome } } => self.taken(m, of, outcome, failed, out),
            Event::Answer { then, answer } => self.answered(m, then, answer, failed, out)?,
            Event::Drain { .. } => {
                self.leaving = true;
                out.serve(false);
            }
            _ => {}
        }
        let under_way = self.telling > 0 || self.with.values().any(|parts| *parts > 0);
        if self.leaving && !under_way {
            out.close(Stream::OWN);
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        self.telling == 0 && self.attempts.is_empty()
    }
}

impl Desk {
    pub(crate) fn new(transport: Transport) -> Self {
        Desk {
            transport,
            failed: false,
            leaving: false,
            with: BTreeMap::new(),
            attempts: BTreeMap::new(),
            telling: 0,
            looking: false,
            more: false,
            full: BTreeSet::new(),
            beyond: None,
            walking: 0,
            rooms: BTreeMap::new(),
            paces: BTreeMap::new(),
            pauses: BTreeMap::new(),
        }
    }

    fn asked(
        &mut self,
        m: &Messaging,
        id: RequestId,
        request: &tandem_component::Request<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        match request.read() {
            Ok(Asked::Submit(_)) if failed => {
                out.answer(id, &Submitted { status: status::TEMPORARY, ..Submitted::default() });
            }
            Ok(Asked::Deliver(_)) if failed => out.answer(id, &Delivered { status: status::LATER }),
            Ok(Asked::Submit(submit)) => self.submit(m, id, (request.from(), request.trace()), submit, out),
            Ok(Asked::Deliver(deliver)) => self.deliver(m, id, (request.from(), request.trace()), deliver, out),
            Ok(Asked::Query(query)) => self.query(id, query, out),
            Ok(Asked::List(list)) => self.list(id, list, out),
            Ok(Asked::Cancel(cancel)) => self.cancel(id, cancel, out),
            Ok(Asked::Replace(replace)) => self.replace(id, replace, out),
            other => {
                tracing::warn!(from = request.from(), ?other, "asks what nobody here knows");
                // Each answer has its status in this field.
                out.answer(id, &Delivered { status: status::UNKNOWN_COMMAND });
            }
        }
    }

    fn answered(
        &mut self,
        m: &Messaging,
        then: Then,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        match then {
            Then::Sweep
            | Then::LookAgain { .. }
            | Then::TakenAgain { .. }
            | Then::WrittenDown
            | Then::PaceDue { .. } => {}
            Then::Over { state, took } => {
                if answer == Answer::Changed(true) {
                    tell(state, took, out);
                }
            }
            Then::PaceRead { network } => self.pace_read(m, &network, answer, failed, out)?,
            Then::PaceTaken { network, units, used_until } => {
                self.pace_taken(m, (&network, units, used_until), answer, failed, out);
            }
            Then::Due => self.due(m, answer, failed, out)?,
            Then::DueBeyond => self.due_beyond(m, answer, failed, out)?,
            Then::LeftBehind => self.left_behind(m, answer, failed, out)?,
            Then::IncomingDue => self.incoming_due(m, answer, failed, out)?,
            Then::Looked { asked, message } => self.looked(asked, *message, answer, out)?,
            Then::Waiting { asked, message, keyed } => self.waiting(m, (asked, *message, keyed), answer, out)?,
            Then::AllWaiting { asked, message, keyed, left } => {
                self.all_waiting(m, (asked, *message, keyed), left, answer, out)?;
            }
            Then::Admitted { asked, message, keyed } => {
                self.admitted(m, (asked, *message, keyed), answer, failed, out);
            }
            Then::Inserted { asked, message, left } => {
                self.inserted(m, (asked, *message, left), answer, failed, out);
            }
            Then::First { asked } => self.first(asked, answer, out)?,
            Then::Claimed { message, room } => self.claimed(m, (*message, room), answer, failed, out),
            Then::Had { message } => self.had(m, *message, answer, failed, out)?,
            Then::Taken { of } => self.taken(m, of, answer.into(), failed, out),
            Then::Ended { id } => self.ended(id, answer, out),
            Then::Ending => self.ending(m, answer, failed, out)?,
            Then::Told { id, tries } => self.told(m, &id, tries, answer, failed, out),
            Then::Reported { reported } => self.reported(m, reported, answer, failed, out)?,
            Then::Parts { asked, id } => self.parts_of(asked, id, answer, out)?,
            Then::Message { asked, parts } => self.message_of(m, (asked, &parts), answer, failed, out)?,
            Then::Parked { asked } => self.parked(asked, answer, failed, out),
            Then::EarlyDue => self.early_due(answer, failed, out)?,
            Then::EarlyClaimed { early } => self.early_claimed(early, answer, failed, out),
            Then::EarlyReported { early } => self.early_reported(early, answer, failed, out)?,
            Then::EarlyParts { early, id } => self.early_parts(early, &id, answer, out)?,
            Then::EarlyMessage { early, parts } => self.early_message(m, (&early, &parts), answer, failed, out)?,
            Then::Pieces { asked, total } => self.pieces(m, (asked, total), answer, failed, out)?,
            Then::Joined { asked, incoming } => self.joined(m, (asked, *incoming), answer, failed, out),
            Then::LonePieces => self.lone_pieces(m, answer, failed, out)?,
            Then::IncomingClaimed { incoming } => self.incoming_claimed(m, *incoming, answer, failed, out),
            Then::Handed { id, tries } => self.handed(m, &id, tries, answer, failed, out),
            Then::Gone { id } => self.gone(&id, answer, failed, out)?,
            Then::Asked { asked, account } => self.known(asked, &account, answer, out)?,
            Then::ListFrom { asked, account, limit } => self.list_from(asked, &account, limit, answer, out)?,
            Then::Listed { asked, limit } => self.listed(asked, limit, answer, out)?,
            Then::Cancelling { asked, account } => self.cancelling(m, (asked, &account), answer, failed, out)?,
            Then::Replacing { asked, replace } => self.replacing(asked, *replace, answer, failed, out)?,
            Then::Replaced { asked } => self.replaced(asked, answer, out),
            Then::Cancelled { asked, id } => self.cancelled(asked, id, answer, out),
        }
        Ok(())
    }
}

/// Answers that it cannot be said now.
pub(crate) fn not_now(asked: RequestId, what: What, out: &mut Out<'_, Desk>) {
    let status = status::TEMPORARY;
    match what {
        What::Submit => out.answer(asked, &Submitted { status, ..Submitted::default() }),
        What::Query => out.answer(asked, &Queried { status, message: None }),
        What::List => out.answer(asked, &Listed { status, ..Listed::default() }),
        What::Cancel => out.answer(asked, &Cancelled { status }),
        What::Replace => out.answer(asked, &Replaced { status }),
    }
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Submit,
    Query,
    List,
    Cancel,
    Replace,
}

/// So often is looked for what is due.
const SWEEP: Duration = Duration::from_secs(1);
