//! What an ESME asks of a message that another service has: that service is asked.
//!
//! Where it does not know the question, since it is an SMSC's connector or an older version, what is asked is refused, and of a query is
//! told what is known here.

use rusmpp_core::pdus::owned::Pdu;
use tandem_component::prelude::*;
use tandem_sms::{Asked, Cancel, Cancelled, Known, Queried, Query, Replace, Replaced, State, status};

use crate::Smpp;
use crate::message::{MESSAGES, Message};
use crate::pdu::{CANCEL_SM, QUERY_SM, REPLACE_SM, Status, encode};
use crate::recall::{Recall, found};
use crate::session::Bind;
use crate::then::Then;

/// What a service is asked, for whom.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    /// The request's number.
    sequence: u32,
    /// The row.
    id: String,
    /// What the ESME knows the message by.
    message_id: String,
    recall: Recall,
}

/// What is known of a replaced message here: its receipt says so.
#[derive(Serialize)]
struct Other<'a> {
    id: &'a str,
    registered_delivery: u8,
    #[serde(with = "serde_bytes")]
    short_message: &'a [u8],
    #[serde(with = "serde_bytes")]
    tlvs: &'a [u8],
    default_message: u8,
}

impl Bind {
    /// Asks the service that has a message.
    pub(crate) fn ask_after(
        &mut self,
        smpp: &Smpp,
        (service, its_id): (&str, String),
        message: Message,
        (sequence, recall): (u32, Recall),
        out: &mut Out<'_, Bind>,
    ) {
        let Message { id, message_id, system_id: account, .. } = message;
        let whose = account.clone();
        let asked = match &recall {
            Recall::Query => Asked::Query(Query { account, message_id: its_id }),
            Recall::Cancel => Asked::Cancel(Cancel { account, message_id: its_id }),
            Recall::Replace { registered_delivery, short_message, tlvs, schedule, validity, default_message } => {
                Asked::Replace(Replace {
                    account,
                    message_id: its_id,
                    schedule: schedule.clone(),
                    validity: validity.clone(),
                    registered_delivery: *registered_delivery,
                    default_message: *default_message,
                    short_message: short_message.clone(),
                    tlvs: tlvs.clone(),
                })
            }
        };
        let then = Then::AskedAfter { question: Box::new(Question { sequence, id, message_id, recall }) };
        out.call(Call::to(service).within(smpp.config.timers.response).account(&whose), &asked, then);
    }

    /// It has answered, or has not.
    pub(crate) fn asked_after(
        &mut self,
        question: Question,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let Question { sequence, id, message_id, recall } = question;
        let (command, status) = match recall {
            Recall::Query => match read::<Queried>(&answer) {
                Some(Queried { status: status::OK, message: Some(known) }) => {
                    return self.told(sequence, &at_the_service(&message_id, &known), out);
                }
                // It knows nothing of it: what was known here before it was asked is that it is under way.
                Some(Queried { status: status::OK | status::UNKNOWN_COMMAND, .. }) => {
                    return self.told(sequence, &found(&message_id, State::Enroute, 0, 0), out);
                }
                it => (QUERY_SM, refused(it.map(|it| it.status), Status::EsmeRqueryfail)),
            },
            Recall::Cancel => {
                let status = read::<Cancelled>(&answer).map(|it| it.status);
                (CANCEL_SM, refused(status, Status::EsmeRcancelfail))
            }
            Recall::Replace { registered_delivery, short_message, tlvs, default_message, .. } => {
                let status = read::<Replaced>(&answer).map(|it| it.status);
                // Where this is not stored the message is replaced all the same; asking again replaces it again.
                let status = if failed { Some(status::TEMPORARY) } else { status };
                if status == Some(status::OK) {
                    let (short_message, tlvs) = (&short_message[..], &tlvs[..]);
                    out.update(
                        &MESSAGES,
                        &Other { id: &id, registered_delivery, short_message, tlvs, default_message },
                    );
                }
                (REPLACE_SM, refused(status, Status::EsmeRreplacefail))
            }
        };
        self.settled(command, sequence, status, out)
    }

    fn told(&mut self, sequence: u32, response: &Pdu, out: &mut Out<'_, Bind>) -> Result<(), Fault> {
        self.pending = self.pending.saturating_sub(1);
        self.respond(&encode(Status::EsmeRok, sequence, response), out);
        Ok(())
    }
}

/// What the service says of a message, under the name that the ESME knows.
fn at_the_service(message_id: &str, known: &Known) -> Pdu {
    let ended_at = known.ended_at.and_then(|ms| i64::try_from(ms.saturating_mul(1_000_000)).ok()).unwrap_or_default();
    found(message_id, known.state, ended_at, known.error.parse().unwrap_or_default())
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer<'_>) -> Option<T> {
    match answer {
        Answer::Answered(response) => response.read().ok(),
        other => {
            tracing::warn!(why = ?other, "a message cannot be asked after");
            None
        }
    }
}

/// What an ESME is told by the status of a service: as the store's, its temporary failures are ours.
fn refused(status: Option<u32>, failure: Status) -> Status {
    match status {
        Some(status::OK) => Status::EsmeRok,
        Some(status::VALIDITY) => Status::EsmeRinvexpiry,
        Some(status) if status::is_temporary(status) => Status::EsmeRsyserr,
        None => Status::EsmeRsyserr,
        Some(_) => failure,
    }
}
