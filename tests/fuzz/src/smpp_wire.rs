//! PDUs as peers send them, right and wrong, written by hand so that a mistake of the codec is not made twice.

use crate::input::Input;

/// One PDU of those that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
}

impl Header {
    pub(crate) fn is_response(self) -> bool {
        self.id & RESPONSE != 0
    }

    /// Whether it takes a place in the window of whoever sends it.
    pub(crate) fn takes_a_place(self) -> bool {
        matches!(self.id, SUBMIT_SM | DELIVER_SM | DATA_SM)
    }
}

/// The PDUs in these bytes, which are as many as whole ones.
pub(crate) fn headers(mut bytes: &[u8]) -> (Vec<Header>, &[u8]) {
    let mut headers = Vec::new();
    loop {
        let number = |at: usize| {
            let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
            four.map_or(0, u32::from_be_bytes)
        };
        let length = number(0) as usize;
        if length < 16 || bytes.len() < length {
            return (headers, bytes);
        }
        headers.push(Header { id: number(4), status: number(8), sequence: number(12) });
        bytes = &bytes[length..];
    }
}

pub(crate) fn pdu(id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("an input is shorter");
    let numbers = [length, id, status, sequence].map(u32::to_be_bytes);
    [numbers.concat().as_slice(), body].concat()
}

/// A request as it should be.
pub(crate) fn request(input: &mut Input<'_>) -> Vec<u8> {
    let sequence = u32::from(input.byte());
    // The last is that of the first message: the harness's chance is the same each time.
    let ids = ["", "x", "695661c00000ac613e5bdbb1"];
    let (id, body) = match input.below(12) {
        0 => (input.one_of(&[1, 2, 9]), b"acme\0secret\0\0\x34\0\0\0".to_vec()),
        1 => (input.one_of(&[1, 2, 9]), format!("{}\0wrong\0\0\x34\0\0\0", input.one_of(&ids)).into_bytes()),
        2 => (QUERY_SM, format!("{}\0\x01\x01100\0", input.one_of(&ids)).into_bytes()),
        3 => (CANCEL_SM, format!("\0{}\0\x01\x01100\0\x02\x01200\0", input.one_of(&ids)).into_bytes()),
        4 => (REPLACE_SM, format!("{}\0\x01\x01100\0\0\0\x01\0\x02hi", input.one_of(&ids)).into_bytes()),
        5 => (input.one_of(&[UNBIND, ENQUIRE_LINK, ENQUIRE_LINK, ENQUIRE_LINK]), Vec::new()),
        6 => (DELIVER_SM, message(input)),
        7 => (DATA_SM, b"\0\x01\x01100\0\x02\x01200\0\0\x01\0\x04\x24\0\x02hi".to_vec()),
        8 => {
            (SUBMIT_MULTI, b"\0\x01\x01100\0\x02\x01\x01\x01200\0\x01\x01\x01300\0\0\0\0\0\0\x01\0\0\0\x02hi".to_vec())
        }
        _ => (SUBMIT_SM, message(input)),
    };
    pdu(id, 0, sequence, &body)
}

/// From 100 to 200, with an `esm_class`, a `registered_delivery` and a text that the input says.
fn message(input: &mut Input<'_>) -> Vec<u8> {
    let (class, registered, text) = (input.one_of(&[0, 0, 0x04, 0x40]), input.byte() & 0x1f, input.bytes());
    let text = &text[..text.len().min(254)];
    let length = u8::try_from(text.len()).expect("it was cut");
    let fixed = [class, 0, 0, 0, 0, registered, 0, 0, 0, length];
    [b"\0\x01\x01100\0\x02\x01200\0", &fixed[..], text].concat()
}

/// A PDU of any kind, with a body that the input says.
pub(crate) fn any(input: &mut Input<'_>) -> Vec<u8> {
    const IDS: [u32; 18] = [
        1,
        2,
        QUERY_SM,
        SUBMIT_SM,
        DELIVER_SM,
        UNBIND,
        REPLACE_SM,
        CANCEL_SM,
        9,
        0x0b,
        ENQUIRE_LINK,
        SUBMIT_MULTI,
        0x102,
        DATA_SM,
        RESPONSE,
        0x112,
        0,
        0x7fff_ffff,
    ];
    let (id, sequence) = (input.one_of(&IDS), u32::from(input.byte()));
    pdu(id, 0, sequence, input.bytes())
}

/// A response of any kind.
pub(crate) fn response(input: &mut Input<'_>) -> Vec<u8> {
    const IDS: [u32; 10] = [DELIVER_SM, DELIVER_SM, DELIVER_SM, SUBMIT_SM, 1, 2, 9, UNBIND, ENQUIRE_LINK, 0];
    let id = input.one_of(&IDS) | RESPONSE;
    let (status, sequence) = (input.one_of(&[0, 0, 0, 8, 0x14, 0x58]), u32::from(input.byte() & 0x0f));
    let body = if input.below(4) == 0 { input.bytes() } else { b"id7\0" };
    pdu(id, status, sequence, body)
}

pub(crate) const RESPONSE: u32 = 0x8000_0000;
pub(crate) const QUERY_SM: u32 = 3;
pub(crate) const SUBMIT_SM: u32 = 4;
pub(crate) const DELIVER_SM: u32 = 5;
pub(crate) const UNBIND: u32 = 6;
pub(crate) const REPLACE_SM: u32 = 7;
pub(crate) const CANCEL_SM: u32 = 8;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
pub(crate) const SUBMIT_MULTI: u32 = 0x21;
pub(crate) const DATA_SM: u32 = 0x103;
