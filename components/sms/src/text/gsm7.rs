//! The GSM 7-bit default alphabet (3GPP 23.038, section 6.2.1) with its extension table (6.2.1.1).
//!
//! A septet stands in an octet of its own, as in SMPP with `data_coding` 0. To write text, see [`Coding::Gsm7`].

#[cfg(doc)]
use crate::Coding;

/// How many septets a character takes: two where it is in the extension table, none where the alphabet does not have it.
pub fn septets(character: char) -> Option<usize> {
    if default(character).is_some() { Some(1) } else { extension(character).map(|_| 2) }
}

/// How many septets a text takes; `None` where the alphabet does not have one of its characters.
pub fn count(text: &str) -> Option<usize> {
    text.chars().map(septets).sum()
}

/// The text of septets.
///
/// An escape to what the extension table does not have shows what the default alphabet has there, and one to another table, or to
/// nothing, shows a space, as 3GPP 23.038 wants it. An octet above 0x7f is no septet: it becomes U+FFFD.
pub fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        text.push(if octet == ESCAPE { escaped(octets.next()) } else { character(octet) });
    }
    text
}

/// Adds the septets of a character; `None`, and nothing is added, where the alphabet does not have it.
pub(super) fn write(character: char, octets: &mut Vec<u8>) -> Option<()> {
    match default(character) {
        Some(septet) => octets.push(septet),
        None => octets.extend([ESCAPE, extension(character)?]),
    }
    Some(())
}

fn default(character: char) -> Option<u8> {
    match character {
        // Where ASCII has the same.
        ' '..='#' | '%'..='?' | 'A'..='Z' | 'a'..='z' => u8::try_from(character).ok(),
        // Nearly all that there are, without a search; 'Ω' is the last in Unicode that the alphabet has.
        '\u{1b}' | '\u{3aa}'.. => None,
        _ => (0..).zip(DEFAULT).find(|(_, other)| *other == character).map(|(septet, _)| septet),
    }
}

fn extension(character: char) -> Option<u8> {
    EXTENSION.iter().find(|(_, other)| *other == character).map(|(septet, _)| *septet)
}

fn escaped(octet: Option<u8>) -> char {
    let Some(octet) = octet.filter(|octet| *octet != ESCAPE) else { return ' ' };
    let found = EXTENSION.iter().find(|(septet, _)| *septet == octet);
    found.map_or_else(|| character(octet), |(_, character)| *character)
}

fn character(octet: u8) -> char {
    DEFAULT.get(usize::from(octet)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The septet before one of the extension table.
pub(super) const ESCAPE: u8 = 0x1b;

/// By septet; the escape stands for itself.
#[rustfmt::skip]
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// What follows an escape; the first is a page break.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        text.chars().try_for_each(|character| write(character, &mut octets))?;
        Some(octets)
    }

    #[test]
    fn every_septet_is_a_character_that_becomes_it_again() {
        for septet in (0..0x80).filter(|septet| *septet != ESCAPE) {
            let text = decode(&[septet]);
            assert_eq!((written(&text), count(&text)), (Some(vec![septet]), Some(1)), "{septet:#x} {text}");
        }
        for (septet, character) in EXTENSION {
            let text = decode(&[ESCAPE, septet]);
            assert_eq!(text, character.to_string());
            assert_eq!((written(&text), count(&text)), (Some(vec![ESCAPE, septet]), Some(2)), "{septet:#x} {text}");
        }
    }

    #[test]
    fn all_other_characters_are_not_carried() {
        let carried = (char::MIN..=char::MAX).filter(|character| septets(*character).is_some()).count();
        assert_eq!(carried, 127 + EXTENSION.len());
        for text in ["`", "ç", "\t", "\0", "\u{1b}", "Α", "😀", "a`"] {
            assert_eq!((written(text), count(text)), (None, None), "{text:?}");
        }
    }

    /// Against the table of others: Perl's Encode::GSM0338. All that is not here is what it is in ASCII.
    #[test]
    fn the_alphabet_is_that_of_others() {
        #[rustfmt::skip]
        const POINTS: [(u8, u32); 42] = [
            (0x00, 0x40), (0x01, 0xa3), (0x02, 0x24), (0x03, 0xa5), (0x04, 0xe8), (0x05, 0xe9), (0x06, 0xf9), (0x07, 0xec),
            (0x08, 0xf2), (0x09, 0xc7), (0x0b, 0xd8), (0x0c, 0xf8), (0x0e, 0xc5), (0x0f, 0xe5), (0x10, 0x394), (0x11, 0x5f),
            (0x12, 0x3a6), (0x13, 0x393), (0x14, 0x39b), (0x15, 0x3a9), (0x16, 0x3a0), (0x17, 0x3a8), (0x18, 0x3a3),
            (0x19, 0x398), (0x1a, 0x39e), (0x1c, 0xc6), (0x1d, 0xe6), (0x1e, 0xdf), (0x1f, 0xc9), (0x24, 0xa4), (0x40, 0xa1),
            (0x5b, 0xc4), (0x5c, 0xd6), (0x5d, 0xd1), (0x5e, 0xdc), (0x5f, 0xa7), (0x60, 0xbf), (0x7b, 0xe4), (0x7c, 0xf6),
            (0x7d, 0xf1), (0x7e, 0xfc), (0x7f, 0xe0),
        ];
        for septet in (0..0x80).filter(|septet| *septet != ESCAPE) {
            let differs = POINTS.iter().find(|(other, _)| *other == septet);
            let point = differs.map_or(u32::from(septet), |(_, point)| *point);
            assert_eq!(decode(&[septet]).chars().map(u32::from).collect::<Vec<_>>(), [point], "{septet:#x}");
        }
    }

    #[test]
    fn what_is_no_character_is_shown_as_the_specification_says() {
        assert_eq!(decode(b"a\x1b"), "a ", "an escape to nothing");
        assert_eq!(decode(b"a\x1b\x1bb"), "a b", "an escape to another table");
        assert_eq!(decode(b"\x1bA\x1b\x65"), "A€", "an escape to what the extension table does not have");
        assert_eq!(decode(b"a\x80\x1b\xffb"), "a\u{fffd}\u{fffd}b", "no septets");
        assert_eq!(decode(b""), "");
    }
}
