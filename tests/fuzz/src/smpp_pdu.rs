//! PDUs of SMPP, frame and body: what is incomplete is not malformed, the length alone decides, and what was decoded is
//! encoded and decoded again as the same.

use tandem_smpp::frame::{self, Frame, HEADER, NoFrame};
use tandem_smpp::pdu;

/// What may follow `command_id` 0, requests and responses.
const IDS: [u32; 24] = [
    0x01,
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x07,
    0x08,
    0x09,
    0x0b,
    0x15,
    0x21,
    0x102,
    0x103,
    0x111,
    0x112,
    0x8000_0000,
    0x8000_0001,
    0x8000_0003,
    0x8000_0004,
    0x8000_0005,
    0x8000_0009,
    0x8000_0021,
    0x8000_0103,
];

pub(crate) fn run(data: &[u8]) {
    for longest in [256, 16 << 10] {
        match frame::next(data, longest) {
            Ok(found) => is_whole(data, &found, longest),
            Err(NoFrame::Incomplete) => may_be_completed(data, longest),
            Err(NoFrame::Length(length)) => is_out_of_range(data, length, longest),
        }
        for length in [0, 15, u32::MAX] {
            let with = [&length.to_be_bytes(), data.get(4..).unwrap_or_default()].concat();
            is_out_of_range(&with, length, longest);
        }
    }
    let Some((first, body)) = data.get(HEADER..).and_then(<[u8]>::split_first) else { return };
    let id = IDS[usize::from(*first) % IDS.len()];
    is_encoded_again(&Frame { id, status: 0, sequence: 1, body });
}

fn is_whole(data: &[u8], found: &Frame<'_>, longest: u32) {
    let length = found.length();
    assert!((HEADER..=longest as usize).contains(&length) && length <= data.len());
    assert_eq!(frame::next(&data[..length], longest), Ok(*found), "what follows is no part of it");
    for cut in [0, 1, 3, 4, 5, HEADER - 1, HEADER, length - 1] {
        let short = &data[..cut.min(length - 1)];
        assert_eq!(frame::next(short, longest), Err(NoFrame::Incomplete), "{cut} of {length}");
    }
    is_encoded_again(found);
}

fn may_be_completed(data: &[u8], longest: u32) {
    let rest = vec![0; longest as usize + HEADER];
    let completed = frame::next(&[data, &rest].concat(), longest).map(|_| ());
    // Of fewer than four bytes nobody knows how long it will be.
    assert!(completed.is_ok() || data.len() < 4, "{completed:?}");
}

fn is_out_of_range(data: &[u8], length: u32, longest: u32) {
    assert!((length as usize) < HEADER || length > longest);
    for n in 4..data.len().min(HEADER + 4) {
        assert_eq!(frame::next(&data[..n], longest), Err(NoFrame::Length(length)), "its length is all that counts");
    }
}

fn is_encoded_again(found: &Frame<'_>) {
    let Some(body) = pdu::decode(found) else { return };
    let bytes = pdu::encode(0.into(), found.sequence, &body);
    let again = frame::next(&bytes, u32::MAX).expect("what we encode is a PDU");
    assert_eq!((again.id, again.sequence, again.length()), (found.id, found.sequence, bytes.len()));
    assert_eq!(pdu::decode(&again).as_ref(), Some(&body), "what was encoded is decoded as the same");
}
