//! What an ESME asks of messages that it has submitted: `query_sm` (4.8), `cancel_sm` (4.9) and `replace_sm` (4.10).
//!
//! Each reads the row first. What it changes then, it changes only where the message is still under way (compare-and-set).

use rusmpp_core::pdus::owned::{Pdu, QuerySmResp};
use rusmpp_core::types::owned::EmptyOrFullCOctetString;
use rusmpp_core::values::MessageState;
use tandem_component::prelude::*;

use crate::Smpp;
use crate::message::{MESSAGES, Message, nanos};
use crate::pdu::bytes_of;
use crate::pdu::{CANCEL_SM, QUERY_SM, REPLACE_SM, Status, encode, field};
use crate::queue::count;
use crate::session::{Bind, Stage};
use crate::submit::plan;
use crate::then::Then;
use tandem_sms::State;
use tandem_sms::date::absolute;

/// What is asked of a message, while its row is read.
#[derive(Debug, Serialize, Deserialize)]
pub enum Recall {
    /// What has become of it.
    Query,
    /// It is not to be delivered.
    Cancel,
    /// It gets another text.
    Replace {
        /// `registered_delivery`
        registered_delivery: u8,
        /// `short_message`
        #[serde(with = "serde_bytes")]
        short_message: Vec<u8>,
        /// The TLV `message_payload`, or nothing.
        #[serde(with = "serde_bytes")]
        tlvs: Vec<u8>,
        /// `schedule_delivery_time`; empty where it stays.
        #[serde(default)]
        schedule: String,
        /// `validity_period`; empty where it stays.
        #[serde(default)]
        validity: String,
        /// `sm_default_msg_id`
        #[serde(default)]
        default_message: u8,
    },
}

/// A message that is under way, and whose receipt no session has claimed: the message may become due before this is stored.
#[derive(Serialize)]
struct Enroute<'a> {
    id: &'a str,
    state: State,
    claimed_until: i64,
}

impl<'a> Enroute<'a> {
    fn of(message: &'a Message) -> Self {
        Enroute { id: &message.id, state: State::Enroute, claimed_until: message.claimed_until }
    }
}

#[derive(Serialize)]
struct Cancelled {
    state: State,
    due_at: i64,
}

/// As [`Cancelled`], for a row that was not asked for by its key.
#[derive(Serialize)]
struct CancelledRow<'a> {
    id: &'a str,
    state: State,
    due_at: i64,
}

#[derive(Serialize)]
struct Replaced<'a> {
    registered_delivery: u8,
    receipt_for: Option<&'a str>,
    #[serde(with = "serde_bytes")]
    short_message: &'a [u8],
    #[serde(with = "serde_bytes")]
    tlvs: &'a [u8],
    schedule: &'a str,
    validity: &'a str,
    default_message: u8,
    due_at: i64,
    outcome: State,
}

impl Recall {
    fn command(&self) -> u32 {
        match self {
            Recall::Query => QUERY_SM,
            Recall::Cancel => CANCEL_SM,
            Recall::Replace { .. } => REPLACE_SM,
        }
    }
}

impl Bind {
    /// Reads the row that a request is about.
    pub(crate) fn recall(&mut self, pdu: Pdu, sequence: u32, out: &mut Out<'_, Bind>) -> Result<(), Status> {
        let (message_id, source, recall) = match pdu {
            Pdu::QuerySm(it) => (it.message_id, it.source_addr, Recall::Query),
            Pdu::CancelSm(it) if it.message_id.as_str().is_empty() => {
                let (source, destination) = (it.source_addr.as_str().to_owned(), it.destination_addr.as_str());
                let service_type = it.service_type.value().as_str().to_owned();
                let then = Then::CancelAll { sequence, source, service_type };
                out.scan(&Scan::of(&MESSAGES).by("destination").at(&destination).limit(ALL_MAX), then);
                self.pending += 1;
                return Ok(());
            }
            Pdu::CancelSm(it) => (it.message_id, it.source_addr, Recall::Cancel),
            Pdu::ReplaceSm(it) => {
                if u8::from(it.registered_delivery) & 0b11 == 0b11 {
                    return Err(Status::EsmeRinvregdlvflg);
                }
                let recall = Recall::Replace {
                    registered_delivery: it.registered_delivery.into(),
                    short_message: it.short_message().clone().into_vec(),
                    tlvs: it.message_payload_tlv().map(|tlv| bytes_of(std::slice::from_ref(tlv))).unwrap_or_default(),
                    schedule: it.schedule_delivery_time.as_str().to_owned(),
                    validity: it.validity_period.as_str().to_owned(),
                    default_message: it.sm_default_msg_id,
                };
                (it.message_id, it.source_addr, recall)
            }
            _ => return Err(Status::EsmeRinvcmdid),
        };
        let (id, source) = (message_id.as_str().to_owned(), source.as_str().to_owned());
        out.get(&MESSAGES, &id, Then::Recalled { sequence, source, recall });
        self.pending += 1;
        Ok(())
    }

