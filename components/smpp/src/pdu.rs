//! Bodies of PDUs to and from bytes, by the codec.
//!
//! The codec is given a copy of exactly one body, so nothing that it reads can reach into the next PDU. Bodies of responses
//! are not decoded: their status and sequence number say all that is needed.

use bytes::BytesMut;
use rusmpp_core::decode::owned::DecodeWithKeyOptional;
use rusmpp_core::encode::owned::Encode;
use rusmpp_core::pdus::owned::Pdu;
use rusmpp_core::types::owned::COctetString;
pub(crate) use rusmpp_core::{CommandId, CommandStatus as Status};

use crate::frame::{Frame, HEADER};

/// The body of a request; `None` where it is not one, or where bytes are left over.
pub fn decode(frame: &Frame<'_>) -> Option<Pdu> {
    let mut body = BytesMut::from(frame.body);
    let id = CommandId::from(frame.id);
    let (pdu, _) = Pdu::decode(id, &mut body, frame.body.len()).ok().flatten()?;
    body.is_empty().then_some(pdu)
}

/// A whole PDU.
pub fn encode(status: Status, sequence: u32, pdu: &Pdu) -> Vec<u8> {
    let mut body = BytesMut::new();
    pdu.encode(&mut body);
    framed(u32::from(pdu.command_id()), status, sequence, &body)
}

/// A PDU without a body: a response that is an error, or one that has none.
pub(crate) fn header(id: u32, status: Status, sequence: u32) -> Vec<u8> {
    framed(id, status, sequence, &[])
}

/// The bytes of several values of the codec, one after another.
pub(crate) fn bytes_of<T: Encode>(values: &[T]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    values.iter().for_each(|value| value.encode(&mut bytes));
    bytes.to_vec()
}

/// A text as a field of the codec; empty where it does not fit.
pub(crate) fn field<const MIN: usize, const MAX: usize>(text: &str) -> COctetString<MIN, MAX> {
    COctetString::from_vec([text.as_bytes(), b"\0"].concat()).unwrap_or_else(|_| COctetString::empty())
}

/// A PDU with this body.
pub(crate) fn framed(id: u32, status: Status, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).expect("what we encode is shorter than 4 GiB");
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    for number in [length, id, status.into(), sequence] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

/// The bit of `command_id` that makes it a response (section 5.1.2.1).
pub(crate) const RESPONSE: u32 = 0x8000_0000;

pub(crate) const GENERIC_NACK: u32 = RESPONSE;
pub(crate) const BIND_RECEIVER: u32 = 0x01;
pub(crate) const BIND_TRANSMITTER: u32 = 0x02;
pub(crate) const QUERY_SM: u32 = 0x03;
pub(crate) const SUBMIT_SM: u32 = 0x04;
pub(crate) const DELIVER_SM: u32 = 0x05;
pub(crate) const UNBIND: u32 = 0x06;
pub(crate) const REPLACE_SM: u32 = 0x07;
pub(crate) const CANCEL_SM: u32 = 0x08;
pub(crate) const BIND_TRANSCEIVER: u32 = 0x09;
pub(crate) const OUTBIND: u32 = 0x0b;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
pub(crate) const SUBMIT_MULTI: u32 = 0x21;
pub(crate) const ALERT_NOTIFICATION: u32 = 0x102;
pub(crate) const DATA_SM: u32 = 0x103;
