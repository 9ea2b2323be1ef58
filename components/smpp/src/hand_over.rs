//! Submissions that go to another service: its SMSC decides, and its message id is kept in [`SUBMITTED`], so that the receipt
//! that comes later finds the message.
//!
//! A message has its row once the SMSC has taken it, and the ESME its response once the row is committed. If the gateway is killed
//! in between, the ESME has no response and submits again: twice is possible, lost is not. One that has no row
//! ([`Rows`](crate::config::Rows)) is the SMSC's when it has taken it, and its ESME has its response at once.

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use crate::Smpp;
use crate::admitting::refused_there;
use crate::message::{MESSAGES, Message};
use crate::pdu::{SUBMIT_MULTI, Status, encode};
use crate::session::{Bind, Stage};
use crate::sms::address;
use crate::submit::{Refused, Submission};
use crate::submitting::TEMPORARY;
use crate::then::Then;
use tandem_sms::State;
use tandem_sms::{Address, Asked, Submit, Submitted};

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

/// What is kept of a message while another service has it. Whether it gets a row was decided when it was submitted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    /// One that gets a row: all of it.
    Row(Box<Message>),
    /// One that gets none: its destination, in case that it is refused.
    Passing(Address),
}

/// One submission, until all of its messages are answered for.
#[derive(Debug, Serialize, Deserialize)]
struct HandOver {
    sequence: u32,
    submission: Submission<Kept>,
    /// How many are not answered for yet, and how many were taken.
    left: usize,
    taken: usize,
    /// What is held until the response is sent.
    #[serde(default)]
    admission: Option<Token>,
}

impl HandOvers {
    fn messages(&self) -> usize {
        self.open.values().map(|hand_over| hand_over.submission.messages.len()).sum()
    }

    /// No response is sent any more, so nothing is held for one.
    pub(crate) fn give_back(&mut self, out: &mut Out<'_, Bind>) {
        let admissions = self.open.values_mut().filter_map(|hand_over| hand_over.admission.take());
        admissions.for_each(|admission| out.done(admission));
    }
}

impl Bind {
    /// Whether so many more messages may be with another service, beside those that wait for their admission.
    pub(crate) fn has_room_for(&self, smpp: &Smpp, messages: usize) -> bool {
        if smpp.config.submit_to.is_none() {
            return true;
        }
        let there = self.hand_overs.messages() + self.admissions.messages();
        there == 0 || there + messages <= MESSAGES_MAX
    }

    /// Asks a service to submit the messages.
    pub(crate) fn hand_over(
        &mut self,
        smpp: &Smpp,
        service: &str,
        (sequence, admission): (u32, Token),
        submission: Submission,
        out: &mut Out<'_, Bind>,
    ) {
        let left = submission.messages.len();
        self.hand_overs.last += 1;
        let key = self.hand_overs.last;
        let Submission { command, message_id, messages, refused } = submission;
        let trace = out.begin_trace();
        self.requests.begins(sequence, trace);
        let ask = |(n, mut message): (usize, Message)| {
            // Until a receipt says otherwise, it is under way, and nothing is owed.
            (message.outcome, message.due_at, message.receipt_for) = (State::Enroute, message.submitted_at, None);
            let has_row = smpp.config.messages.has(&message);
            let (id, account) = (message.id.clone(), message.system_id.clone());
            let (sms, kept) = match has_row {
                true => (message.sms(), Kept::Row(Box::new(message))),
                false => {
                    let sms = message.into_sms();
                    let destination = sms.destination.clone();
                    (sms, Kept::Passing(destination))
                }
            };
            let call = Call::to(service).within(smpp.config.timers.response).account(&account).trace(trace);
            let (account, sender) = (account.clone(), sms.source.digits.clone());
            let asked = Asked::Submit(Submit { id, account, sms, ..Submit::default() });
            out.call(call.label(&sender), &asked, Then::HandedOver { key, n });
            kept
        };
        let messages = messages.into_iter().enumerate().map(ask).collect();
        let submission = Submission { command, message_id, messages, refused };
        self.hand_overs.open.insert(key, HandOver { sequence, submission, left, taken: 0, admission: Some(admission) });
        self.pending += 1;
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
        let has_row = matches!(hand_over.submission.messages.get(n), Some(Kept::Row(_)));
        let submitted = match outcome(answer) {
            Submitted { status: 0, message_id, .. } if failed && has_row => {
                // The SMSC has it, and nobody here knows: what it says of this message later finds no row.
                tracing::error!(message_id, "a message was submitted and cannot be written down");
                Submitted { status: TEMPORARY.into(), message_id, ..Submitted::default() }
            }
            submitted => submitted,
        };
        let kept = &mut hand_over.submission.messages[n];
        if submitted.status == 0 {
            if let Kept::Row(message) = kept {
                message.smsc.clone_from(&smpp.config.submit_to);
                message.smsc_id = Some(submitted.message_id.clone()).filter(|id| !id.is_empty());
                out.put(&MESSAGES, message);
                if let (Some(smsc), Some(smsc_id)) = (message.smsc.clone(), message.smsc_id.clone()) {
                    out.put(&SUBMITTED, &Entry { smsc, smsc_id, id: message.id.clone() });
                }
            }
            hand_over.taken += 1;
        } else {
            let address = match kept {
                Kept::Row(it) => address(it.destination_ton, it.destination_npi, &it.destination),
                Kept::Passing(destination) => destination.clone(),
            };
            hand_over.submission.refused.push(Refused { address, status: submitted.status });
        }
        hand_over.left -= 1;
        if hand_over.left > 0 {
            return;
        }
        let Some(HandOver { sequence, submission, taken, admission, .. }) = self.hand_overs.open.remove(&key) else {
            return;
        };
        self.pending = self.pending.saturating_sub(1);
        if let Some(admission) = admission {
            out.done(admission);
        }
        if matches!(self.stage, Stage::Over) {
            return;
        }
        if taken > 0 {
            self.respond(&encode(Status::EsmeRok, sequence, &submission.response()), out);
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
            Ok(submitted) => {
                let status = refused_there(&submitted).map_or(submitted.status, u32::from);
                return Submitted { status, ..submitted };
            }
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
    Submitted { status: status.into(), ..Submitted::default() }
}

/// So many messages of a session are with another service: they are a part of its state. The window counts requests, of which
/// each may have 254.
const MESSAGES_MAX: usize = 1000;