    /// The row is there, or is not.
    pub(crate) fn recalled(
        &mut self,
        smpp: &Smpp,
        (sequence, source, recall): (u32, &str, Recall),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let command = recall.command();
        let failure = match recall {
            Recall::Query => Status::EsmeRqueryfail,
            Recall::Cancel => Status::EsmeRcancelfail,
            Recall::Replace { .. } => Status::EsmeRreplacefail,
        };
        let Answer::Row(row) = answer else { return self.settled(command, sequence, Status::EsmeRsyserr, out) };
        let message: Option<Message> = row.map(|row| row.read()).transpose()?;
        let Some(message) = message.filter(|message| self.owns(message)) else {
            return self.settled(command, sequence, Status::EsmeRinvmsgid, out);
        };
        if message.source != source {
            return self.settled(command, sequence, failure, out);
        }
        let (state, enroute) = (message.state_at(out.now()), Enroute::of(&message));
        // Another service has it, and this one has not heard yet what has become of it.
        if let (State::Enroute, Some(service), Some(its_id)) = (state, &message.smsc, &message.smsc_id) {
            let (service, its_id) = (service.clone(), its_id.clone());
            self.ask_after(smpp, (&service, its_id), message, (sequence, recall), out);
            return Ok(());
        }
        match recall {
            Recall::Query => {
                self.pending = self.pending.saturating_sub(1);
                let done_at = if state == State::Enroute { 0 } else { message.due_at };
                let response = found(&message.message_id, state, done_at, 0);
                self.respond(&encode(Status::EsmeRok, sequence, &response), out);
            }
            // What an SMSC has that gave no name for it, is the SMSC's.
            _ if state != State::Enroute || message.smsc.is_some() => {
                return self.settled(command, sequence, failure, out);
            }
            _ if failed => return self.settled(command, sequence, Status::EsmeRsyserr, out),
            Recall::Cancel => {
                let cancelled = Cancelled { state: State::Deleted, due_at: nanos(out.now()) };
                out.swap(&MESSAGES, &enroute, &cancelled, Then::Changed { sequence, command, owed: 0 });
            }
            Recall::Replace { registered_delivery, short_message, tlvs, schedule, validity, default_message } => {
                let mut one = Message { registered_delivery, short_message, tlvs, default_message, ..message.clone() };
                // What is left empty stays (section 4.10.1), and so does the time that follows from it.
                if !(schedule.is_empty() && validity.is_empty()) {
                    let or = |new: String, old: &String| if new.is_empty() { old.clone() } else { new };
                    (one.schedule, one.validity) = (or(schedule, &message.schedule), or(validity, &message.validity));
                    if let Err(status) = plan(&mut one, &smpp.config.smsc, out.now()) {
                        return self.settled(command, sequence, status, out);
                    }
                }
                let replaced = Replaced {
                    registered_delivery,
                    short_message: &one.short_message,
                    tlvs: &one.tlvs,
                    schedule: &one.schedule,
                    validity: &one.validity,
                    default_message,
                    due_at: one.due_at,
                    outcome: one.outcome,
                    receipt_for: one.owes(one.outcome).then_some(one.system_id.as_str()),
                };
                let owed = i64::from(replaced.receipt_for.is_some()) - i64::from(message.receipt_for.is_some());
                out.swap(&MESSAGES, &enroute, &replaced, Then::Changed { sequence, command, owed });
            }
        }
        Ok(())
    }

    /// A message was changed, or was no longer under way.
    pub(crate) fn changed(
        &mut self,
        (sequence, command, owed): (u32, u32, i64),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        // Where it cannot be counted the bound is a little off; the message is changed already.
        if let (Answer::Changed(true), Stage::Bound { login, .. }, false) = (answer, &self.stage, failed) {
            count(&login.system_id, owed, &mut self.queue, out);
        }
        let status = match (answer, command) {
            (Answer::Changed(true), _) => Status::EsmeRok,
            (Answer::Changed(false), CANCEL_SM) => Status::EsmeRcancelfail,
            (Answer::Changed(false), _) => Status::EsmeRreplacefail,
            _ => Status::EsmeRsyserr,
        };
        self.settled(command, sequence, status, out)
    }

    /// Cancels all messages between two addresses (section 4.9.1).
    pub(crate) fn cancel_all(
        &mut self,
        (sequence, source, service_type): (u32, &str, &str),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let Answer::Rows(rows) = answer else { return self.settled(CANCEL_SM, sequence, Status::EsmeRsyserr, out) };
        if failed {
            return self.settled(CANCEL_SM, sequence, Status::EsmeRsyserr, out);
        }
        let (now, mut count) = (out.now(), 0);
        for message in rows.read::<Message>()? {
            let service = service_type.is_empty() || service_type == message.service_type;
            let enroute = message.state_at(now) == State::Enroute && message.smsc.is_none();
            if service && enroute && message.source == source && self.owns(&message) {
                out.update(&MESSAGES, &CancelledRow { id: &message.id, state: State::Deleted, due_at: nanos(now) });
                count += 1;
            }
        }
        let status = if count == 0 { Status::EsmeRcancelfail } else { Status::EsmeRok };
        self.settled(CANCEL_SM, sequence, status, out)
    }

    fn owns(&self, message: &Message) -> bool {
        match &self.stage {
            Stage::Bound { login, .. } | Stage::Unbinding { login, .. } => {
                login.system_id == message.system_id && !message.originated
            }
            _ => false,
        }
    }

    /// Answers a request that has waited for the store.
    pub(crate) fn settled(
        &mut self,
        command: u32,
        sequence: u32,
        status: Status,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        self.pending = self.pending.saturating_sub(1);
        self.refuse(command, sequence, status, out);
        Ok(())
    }
}

/// The response to a query: when the message got its final state, where it has one, and the network's error.
pub(crate) fn found(message_id: &str, state: State, done_at: i64, error: u8) -> Pdu {
    let done = if done_at == 0 { String::new() } else { absolute(done_at) };
    let done = match done.is_empty() {
        true => EmptyOrFullCOctetString::empty(),
        false => EmptyOrFullCOctetString::from_vec([done.as_bytes(), b"\0"].concat())
            .unwrap_or_else(|_| EmptyOrFullCOctetString::empty()),
    };
    QuerySmResp::new(field(message_id), done, MessageState::from(state as u8), error).into()
}

/// So many messages to one destination are looked at where all are to be cancelled.
const ALL_MAX: u32 = 1000;
