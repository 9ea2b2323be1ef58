//! What an ESME submits: `submit_sm` (4.4), `submit_multi` (4.5) and `data_sm` (4.7) become rows and a response.

use std::time::Duration;

use rusmpp_core::pdus::owned::{DataSmResp, Pdu, SubmitMultiResp, SubmitSmResp};
use rusmpp_core::values::owned::{DestAddress, UnsuccessSme};
use tandem_component::prelude::*;

use crate::config::Smsc;
use crate::message::{Message, nanos};
use crate::pdu::{DATA_SM, SUBMIT_MULTI, SUBMIT_SM, Status, field};
use crate::sms::{self, address};
use tandem_sms::Address;
use tandem_sms::State;
use tandem_sms::date;
use tandem_sms::tlv::{QOS_TIME_TO_LIVE, find, whole};

/// What comes of a submission. `M` is what is known of each of its messages.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Submission<M = Message> {
    /// `command_id` of the request.
    pub(crate) command: u32,
    /// What the ESME knows it by.
    pub(crate) message_id: String,
    pub(crate) messages: Vec<M>,
    /// The destinations of a `submit_multi` that are not served.
    pub(crate) refused: Vec<Refused>,
}

/// `unsuccess_sme` (section 4.5.2).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) address: Address,
    pub(crate) status: u32,
}

impl<M> Submission<M> {
    /// Where it was taken, for one destination at least.
    pub(crate) fn response(&self) -> Pdu {
        let id = field(&self.message_id);
        match self.command {
            SUBMIT_MULTI => {
                let refused = self.refused.iter().map(|Refused { address, status }| {
                    UnsuccessSme::new(
                        address.ton.into(),
                        address.npi.into(),
                        field(&address.digits),
                        Status::from(*status),
                    )
                });
                SubmitMultiResp::new(id, refused.collect(), Vec::new()).into()
            }
            DATA_SM => DataSmResp::new(id, Vec::new()).into(),
            _ => SubmitSmResp::new(id, Vec::new()).into(),
        }
    }
}

/// Checks a submission and makes its rows.
pub(crate) fn submit(pdu: &Pdu, id: String, system_id: &str, smsc: &Smsc, now: Time) -> Result<Submission, Status> {
    let sms = sms::of(pdu).ok_or(Status::EsmeRinvcmdid)?;
    let mut message = Message::of(sms, id, system_id, now);
    plan(&mut message, smsc, now)?;
    let command = match pdu {
        Pdu::SubmitMulti(it) => return multi(&message, it.dest_address()),
        Pdu::DataSm(_) => DATA_SM,
        _ => SUBMIT_SM,
    };
    checked(&mut message)?;
    Ok(Submission { command, message_id: message.id.clone(), messages: vec![message], refused: Vec::new() })
}

/// One row for each destination; those that cannot be served are named in the response (section 4.5.2).
fn multi(message: &Message, destinations: &[DestAddress]) -> Result<Submission, Status> {
    if destinations.is_empty() {
        return Err(Status::EsmeRinvnumdests);
    }
    let (mut messages, mut refused) = (Vec::new(), Vec::new());
    for destination in destinations {
        let address = match destination {
            DestAddress::SmeAddress(it) => {
                address(it.dest_addr_ton.into(), it.dest_addr_npi.into(), it.destination_addr.as_str())
            }
            DestAddress::DistributionListName(list) => {
                let address = address(0, 0, list.dl_name.as_str());
                refused.push(Refused { address, status: Status::EsmeRinvdlname.into() });
                continue;
            }
        };
        let mut one = message.clone();
        if !messages.is_empty() {
            one.id = format!("{}.{}", message.id, messages.len());
        }
        (one.destination_ton, one.destination_npi) = (address.ton, address.npi);
        one.destination.clone_from(&address.digits);
        match checked(&mut one) {
            Ok(()) => messages.push(one),
            Err(status @ Status::EsmeRinvdstadr) => refused.push(Refused { address, status: status.into() }),
            Err(status) => return Err(status),
        }
    }
    if messages.is_empty() {
        return Err(Status::EsmeRcntsubdl);
    }
    Ok(Submission { command: SUBMIT_MULTI, message_id: message.id.clone(), messages, refused })
}

/// Checks what the codec leaves open, and whether a receipt is owed.
fn checked(message: &mut Message) -> Result<(), Status> {
    if message.destination.is_empty() {
        return Err(Status::EsmeRinvdstadr);
    }
    if message.priority > 3 {
        return Err(Status::EsmeRinvprtflg);
    }
    if !whole(&message.tlvs) {
        return Err(Status::EsmeRinvtlvstream);
    }
    if message.replace_if_present > 1 {
        return Err(Status::EsmeRinvrepflag);
    }
    if message.registered_delivery & 0b11 == 0b11 {
        return Err(Status::EsmeRinvregdlvflg);
    }
    message.receipt_for = message.owes(message.outcome).then(|| message.system_id.clone());
    Ok(())
}

/// When the simulated SMSC delivers a message: after `schedule_delivery_time`, and not beyond `validity_period` (sections 5.2.15
/// and 5.2.16), which `qos_time_to_live` overrides (5.3.2.9).
pub(crate) fn plan(message: &mut Message, smsc: &Smsc, now: Time) -> Result<(), Status> {
    let schedule = date::read(&message.schedule, nanos(now)).map_err(|_| Status::EsmeRinvsched)?;
    let validity = date::read(&message.validity, nanos(now)).map_err(|_| Status::EsmeRinvexpiry)?;
    let lives = find(&message.tlvs, QOS_TIME_TO_LIVE).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
    let until = lives.map(|seconds| nanos(now + Duration::from_secs(seconds.into()))).or(validity);
    // What is scheduled for a time that has passed is due now: clocks differ.
    let from = schedule.unwrap_or(0).max(nanos(now));
    if until.is_some_and(|until| until <= from) {
        return Err(Status::EsmeRinvexpiry);
    }
    let delivered = nanos(Time::from_nanos(from.cast_unsigned()) + smsc.receipt_after);
    (message.due_at, message.outcome) = match until {
        Some(until) if until < delivered => (until, State::Expired),
        _ => (delivered, smsc.state),
    };
    Ok(())
}
