//! An [`Address`] from what a person or a program has written, with the type of number and the numbering plan that go with it.

use thiserror::Error;

use crate::Address;
use crate::text::gsm7;

impl Address {
    /// From whom a message is: a number, as in [`destination`](Address::destination), or a name.
    ///
    /// What has a letter is a name: of up to 11 septets, in those characters that both ASCII and the GSM alphabet have, as SMSCs read
    /// addresses as ASCII and networks carry them as septets. Some take two septets, as the brackets do. Its type is 5, alphanumeric, its
    /// plan 0.
    ///
    /// # Errors
    /// It is neither.
    pub fn source(text: &str) -> Result<Address, NoAddress> {
        if text.contains(char::is_alphabetic) { name(text) } else { Address::destination(text) }
    }

    /// To whom a message is.
    ///
    /// - `+` and up to 15 digits, or 9 to 15 digits: an international number (E.164), type 1, plan 1 (ISDN). It begins with the country's code,
    ///   so not with 0. The `+` is no part of the address.
    /// - 3 to 8 digits: a short code, which means something in its network alone; type 3, network specific, plan 0.
    ///
    /// # Errors
    /// It is neither.
    pub fn destination(text: &str) -> Result<Address, NoAddress> {
        let (plus, digits) = text.strip_prefix('+').map_or((false, text), |digits| (true, digits));
        if let Some(character) = digits.chars().find(|character| !character.is_ascii_digit()) {
            return Err(NoAddress::Digit { character });
        }
        match digits.len() {
            0 => Err(NoAddress::Empty),
            count if count < DIGITS_MIN => Err(NoAddress::Short { digits: count }),
            count if count > DIGITS_MAX => Err(NoAddress::Long { digits: count }),
            count if count <= CODE_MAX && !plus => Ok(Address { ton: 3, npi: 0, digits: digits.to_owned() }),
            _ if digits.starts_with('0') => Err(NoAddress::Country),
            _ => Ok(Address { ton: 1, npi: 1, digits: digits.to_owned() }),
        }
    }
}

/// Why something is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAddress {
    /// Nothing is there.
    #[error("the address is empty")]
    Empty,
    /// A number has something else than digits.
    #[error("{character:?} is no digit; a number is written as in +491511234567, without blanks")]
    Digit {
        /// The first of them.
        character: char,
    },
    /// A number has too few digits.
    #[error("the number has {digits} digits, and has to have at least {DIGITS_MIN}")]
    Short {
        /// How many.
        digits: usize,
    },
    /// A number has too many digits.
    #[error("the number has {digits} digits, of at most {DIGITS_MAX} (E.164)")]
    Long {
        /// How many.
        digits: usize,
    },
    /// A number does not begin with a country's code.
    #[error("the number begins with 0; an international one begins with the country's code, as in +491511234567")]
    Country,
    /// A name has a character that is not both in ASCII and in the GSM alphabet.
    #[error(
        "{character:?} cannot stand in a name that sends; it is for characters that ASCII and GSM-7 have in common"
    )]
    Character {
        /// The first of them.
        character: char,
    },
    /// A name is too long.
    #[error("the name takes {septets} septets, of at most {NAME_MAX}")]
    Name {
        /// How many it takes.
        septets: usize,
    },
}

fn name(text: &str) -> Result<Address, NoAddress> {
    let mut septets = 0;
    for character in text.chars() {
        let printable = character == ' ' || character.is_ascii_graphic();
        septets += gsm7::septets(character).filter(|_| printable).ok_or(NoAddress::Character { character })?;
    }
    if septets > NAME_MAX {
        return Err(NoAddress::Name { septets });
    }
    Ok(Address { ton: 5, npi: 0, digits: text.to_owned() })
}

/// A number has so many digits at least. E.164 says nothing of it; shorter short codes are not given out.
const DIGITS_MIN: usize = 3;
/// A short code has so many at most.
const CODE_MAX: usize = 8;
/// An international number has so many at most (E.164, section 6.1).
const DIGITS_MAX: usize = 15;
/// A name has so many septets at most: they are ten octets in the network (3GPP 23.040, section 9.1.2.5).
const NAME_MAX: usize = 11;

/// How well an address fits one of these patterns, `100` or `4917*` for all that begin so: the longer what they have in common, the
/// better, and all of it best.
pub fn fit<'p>(patterns: impl IntoIterator<Item = &'p String>, address: &str) -> Option<usize> {
    let fit = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => address.starts_with(prefix).then_some(prefix.len()),
        None => (pattern == address).then_some(usize::MAX),
    };
    patterns.into_iter().filter_map(fit).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<(u8, u8, String), NoAddress> {
        Address::source(text).map(|address| (address.ton, address.npi, address.digits))
    }

    #[test]
    fn numbers_codes_and_names_are_told_apart() {
        for (text, ton, npi, digits) in [
            ("+491511234567", 1, 1, "491511234567"),
            ("491511234567", 1, 1, "491511234567"),
            ("+123456789012345", 1, 1, "123456789012345"),
            ("+4512345", 1, 1, "4512345"),
            ("123456789", 1, 1, "123456789"),
            ("12345678", 3, 0, "12345678"),
            ("110", 3, 0, "110"),
            ("0800", 3, 0, "0800"),
            ("Tandem", 5, 0, "Tandem"),
            ("My Shop 24", 5, 0, "My Shop 24"),
            ("3com", 5, 0, "3com"),
            ("ABCDEFGHIJK", 5, 0, "ABCDEFGHIJK"),
            ("ABCDEFG[]", 5, 0, "ABCDEFG[]"),
        ] {
            assert_eq!(source(text), Ok((ton, npi, digits.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (text, why) in [
            ("", NoAddress::Empty),
            ("+", NoAddress::Empty),
            ("12", NoAddress::Short { digits: 2 }),
            ("+1", NoAddress::Short { digits: 1 }),
            ("1234567890123456", NoAddress::Long { digits: 16 }),
            ("+1234567890123456", NoAddress::Long { digits: 16 }),
            ("01511234567", NoAddress::Country),
            ("+01511234567", NoAddress::Country),
            ("0049151123456", NoAddress::Country),
            ("+49 151 123", NoAddress::Digit { character: ' ' }),
            ("49-151", NoAddress::Digit { character: '-' }),
            ("++49151", NoAddress::Digit { character: '+' }),
            ("١٢٣٤", NoAddress::Digit { character: '١' }),
            ("Müller", NoAddress::Character { character: 'ü' }),
            ("a`b", NoAddress::Character { character: '`' }),
            ("a\nb", NoAddress::Character { character: '\n' }),
            ("a\0b", NoAddress::Character { character: '\0' }),
            ("ABCDEFGHIJKL", NoAddress::Name { septets: 12 }),
            ("ABCDEFGHIJ[", NoAddress::Name { septets: 12 }),
        ] {
            assert_eq!(source(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_sent_to_a_name() {
        assert_eq!(Address::destination("Tandem"), Err(NoAddress::Digit { character: 'T' }));
        assert_eq!(Address::destination("+491511234567").unwrap().digits, "491511234567");
    }
}
