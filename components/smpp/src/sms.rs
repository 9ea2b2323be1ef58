//! An [`Sms`] from a PDU, and to the body of one.

use rusmpp_core::pdus::owned::Pdu;

use crate::exchange::{Address, Sms};
use crate::pdu::bytes_of;

impl Sms {
    /// What a `deliver_sm` (4.6) or a `data_sm` (4.7) carries.
    pub(crate) fn delivered(pdu: Pdu) -> Option<Sms> {
        match pdu {
            Pdu::DeliverSm(it) => Some(Sms {
                service_type: it.service_type.value().as_str().to_owned(),
                source: address(it.source_addr_ton.into(), it.source_addr_npi.into(), it.source_addr.as_str()),
                destination: address(it.dest_addr_ton.into(), it.dest_addr_npi.into(), it.destination_addr.as_str()),
                esm_class: it.esm_class.into(),
                protocol_id: it.protocol_id,
                priority: it.priority_flag.into(),
                registered_delivery: it.registered_delivery.into(),
                data_coding: it.data_coding.into(),
                tlvs: bytes_of(it.tlvs()),
                short_message: it.short_message().clone().into_vec(),
                ..Sms::default()
            }),
            Pdu::DataSm(it) => Some(Sms {
                service_type: it.service_type.value().as_str().to_owned(),
                source: address(it.source_addr_ton.into(), it.source_addr_npi.into(), it.source_addr.as_str()),
                destination: address(it.dest_addr_ton.into(), it.dest_addr_npi.into(), it.destination_addr.as_str()),
                esm_class: it.esm_class.into(),
                registered_delivery: it.registered_delivery.into(),
                data_coding: it.data_coding.into(),
                tlvs: bytes_of(it.tlvs()),
                ..Sms::default()
            }),
            _ => None,
        }
    }

    /// The body of `submit_sm` and `deliver_sm`, which are laid out alike. Written field by field, so that a user data header
    /// and TLVs that nobody here knows go on as they came.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(64 + self.short_message.len() + self.tlvs.len());
        let text = |body: &mut Vec<u8>, text: &str| {
            // A byte 0 would end the field: what follows it is not part of the text.
            body.extend(text.bytes().take_while(|byte| *byte != 0));
            body.push(0);
        };
        text(&mut body, &self.service_type);
        for address in [&self.source, &self.destination] {
            body.extend([address.ton, address.npi]);
            text(&mut body, &address.digits);
        }
        body.extend([self.esm_class, self.protocol_id, self.priority]);
        text(&mut body, &self.schedule);
        text(&mut body, &self.validity);
        body.extend([self.registered_delivery, self.replace_if_present, self.data_coding, self.default_message]);
        // A longer one does not fit its length; the codec that checks the body finds bytes left over.
        body.push(u8::try_from(self.short_message.len()).unwrap_or(u8::MAX));
        body.extend(&self.short_message);
        body.extend(&self.tlvs);
        body
    }
}

fn address(ton: u8, npi: u8, digits: &str) -> Address {
    Address { ton, npi, digits: digits.to_owned() }
}
