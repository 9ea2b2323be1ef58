//! A text to the messages that say it: [`split`].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{NotCarried, Part, UDHI, encode, gsm7, header};
use crate::tlv::{self, MESSAGE_PAYLOAD, SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS};
use crate::{Coding, Sms};

/// How a text that is longer than one message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Concatenation {
    /// In parts of up to 153 septets, 134 octets or 67 units, each with a user data header whose reference has 8 bits (3GPP 23.040,
    /// section 9.2.3.24.1). This is what phones have known for longest.
    #[default]
    Udh8,
    /// In parts of up to 152 septets, 133 octets or 66 units, each with a user data header whose reference has 16 bits (9.2.3.24.8).
    Udh16,
    /// In parts that the SMSC is told of by TLVs (sections 5.3.2.22 to 5.3.2.24). It may write a header with 16 bits, so they are as
    /// long as with [`Udh16`](Concatenation::Udh16).
    Sar,
    /// In one `message_payload` (section 5.3.2.32), which the SMSC splits.
    Payload,
}

/// The messages that say a text: each as `sms`, but with `data_coding`, `short_message`, and what it takes to put them together
/// again. There is one without any of that where the text fits: up to 160 septets, 140 octets or 70 units of UTF-16.
///
/// `sms` has no message, no payload and no TLVs of a part. All parts have the `reference`; of that [`Concatenation::Udh8`] takes
/// the lower half.
///
/// # Errors
/// The coding that is wanted does not carry a character, or the text is longer than can be sent in this way.
pub fn split(
    sms: &Sms,
    text: &str,
    wanted: Option<Coding>,
    by: Concatenation,
    reference: u16,
) -> Result<Vec<Sms>, NotSplit> {
    let (coding, octets) = encode(text, wanted)?;
    let whole = Sms {
        esm_class: sms.esm_class & !UDHI,
        data_coding: coding.data_coding(),
        short_message: Vec::new(),
        ..sms.clone()
    };
    if octets.len() <= room(coding, 0) {
        return Ok(vec![Sms { short_message: octets, ..whole }]);
    }
    let (header, mark): (usize, fn(&mut Sms, Part)) = match by {
        Concatenation::Udh8 => (6, |sms, part| begin(sms, header::with_8_bits(part))),
        Concatenation::Udh16 => (7, |sms, part| begin(sms, header::with_16_bits(part))),
        Concatenation::Sar => (7, tell),
        Concatenation::Payload => return in_one(whole, &octets).map(|sms| vec![sms]),
    };
    let parts = cut(&octets, coding, room(coding, header));
    let total = u8::try_from(parts.len()).map_err(|_| NotSplit::Parts { parts: parts.len() })?;
    let part = |(number, octets): (u8, &[u8])| {
        let mut sms = whole.clone();
        mark(&mut sms, Part { reference, total, number });
        sms.short_message.extend(octets);
        sms
    };
    Ok((1..=total).zip(parts).map(part).collect())
}

/// Why a text is not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotSplit {
    /// A character is not carried.
    #[error(transparent)]
    Character(#[from] NotCarried),
    /// It would be too many parts.
    #[error("the text is too long: it would be {parts} parts, of at most {PARTS_MAX}")]
    Parts {
        /// How many.
        parts: usize,
    },
    /// It does not fit into a payload.
    #[error("the text is too long: it would be a payload of {octets} octets, of at most 65535")]
    Payload {
        /// How long it is.
        octets: usize,
    },
}

/// As many parts as a message has at most.
pub const PARTS_MAX: u8 = u8::MAX;

fn in_one(mut sms: Sms, octets: &[u8]) -> Result<Sms, NotSplit> {
    if octets.len() > usize::from(u16::MAX) {
        return Err(NotSplit::Payload { octets: octets.len() });
    }
    tlv::write(&mut sms.tlvs, MESSAGE_PAYLOAD, octets);
    Ok(sms)
}

fn begin(sms: &mut Sms, header: Vec<u8>) {
    sms.esm_class |= UDHI;
    sms.short_message = header;
}

fn tell(sms: &mut Sms, part: Part) {
    tlv::write(&mut sms.tlvs, SAR_MSG_REF_NUM, &part.reference.to_be_bytes());
    tlv::write(&mut sms.tlvs, SAR_TOTAL_SEGMENTS, &[part.total]);
    tlv::write(&mut sms.tlvs, SAR_SEGMENT_SEQNUM, &[part.number]);
}

/// How many octets of `short_message` a network takes behind a header of so many. It has 140 octets for both; septets are packed
/// there, and begin at the next multiple of seven bits.
fn room(coding: Coding, header: usize) -> usize {
    let octets = 140 - header;
    match coding {
        Coding::Gsm7 => octets * 8 / 7,
        Coding::Latin1 => octets,
        Coding::Ucs2 => octets / 2 * 2,
    }
}

fn cut(mut octets: &[u8], coding: Coding, room: usize) -> Vec<&[u8]> {
    let mut parts = Vec::with_capacity(octets.len() / room + 1);
    while let Some(part) = octets.get(..room).filter(|part| part.len() < octets.len()) {
        let (part, rest) = octets.split_at(room - half(coding, part));
        parts.push(part);
        octets = rest;
    }
    parts.push(octets);
    parts
}

/// How many octets at its end are the first half of a character: of an escape or of a surrogate pair.
fn half(coding: Coding, part: &[u8]) -> usize {
    match (coding, part) {
        (Coding::Gsm7, [.., gsm7::ESCAPE]) => 1,
        (Coding::Ucs2, [.., 0xd8..=0xdb, _]) => 2,
        _ => 0,
    }
}
