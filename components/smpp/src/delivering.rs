//! What an SMSC has for our ESMEs: a session without a connection takes one request, makes it a row, and answers once that is
//! committed. The account's receivers find the row as they find receipts.

use std::time::Duration;

use tandem_component::prelude::*;

use crate::Smpp;
use crate::hand_over::{Entry, SUBMITTED};
use crate::message::seconds;
use crate::message::{MESSAGES, Message, nanos};
use crate::pdu::Status;
use crate::queue::{QUEUES, count};
use crate::session::Bind;
use crate::submitting::refuse;
use crate::then::Then;
use tandem_sms::State;
use tandem_sms::{Asked, Deliver, Delivered, Report, Sms};

/// A receipt of an SMSC, while its message is looked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delivery {
    asked: RequestId,
    /// The service whose SMSC it is.
    smsc: String,
    report: Report,
    /// How often its message was looked for.
    looked: u32,
}

#[derive(Serialize)]
struct Enroute<'a> {
    id: &'a str,
    state: State,
}

#[derive(Serialize)]
struct Ended<'a> {
    id: &'a str,
    state: State,
    outcome: State,
    due_at: i64,
    error: &'a str,
    receipt_for: Option<&'a str>,
}

impl Bind {
    /// The request that this session was opened for.
    pub(crate) fn called(
        &mut self,
        smpp: &Smpp,
        id: RequestId,
        request: &tandem_component::Request<'_>,
        out: &mut Out<'_, Bind>,
    ) {
        match request.read() {
            Ok(Asked::Deliver(Deliver { receipt: Some(report), .. })) => {
                self.look_for(Delivery { asked: id, smsc: request.from().to_owned(), report, looked: 0 }, out);
            }
            Ok(Asked::Deliver(Deliver { sms, account, .. })) => originated(smpp, id, &account, sms, out),
            Ok(Asked::Submit(_)) => {
                tracing::warn!(from = request.from(), "asks a service to submit that is bound to no SMSC");
                refuse(id, Status::EsmeRinvcmdid, out);
            }
            other => {
                tracing::warn!(from = request.from(), ?other, "asks what nobody here knows");
                answer(id, Status::EsmeRinvcmdid, out);
            }
        }
    }

    /// Looks for the message that a receipt is of.
    pub(crate) fn look_for(&mut self, delivery: Delivery, out: &mut Out<'_, Bind>) {
        let key = (delivery.smsc.clone(), delivery.report.message_id.clone());
        out.get(&SUBMITTED, &key, Then::Known { delivery });
    }

