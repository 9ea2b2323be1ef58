//! What the octets of a message mean: [`Alphabet`].

use super::gsm7;
use crate::Coding;

/// In which characters a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alphabet {
    /// The GSM 7-bit default alphabet, a septet in each octet.
    Gsm7,
    /// IA5.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big-endian; UCS-2 is a part of it.
    Ucs2,
}

impl Alphabet {
    /// By `data_coding` (section 5.2.19): what it is from 0 to 15, and above that the groups of 3GPP 23.038, section 4.
    ///
    /// `None` where it is no text (2 and 4, and the 8-bit data of a group), is compressed, or is reserved or in an alphabet that
    /// nobody here reads (5 to 7, 9 to 15, 0x80 to 0xbf).
    ///
    /// That 0 is the GSM alphabet is what networks agree on, mostly: SMPP says that it is whatever the SMSC has.
    pub fn of(data_coding: u8) -> Option<Alphabet> {
        match data_coding {
            0x00 => Some(Alphabet::Gsm7),
            0x01 => Some(Alphabet::Ascii),
            0x03 => Some(Alphabet::Latin1),
            0x08 => Some(Alphabet::Ucs2),
            0x02..=0x0f => None,
            // General, and marked for automatic deletion: bit 5 says whether it is compressed, bits 3 and 2 the alphabet.
            0x10..=0x7f if data_coding & 0x20 != 0 => None,
            0x10..=0x7f => match data_coding >> 2 & 0b11 {
                0b01 => None,
                0b10 => Some(Alphabet::Ucs2),
                // What is reserved in a group is to be taken for the default alphabet.
                _ => Some(Alphabet::Gsm7),
            },
            0x80..=0xbf => None,
            // A message waits: to be discarded, to be stored, and the latter in UCS-2.
            0xc0..=0xdf => Some(Alphabet::Gsm7),
            0xe0..=0xef => Some(Alphabet::Ucs2),
            // With a message class.
            0xf0.. => (data_coding & 0b100 == 0).then_some(Alphabet::Gsm7),
        }
    }

    /// The text of octets. What is no character of the alphabet (an octet above 0x7f, half a surrogate pair, an octet that is left
    /// over) becomes U+FFFD.
    pub fn decode(self, octets: &[u8]) -> String {
        match self {
            Alphabet::Gsm7 => gsm7::decode(octets),
            Alphabet::Latin1 => octets.iter().copied().map(char::from).collect(),
            Alphabet::Ascii => {
                let character = |octet: u8| if octet.is_ascii() { char::from(octet) } else { REPLACEMENT };
                octets.iter().copied().map(character).collect()
            }
            Alphabet::Ucs2 => {
                let (units, rest) = octets.as_chunks();
                let units = units.iter().copied().map(u16::from_be_bytes);
                let characters = char::decode_utf16(units).map(|character| character.unwrap_or(REPLACEMENT));
                characters.chain(rest.iter().map(|_| REPLACEMENT)).collect()
            }
        }
    }
}

impl From<Coding> for Alphabet {
    fn from(coding: Coding) -> Self {
        match coding {
            Coding::Gsm7 => Alphabet::Gsm7,
            Coding::Latin1 => Alphabet::Latin1,
            Coding::Ucs2 => Alphabet::Ucs2,
        }
    }
}

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_coding_says_the_alphabet_or_that_it_is_no_text() {
        use Alphabet::{Ascii, Gsm7, Latin1, Ucs2};
        let expected = |data_coding: u8| match data_coding {
            0x00 | 0x10..=0x13 | 0x1c..=0x1f | 0x40..=0x43 | 0x4c..=0x4f | 0x50..=0x53 | 0x5c..=0x5f => Some(Gsm7),
            0x01 => Some(Ascii),
            0x03 => Some(Latin1),
            0x08 | 0x18..=0x1b | 0x48..=0x4b | 0x58..=0x5b | 0xe0..=0xef => Some(Ucs2),
            0xc0..=0xdf | 0xf0..=0xf3 | 0xf8..=0xfb => Some(Gsm7),
            _ => None,
        };
        for data_coding in 0..=u8::MAX {
            assert_eq!(Alphabet::of(data_coding), expected(data_coding), "{data_coding:#x}");
        }
    }

    #[test]
    fn what_a_coding_writes_its_alphabet_reads() {
        for coding in [Coding::Gsm7, Coding::Latin1, Coding::Ucs2] {
            assert_eq!(Alphabet::of(coding.data_coding()), Some(coding.into()));
            for character in (char::MIN..=char::MAX).filter(|character| coding.carries(*character)) {
                let text = character.to_string();
                let octets = coding.encode(&text).unwrap();
                assert_eq!(Alphabet::from(coding).decode(&octets), text, "{coding} {character:?}");
            }
        }
    }

    #[test]
    fn what_is_no_character_becomes_a_replacement() {
        assert_eq!(Alphabet::Ascii.decode(b"a\x80\xffb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(Alphabet::Latin1.decode(b"\x80\xe4\xff"), "\u{80}äÿ");
        assert_eq!(Alphabet::Ucs2.decode(b"\xd8\x3d\xde\0"), "😀");
        assert_eq!(Alphabet::Ucs2.decode(b"\0a\0"), "a\u{fffd}", "an octet is left over");
        assert_eq!(Alphabet::Ucs2.decode(b"\xd8\x3d\0a\xde\0"), "\u{fffd}a\u{fffd}", "halves");
    }
}
