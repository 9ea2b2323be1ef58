//! Submissions that go to another service: its SMSC decides, and its message id is kept in [`SUBMITTED`], so that the receipt
//! that comes later finds the message.
//!
//! A message has its row once the SMSC has taken it, and the ESME its response once the row is committed. If the gateway is killed
//! in between, the ESME has no response and submits again: twice is possible, lost is not.

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use crate::Smpp;
use crate::exchange::{Asked, Submit, Submitted};
use crate::message::{MESSAGES, State};
use crate::pdu::{SUBMIT_MULTI, Status, encode};
use crate::session::{Bind, Stage};
use crate::sms::address;
use crate::submit::{Refused, Submission};
use crate::submitting::TEMPORARY;
use crate::then::Then;

/// Which message is which for an SMSC.
pub const SUBMITTED: Table = Table {
    name: "submitted",
    key: &["smsc", "smsc_id"],
    columns: &[Column::new("smsc", Kind::Text), Column::new("smsc_id", Kind::Text), Column::new("id", Kind::Text)],
};

/// A row of [`SUBMITTED`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The service that has submitted it.
    pub(crate) smsc: String,
    /// What its SMSC knows it by.
    pub(crate) smsc_id: String,
    /// The row in [`MESSAGES`].
    pub(crate) id: String,
}

/// The submissions that another service has.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct HandOvers {
    last: u64,
    /// By a number of our own: a peer may give the same to two requests.
    open: BTreeMap<u64, HandOver>,
}

/// One submission, until all of its messages are answered for.
#[derive(Debug, Serialize, Deserialize)]
struct HandOver {
    sequence: u32,
    submission: Submission,
    /// How many are not answered for yet, and how many were taken.
    left: usize,
    taken: usize,
}

impl Bind {
    /// Asks a service to submit the messages.
    pub(crate) fn hand_over(
        &mut self,
        smpp: &Smpp,
        service: &str,
        sequence: u32,
        mut submission: Submission,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Status> {
        let open: usize = self.hand_overs.open.values().map(|it| it.submission.messages.len()).sum();
        if open > 0 && open + submission.messages.len() > MESSAGES_MAX {
            return Err(Status::EsmeRthrottled);
        }
        self.hand_overs.last += 1;
        let key = self.hand_overs.last;
        for (n, message) in submission.messages.iter_mut().enumerate() {
            // Until a receipt says otherwise, it is under way, and nothing is owed.
            (message.outcome, message.due_at, message.receipt_for) = (State::Enroute, message.submitted_at, None);
            let submit = Submit { id: message.id.clone(), account: message.system_id.clone(), sms: message.sms() };
            let call = Call::to(service).within(smpp.config.timers.response);
            out.call(call, &Asked::Submit(submit), Then::HandedOver { key, n });
        }
        let left = submission.messages.len();
        self.hand_overs.open.insert(key, HandOver { sequence, submission, left, taken: 0 });
        self.pending += 1;
        Ok(())
    }

    /// A message was submitted, or was not.
    pub(crate) fn handed_over(
        &mut self,
        smpp: &Smpp,
        (key, n): (u64, usize),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) {
        let Some(hand_over) = self.hand_overs.open.get_mut(&key) else { return };
        let submitted = match outcome(answer) {
            Submitted { status: 0, message_id } if failed => {
                // The SMSC has it, and nobody here knows: what it says of this message later finds no row.
                tracing::error!(message_id, "a message was submitted and cannot be written down");
                Submitted { status: TEMPORARY.into(), message_id }
            }
            submitted => submitted,
        };
        let message = &mut hand_over.submission.messages[n];
        if submitted.status == 0 {
            message.smsc.clone_from(&smpp.config.submit_to);
            message.smsc_id = Some(submitted.message_id.clone()).filter(|id| !id.is_empty());
            out.put(&MESSAGES, message);
            if let (Some(smsc), Some(smsc_id)) = (message.smsc.clone(), message.smsc_id.clone()) {
                out.put(&SUBMITTED, &Entry { smsc, smsc_id, id: message.id.clone() });
            }
            hand_over.taken += 1;
        } else {
            let address = address(message.destination_ton, message.destination_npi, &message.destination);
            hand_over.submission.refused.push(Refused { address, status: submitted.status });
        }
        hand_over.left -= 1;
        if hand_over.left > 0 {
            return;
        }
        let Some(HandOver { sequence, submission, taken, .. }) = self.hand_overs.open.remove(&key) else { return };
        self.pending = self.pending.saturating_sub(1);
        if matches!(self.stage, Stage::Over) {
            return;
        }
        if taken > 0 {
            out.send(Stream::OWN, &encode(Status::EsmeRok, sequence, &submission.response()));
        } else {
            // One destination was refused for its own reason; of many, one reason says enough.
            let status = match submission.command {
                SUBMIT_MULTI if submission.messages.len() > 1 => Status::EsmeRsubmitfail,
                _ => submitted.status.into(),
            };
            self.refuse(submission.command, sequence, status, out);
        }
    }
}

/// What a service's answer, or its silence, comes to for an ESME.
fn outcome(answer: Answer<'_>) -> Submitted {
    let status = match answer {
        Answer::Answered(response) => match response.read() {
            Ok(submitted) => return submitted,
            Err(misfit) => {
                tracing::warn!(%misfit, "a service answers what nobody here knows");
                TEMPORARY
            }
        },
        Answer::CallFailed(CallFailure::Full) => Status::EsmeRmsgqful,
        other => {
            tracing::warn!(why = ?other, "a message cannot be submitted");
            TEMPORARY
        }
    };
    Submitted { status: status.into(), message_id: String::new() }
}

/// So many messages of a session are with another service: they are a part of its state. The window counts requests, of which
/// each may have 254.
const MESSAGES_MAX: usize = 1000;
