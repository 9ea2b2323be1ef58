//! What a message carries: [`Content`], and what the parts of a long one say together: [`join`].

use super::{Alphabet, Header, NoHeader, UDHI};
use crate::Sms;
use crate::tlv::{MESSAGE_PAYLOAD, SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS, find};

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// Its user data header, where it has one.
    pub header: Option<Header<'a>>,
    /// Which part of a long message it is, where it is one: by its header, or else by its TLVs.
    pub part: Option<Part>,
    /// In which characters it is written; `None` where it is no text, or none that anybody here can read.
    pub alphabet: Option<Alphabet>,
    /// What follows the header.
    pub octets: &'a [u8],
}

/// Which part of a long message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// What all its parts have in common, among those of one sender to one destination.
    pub reference: u16,
    /// How many parts there are, at least one.
    pub total: u8,
    /// Which of them it is, from 1 to `total`.
    pub number: u8,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is text.
    Text(String),
    /// It is not, or not in all its parts.
    Octets(Vec<u8>),
}

impl<'a> Content<'a> {
    /// Of a message: of its `short_message`, or of its `message_payload` where that is empty (sections 5.2.22 and 5.3.2.32).
    ///
    /// # Errors
    /// It is to begin with a user data header, and does not.
    pub fn of(sms: &'a Sms) -> Result<Content<'a>, NoHeader> {
        let message = match sms.short_message.as_slice() {
            [] => find(&sms.tlvs, MESSAGE_PAYLOAD).unwrap_or_default(),
            message => message,
        };
        let (header, octets) = match sms.esm_class & UDHI {
            0 => (None, message),
            _ => Header::read(message).map(|(header, octets)| (Some(header), octets))?,
        };
        let part = header.and_then(Header::part).or_else(|| Part::by_tlvs(&sms.tlvs));
        Ok(Content { header, part, alphabet: Alphabet::of(sms.data_coding), octets })
    }

    /// What it says by itself.
    pub fn text(&self) -> Option<String> {
        self.alphabet.map(|alphabet| alphabet.decode(self.octets))
    }
}

impl Part {
    /// As three TLVs say it (sections 5.3.2.22 to 5.3.2.24). Where one of them is missing, the others say nothing.
    fn by_tlvs(tlvs: &[u8]) -> Option<Part> {
        let reference = find(tlvs, SAR_MSG_REF_NUM)?.try_into().ok().map(u16::from_be_bytes)?;
        let (&[total], &[number]) = (find(tlvs, SAR_TOTAL_SEGMENTS)?, find(tlvs, SAR_SEGMENT_SEQNUM)?) else {
            return None;
        };
        Part::checked(reference, total, number)
    }

    pub(super) fn checked(reference: u16, total: u8, number: u8) -> Option<Part> {
        (1..=total).contains(&number).then_some(Part { reference, total, number })
    }
}

/// What the parts of a message say together, in the order in which they are given.
///
/// Parts in one alphabet are joined before they are decoded: others cut between the halves of a character. Where one is no
/// text, all is octets.
pub fn join(parts: &[Content<'_>]) -> Joined {
    let mut text = String::new();
    for run in parts.chunk_by(|one, next| one.alphabet == next.alphabet) {
        let octets = joined(run);
        match run.first().and_then(|part| part.alphabet) {
            Some(alphabet) => text += &alphabet.decode(&octets),
            None => return Joined::Octets(joined(parts)),
        }
    }
    Joined::Text(text)
}

fn joined(parts: &[Content<'_>]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.octets).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlv;

    fn message(data_coding: u8, octets: &[u8]) -> Sms {
        Sms { data_coding, short_message: octets.to_vec(), ..Sms::default() }
    }

    fn says(parts: &[Sms]) -> Joined {
        join(&parts.iter().map(|part| Content::of(part).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_character_that_others_have_cut_is_whole_again() {
        assert_eq!(says(&[message(0, b"5 \x1b"), message(0, b"e!")]), Joined::Text("5 €!".into()));
        assert_eq!(says(&[message(8, b"\xd8\x3d"), message(8, b"\xde\0")]), Joined::Text("😀".into()));
        assert_eq!(says(&[message(8, b"\0a\0"), message(0x18, b"b")]), Joined::Text("ab".into()));
    }

    #[test]
    fn parts_in_several_alphabets_are_text_and_with_other_parts_octets() {
        assert_eq!(says(&[message(0, b"a\0"), message(8, b"\0b"), message(3, b"\xe4")]), Joined::Text("a@bä".into()));
        assert_eq!(
            says(&[message(0, b"a"), message(4, b"\xff"), message(0, b"c")]),
            Joined::Octets(b"a\xffc".to_vec())
        );
        assert_eq!(says(&[message(4, b"")]), Joined::Octets(Vec::new()));
        assert_eq!(says(&[]), Joined::Text(String::new()));
    }

    #[test]
    fn a_payload_is_read_where_there_is_no_short_message() {
        let mut sms = message(0, b"");
        assert_eq!(Content::of(&sms).unwrap().text().as_deref(), Some(""));
        tlv::write(&mut sms.tlvs, MESSAGE_PAYLOAD, b"\x05\0\x03\x07\x02\x01hello");
        sms.esm_class = UDHI;
        let content = Content::of(&sms).unwrap();
        assert_eq!((content.octets, content.part), (&b"hello"[..], Part::checked(7, 2, 1)));
        sms.short_message = b"\0short".to_vec();
        assert_eq!(Content::of(&sms).unwrap().octets, b"short");
        sms.short_message = b"short".to_vec();
        assert_eq!(Content::of(&sms).unwrap_err(), NoHeader::Cut { length: usize::from(b's'), there: 4 });
    }

    #[test]
    fn three_tlvs_say_the_part_or_none_does() {
        const PARTS: [(u16, &[u8]); 3] =
            [(SAR_MSG_REF_NUM, b"\x01\x02"), (SAR_TOTAL_SEGMENTS, b"\x03"), (SAR_SEGMENT_SEQNUM, b"\x02")];
        let part = |parts: &[(u16, &[u8])]| {
            let mut sms = message(0, b"hello");
            parts.iter().for_each(|(tag, value)| tlv::write(&mut sms.tlvs, *tag, value));
            Content::of(&sms).unwrap().part
        };
        assert_eq!(part(&PARTS), Some(Part { reference: 0x102, total: 3, number: 2 }));
        for missing in 0..3 {
            let mut parts = PARTS.to_vec();
            parts.remove(missing);
            assert_eq!(part(&parts), None, "{missing}");
            for wrong in [&b""[..], b"\0", b"\0\0\0"] {
                let mut parts = PARTS.to_vec();
                parts[missing].1 = wrong;
                assert_eq!(part(&parts), None, "{missing} {wrong:?}");
            }
        }
    }

    #[test]
    fn a_header_says_the_part_before_tlvs_do() {
        let mut sms = message(0, b"\x05\0\x03\x07\x02\x01hello");
        sms.esm_class = UDHI;
        tlv::write(&mut sms.tlvs, SAR_MSG_REF_NUM, b"\0\x09");
        tlv::write(&mut sms.tlvs, SAR_TOTAL_SEGMENTS, b"\x03");
        tlv::write(&mut sms.tlvs, SAR_SEGMENT_SEQNUM, b"\x02");
        assert_eq!(Content::of(&sms).unwrap().part, Part::checked(7, 2, 1));
        sms.short_message = b"\x02\x70\0hello".to_vec();
        assert_eq!(Content::of(&sms).unwrap().part, Part::checked(9, 3, 2));
    }
}
