//! An [`Sms`] from a PDU ([`of`]), and to the [`body`] of one.

use rusmpp_core::pdus::owned::Pdu;

use crate::pdu::bytes_of;
use tandem_sms::{Address, Sms};

/// What a `submit_sm` (4.4), `submit_multi` (4.5), `data_sm` (4.7) or `deliver_sm` (4.6) carries. The destinations of a
/// `submit_multi` are left to whoever asks.
pub(crate) fn of(pdu: &Pdu) -> Option<Sms> {
    macro_rules! common {
        ($it:ident) => {
            Sms {
                service_type: $it.service_type.value().as_str().to_owned(),
                source: address($it.source_addr_ton.into(), $it.source_addr_npi.into(), $it.source_addr.as_str()),
                esm_class: $it.esm_class.into(),
                registered_delivery: $it.registered_delivery.into(),
                data_coding: $it.data_coding.into(),
                tlvs: bytes_of($it.tlvs()),
                ..Sms::default()
            }
        };
    }
    macro_rules! message {
        ($it:ident) => {
            Sms {
                protocol_id: $it.protocol_id,
                priority: $it.priority_flag.into(),
                schedule: $it.schedule_delivery_time.as_str().to_owned(),
                validity: $it.validity_period.as_str().to_owned(),
                replace_if_present: $it.replace_if_present_flag.into(),
                default_message: $it.sm_default_msg_id,
                short_message: $it.short_message().clone().into_vec(),
                ..common!($it)
            }
        };
    }
    macro_rules! destination {
        ($it:ident) => {
            address($it.dest_addr_ton.into(), $it.dest_addr_npi.into(), $it.destination_addr.as_str())
        };
    }
    match pdu {
        Pdu::SubmitSm(it) => Some(Sms { destination: destination!(it), ..message!(it) }),
        Pdu::DeliverSm(it) => Some(Sms { destination: destination!(it), ..message!(it) }),
        Pdu::SubmitMulti(it) => Some(message!(it)),
        Pdu::DataSm(it) => Some(Sms { destination: destination!(it), ..common!(it) }),
        _ => None,
    }
}

/// The body of `submit_sm` and `deliver_sm`, which are laid out alike. Written field by field, so that a user data header
/// and TLVs that nobody here knows go on as they came.
pub(crate) fn body(sms: &Sms) -> Vec<u8> {
    let mut body = Vec::with_capacity(64 + sms.short_message.len() + sms.tlvs.len());
    let text = |body: &mut Vec<u8>, text: &str| {
        // A byte 0 would end the field: what follows it is not part of the text.
        body.extend(text.bytes().take_while(|byte| *byte != 0));
        body.push(0);
    };
    text(&mut body, &sms.service_type);
    for address in [&sms.source, &sms.destination] {
        body.extend([address.ton, address.npi]);
        text(&mut body, &address.digits);
    }
    body.extend([sms.esm_class, sms.protocol_id, sms.priority]);
    text(&mut body, &sms.schedule);
    text(&mut body, &sms.validity);
    body.extend([sms.registered_delivery, sms.replace_if_present, sms.data_coding, sms.default_message]);
    // A longer one does not fit its length; the codec that checks the body finds bytes left over.
    body.push(u8::try_from(sms.short_message.len()).unwrap_or(u8::MAX));
    body.extend(&sms.short_message);
    body.extend(&sms.tlvs);
    body
}

pub(crate) fn address(ton: u8, npi: u8, digits: &str) -> Address {
    Address { ton, npi, digits: digits.to_owned() }
}
