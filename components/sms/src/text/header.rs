//! The user data header that a message may begin with (3GPP 23.040, section 9.2.3.24): [`Header`].

use thiserror::Error;

use super::Part;

/// A header whose elements end where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a>(&'a [u8]);

impl<'a> Header<'a> {
    /// The header that a message begins with, and what follows it.
    ///
    /// # Errors
    /// It is longer than the message, or an element is longer than what is left of it.
    pub fn read(message: &'a [u8]) -> Result<(Header<'a>, &'a [u8]), NoHeader> {
        let (length, rest) = message.split_first().ok_or(NoHeader::Empty)?;
        let length = usize::from(*length);
        let (header, rest) = rest.split_at_checked(length).ok_or(NoHeader::Cut { length, there: rest.len() })?;
        let mut elements = Elements(header);
        elements.by_ref().for_each(drop);
        match elements.0 {
            [] => Ok((Header(header), rest)),
            left => Err(NoHeader::Element { at: header.len() - left.len() }),
        }
    }

    /// What it says.
    pub fn elements(self) -> Elements<'a> {
        Elements(self.0)
    }

    /// Which part of a long message it is, with a reference of 8 bits (9.2.3.24.1) or of 16 (9.2.3.24.8). Of several the last counts,
    /// of a longer one its beginning. One that is shorter, or names no part that there can be, is as good as none.
    pub fn part(self) -> Option<Part> {
        let part = |(identifier, data): (u8, &[u8])| match (identifier, data) {
            (CONCATENATION_8, [reference, total, number, ..]) => Part::checked((*reference).into(), *total, *number),
            (CONCATENATION_16, [high, low, total, number, ..]) => {
                Part::checked(u16::from_be_bytes([*high, *low]), *total, *number)
            }
            _ => None,
        };
        self.elements().filter_map(part).last()
    }
}

/// The elements of a header, identifier and data, in their order.
#[derive(Clone, Debug)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [identifier, length, rest @ ..] = self.0 else { return None };
        let (data, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some((*identifier, data))
    }
}

/// Why a message that says that it begins with a user data header does not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoHeader {
    /// There is not even its length.
    #[error("the message is to begin with a user data header, and is empty")]
    Empty,
    /// The message ends before it does.
    #[error("the user data header is to be {length} octets long, of which {there} are there")]
    Cut {
        /// How long it says that it is, in octets.
        length: usize,
        /// How many octets follow.
        there: usize,
    },
    /// An element is longer than what is left of the header.
    #[error("the element at octet {at} of the user data header is longer than the header")]
    Element {
        /// Where it begins, in octets behind the length.
        at: usize,
    },
}

/// The header of a part, with a reference of 8 bits: six octets.
pub(super) fn with_8_bits(part: Part) -> Vec<u8> {
    let [_, reference] = part.reference.to_be_bytes();
    vec![5, CONCATENATION_8, 3, reference, part.total, part.number]
}

/// The header of a part, with a reference of 16 bits: seven octets.
pub(super) fn with_16_bits(part: Part) -> Vec<u8> {
    let [high, low] = part.reference.to_be_bytes();
    vec![6, CONCATENATION_16, 4, high, low, part.total, part.number]
}

const CONCATENATION_8: u8 = 0x00;
const CONCATENATION_16: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;

    fn part(message: &[u8]) -> Option<(u16, u8, u8)> {
        let (header, _) = Header::read(message).unwrap();
        header.part().map(|part| (part.reference, part.total, part.number))
    }

    #[test]
    fn a_part_is_known_by_its_header() {
        assert_eq!(part(b"\x05\0\x03\x07\x02\x01hello"), Some((7, 2, 1)));
        assert_eq!(part(b"\x06\x08\x04\x12\x34\x03\x03"), Some((0x1234, 3, 3)));
        assert_eq!(part(b"\x0b\x05\x04\x0b\x84\x23\xf0\0\x03\x07\x02\x01"), Some((7, 2, 1)), "behind ports");
        assert_eq!(part(b"\x0b\0\x03\x07\x02\x01\x08\x04\0\x09\x02\x02"), Some((9, 2, 2)), "the last counts");
        assert_eq!(part(b"\x06\0\x04\x07\x02\x01\xff"), Some((7, 2, 1)), "longer");
        let nothing = [
            &b"\0hello"[..],
            b"\x05\0\x03\x07\x02\0",
            b"\x05\0\x03\x07\x02\x03",
            b"\x05\0\x03\x07\0\0",
            b"\x04\0\x02\x07\x02",
            b"\x05\x08\x03\x07\x02\x01",
            b"\x02\x70\0",
        ];
        for message in nothing {
            assert_eq!(part(message), None, "{message:x?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let said = Part { reference: 0x1234, total: 255, number: 255 };
        let (eight, sixteen) = (with_8_bits(said), with_16_bits(said));
        assert_eq!((part(&eight), eight.len()), (Some((0x34, 255, 255)), 6));
        assert_eq!((part(&sixteen), sixteen.len()), (Some((0x1234, 255, 255)), 7));
    }

    #[test]
    fn elements_are_told_in_their_order_and_the_text_follows() {
        let (header, text) = Header::read(b"\x07\x70\0\x05\x03abchello").unwrap();
        assert_eq!((header.elements().collect::<Vec<_>>(), text), (vec![(0x70, &b""[..]), (5, b"abc")], &b"hello"[..]));
    }

    #[test]
    fn a_malformed_one_is_said_to_be_so() {
        let no = |message: &[u8]| Header::read(message).unwrap_err();
        assert_eq!(no(b""), NoHeader::Empty);
        let whole = b"\x05\0\x03\x07\x02\x01";
        for cut in 1..whole.len() {
            assert_eq!(no(&whole[..cut]), NoHeader::Cut { length: 5, there: cut - 1 });
        }
        assert_eq!(no(b"\x05\0\x04\x07\x02\x01hello"), NoHeader::Element { at: 0 });
        assert_eq!(no(b"\x06\0\x03\x07\x02\x01\x08hello"), NoHeader::Element { at: 5 });
        let said = no(b"\xff\0").to_string();
        assert_eq!(said, "the user data header is to be 255 octets long, of which 1 are there");
    }
}