    /// Which message it is.
    pub(crate) fn known(
        &mut self,
        mut delivery: Delivery,
        found: Answer<'_>,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        match found {
            Answer::Row(Some(row)) => {
                let entry: Entry = row.read()?;
                out.get(&MESSAGES, &entry.id, Then::Reported { delivery });
            }
            // A receipt may overtake the commit of what the SMSC has answered before it.
            Answer::Row(None) if delivery.looked < LOOKS => {
                delivery.looked += 1;
                out.after(BETWEEN_LOOKS * delivery.looked, Then::LookAgain { delivery });
            }
            Answer::Row(None) => {
                tracing::warn!(
                    smsc = delivery.smsc,
                    message_id = delivery.report.message_id,
                    "a receipt of no message"
                );
                answer(delivery.asked, UNKNOWN, out);
            }
            _ => answer(delivery.asked, Status::EsmeRxTAppn, out),
        }
        Ok(())
    }

    /// The message is there.
    pub(crate) fn reported(
        &mut self,
        delivery: &Delivery,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let Answer::Row(row) = found else {
            answer(delivery.asked, Status::EsmeRxTAppn, out);
            return Ok(());
        };
        let Some(message) = row.map(|row| row.read::<Message>()).transpose()? else {
            answer(delivery.asked, UNKNOWN, out);
            return Ok(());
        };
        let report = &delivery.report;
        if failed {
            answer(delivery.asked, Status::EsmeRxTAppn, out);
        } else if report.intermediate && message.state == State::Enroute && message.registered_delivery & NOTIFY != 0 {
            let now = Message { due_at: nanos(out.now()), error: Some(report.error.clone()), ..message.clone() };
            let notification = Sms { esm_class: NOTIFICATION, ..now.receipt(report.state) };
            let notification = for_account(&message.system_id, notification, out);
            out.put(&MESSAGES, &notification);
            count(&message.system_id, 1, &mut self.queue, out);
            answer(delivery.asked, Status::EsmeRok, out);
        } else if report.intermediate || message.state != State::Enroute {
            // It is under way still, and nobody wants to know; or this is a receipt that was sent twice.
            answer(delivery.asked, Status::EsmeRok, out);
        } else {
            let owed = message.owes(report.state);
            let ended = Ended {
                id: &message.id,
                state: report.state,
                outcome: report.state,
                due_at: nanos(out.now()),
                error: &report.error,
                receipt_for: owed.then_some(message.system_id.as_str()),
            };
            let enroute = Enroute { id: &message.id, state: State::Enroute };
            let then = Then::WrittenDown { asked: delivery.asked, owed: owed.then(|| message.system_id.clone()) };
            out.swap(&MESSAGES, &enroute, &ended, then);
        }
        Ok(())
    }

    /// It is written down; or another session has written down one that says the same.
    pub(crate) fn written_down(
        &mut self,
        asked: RequestId,
        owed: Option<String>,
        changed: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) {
        // Where it cannot be counted the bound is a little off; the receipt is kept already.
        if let (Answer::Changed(true), Some(account), false) = (changed, owed, failed) {
            count(&account, 1, &mut self.queue, out);
        }
        let status = if matches!(changed, Answer::Changed(_)) { Status::EsmeRok } else { Status::EsmeRxTAppn };
        answer(asked, status, out);
    }

    /// How much is kept already for the account that a phone's message is for.
    pub(crate) fn room_for(
        &mut self,
        smpp: &Smpp,
        asked: RequestId,
        message: &Message,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let readable = matches!(found, Answer::Row(_)) && !failed;
        self.kept(found)?;
        if !readable {
            answer(asked, Status::EsmeRxTAppn, out);
        } else if self.queue.is_full(smpp, &message.system_id) {
            // The SMSC keeps it until a receiver of the account has taken some.
            answer(asked, Status::EsmeRmsgqful, out);
        } else {
            out.put(&MESSAGES, message);
            count(&message.system_id, 1, &mut self.queue, out);
            answer(asked, Status::EsmeRok, out);
        }
        Ok(())
    }
}

/// A message of a phone: to the account that it is said to be for, or whose address it is for.
fn originated(smpp: &Smpp, asked: RequestId, said: &str, sms: Sms, out: &mut Out<'_, Bind>) {
    let said = Some(said).filter(|said| !said.is_empty());
    let Some(account) = said.or_else(|| smpp.config.account_at(&sms.destination.digits)) else {
        tracing::warn!(destination = sms.destination.digits, "a message for nobody's address");
        return answer(asked, UNKNOWN, out);
    };
    let message = for_account(account, sms, out);
    out.get(&QUEUES, &account, Then::Room { asked, message: Box::new(message) });
}

/// The row of what an account is sent as it is.
fn for_account(account: &str, sms: Sms, out: &mut Out<'_, Bind>) -> Message {
    let id = format!("{:08x}{:016x}", seconds(out.now()), out.random());
    let mut message = Message::of(sms, id, account, out.now());
    (message.state, message.outcome, message.originated) = (State::Delivered, State::Delivered, true);
    message.receipt_for = Some(account.to_owned());
    message
}

fn answer(asked: RequestId, status: Status, out: &mut Out<'_, Bind>) {
    out.answer(asked, &Delivered { status: status.into() });
}

/// Nobody wants it, now or later: the SMSC shall not send it again (section 5.1.3).
const UNKNOWN: Status = Status::EsmeRxPAppn;
/// The bit of `registered_delivery` that asks for intermediate notifications (section 5.2.17).
const NOTIFY: u8 = 0b1_0000;
/// `esm_class` of one (section 5.2.12).
const NOTIFICATION: u8 = 0b10_0000;
/// So often a receipt's message is looked for again, after this time and then longer: 1.5 seconds in all.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// How long that takes.
pub(crate) const LOOKING: Duration = Duration::from_millis(250 * (1 + 2 + 3));
