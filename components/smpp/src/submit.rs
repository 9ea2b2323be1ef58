//! What an ESME submits: `submit_sm` (4.4), `submit_multi` (4.5) and `data_sm` (4.7) become rows and a response.

use rusmpp_core::pdus::owned::{DataSmResp, Pdu, SubmitMultiResp, SubmitSmResp};
use rusmpp_core::values::owned::{DestAddress, UnsuccessSme};
use rusmpp_core::values::{Npi, Ton};

use tandem_component::Time;

use crate::config::Smsc;
use crate::date::is_time;
use crate::message::{Message, State, nanos};
use crate::pdu::{Status, bytes_of, field};
use crate::tlv::whole;

/// What comes of a submission.
pub(crate) struct Submission {
    pub(crate) messages: Vec<Message>,
    pub(crate) response: Pdu,
}

/// Checks a submission and makes its rows.
pub(crate) fn submit(pdu: Pdu, id: String, system_id: &str, smsc: &Smsc, now: Time) -> Result<Submission, Status> {
    let mut message = Message {
        id: id.clone(),
        message_id: id.clone(),
        system_id: system_id.to_owned(),
        service_type: String::new(),
        source_ton: 0,
        source_npi: 0,
        source: String::new(),
        destination_ton: 0,
        destination_npi: 0,
        destination: String::new(),
        esm_class: 0,
        protocol_id: 0,
        priority: 0,
        registered_delivery: 0,
        data_coding: 0,
        short_message: Vec::new(),
        tlvs: Vec::new(),
        submitted_at: nanos(now),
        due_at: nanos(now + smsc.receipt_after),
        state: State::Enroute,
        outcome: smsc.state,
        receipt_for: None,
        claimed_until: 0,
        receipt_sent: None,
    };
    match pdu {
        Pdu::SubmitSm(it) => {
            times(it.schedule_delivery_time.as_str(), it.validity_period.as_str())?;
            message.service_type = it.service_type.value().as_str().to_owned();
            (message.source_ton, message.source_npi) = (it.source_addr_ton.into(), it.source_addr_npi.into());
            message.source = it.source_addr.as_str().to_owned();
            (message.destination_ton, message.destination_npi) = (it.dest_addr_ton.into(), it.dest_addr_npi.into());
            message.destination = it.destination_addr.as_str().to_owned();
            message.esm_class = it.esm_class.into();
            message.protocol_id = it.protocol_id;
            message.priority = it.priority_flag.into();
            message.registered_delivery = it.registered_delivery.into();
            message.data_coding = it.data_coding.into();
            message.tlvs = bytes_of(it.tlvs());
            message.short_message = it.short_message().clone().into_vec();
            checked(&mut message)?;
            let response = SubmitSmResp::new(field(&id), Vec::new()).into();
            Ok(Submission { messages: vec![message], response })
        }
        Pdu::DataSm(it) => {
            message.service_type = it.service_type.value().as_str().to_owned();
            (message.source_ton, message.source_npi) = (it.source_addr_ton.into(), it.source_addr_npi.into());
            message.source = it.source_addr.as_str().to_owned();
            (message.destination_ton, message.destination_npi) = (it.dest_addr_ton.into(), it.dest_addr_npi.into());
            message.destination = it.destination_addr.as_str().to_owned();
            message.esm_class = it.esm_class.into();
            message.registered_delivery = it.registered_delivery.into();
            message.data_coding = it.data_coding.into();
            message.tlvs = bytes_of(it.tlvs());
            checked(&mut message)?;
            let response = DataSmResp::new(field(&id), Vec::new()).into();
            Ok(Submission { messages: vec![message], response })
        }
        Pdu::SubmitMulti(it) => {
            times(it.schedule_delivery_time.as_str(), it.validity_period.as_str())?;
            message.service_type = it.service_type.value().as_str().to_owned();
            (message.source_ton, message.source_npi) = (it.source_addr_ton.into(), it.source_addr_npi.into());
            message.source = it.source_addr.as_str().to_owned();
            message.esm_class = it.esm_class.into();
            message.protocol_id = it.protocol_id;
            message.priority = it.priority_flag.into();
            message.registered_delivery = it.registered_delivery.into();
            message.data_coding = it.data_coding.into();
            message.tlvs = bytes_of(it.tlvs());
            message.short_message = it.short_message().clone().into_vec();
            multi(&message, it.dest_address())
        }
        _ => Err(Status::EsmeRinvcmdid),
    }
}

/// One row for each destination; those that cannot be served are named in the response (section 4.5.2).
fn multi(message: &Message, destinations: &[DestAddress]) -> Result<Submission, Status> {
    if destinations.is_empty() {
        return Err(Status::EsmeRinvnumdests);
    }
    let (mut messages, mut failed) = (Vec::new(), Vec::new());
    for destination in destinations {
        let address = match destination {
            DestAddress::SmeAddress(address) => address,
            DestAddress::DistributionListName(list) => {
                let name = field(list.dl_name.as_str());
                failed.push(UnsuccessSme::new(Ton::default(), Npi::default(), name, Status::EsmeRinvdlname));
                continue;
            }
        };
        let mut one = message.clone();
        if !messages.is_empty() {
            one.id = format!("{}.{}", message.id, messages.len());
        }
        (one.destination_ton, one.destination_npi) = (address.dest_addr_ton.into(), address.dest_addr_npi.into());
        one.destination = address.destination_addr.as_str().to_owned();
        match checked(&mut one) {
            Ok(()) => messages.push(one),
            Err(Status::EsmeRinvdstadr) => failed.push(UnsuccessSme::new(
                address.dest_addr_ton,
                address.dest_addr_npi,
                address.destination_addr.clone(),
                Status::EsmeRinvdstadr,
            )),
            Err(status) => return Err(status),
        }
    }
    if messages.is_empty() {
        return Err(Status::EsmeRcntsubdl);
    }
    let response = SubmitMultiResp::new(field(&message.id), failed, Vec::new()).into();
    Ok(Submission { messages, response })
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
    message.receipt_for = owed(message.registered_delivery, message.outcome)?.then(|| message.system_id.clone());
    Ok(())
}

/// Whether a receipt is owed for this outcome (section 5.2.17).
pub(crate) fn owed(registered_delivery: u8, outcome: State) -> Result<bool, Status> {
    match registered_delivery & 0b11 {
        0 => Ok(false),
        1 => Ok(true),
        2 => Ok(outcome != State::Delivered),
        _ => Err(Status::EsmeRinvregdlvflg),
    }
}

fn times(schedule: &str, validity: &str) -> Result<(), Status> {
    match (is_time(schedule), is_time(validity)) {
        (false, _) => Err(Status::EsmeRinvsched),
        (_, false) => Err(Status::EsmeRinvexpiry),
        _ => Ok(()),
    }
}
