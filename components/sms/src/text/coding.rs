//! Text to octets: what a [`Coding`] carries, which one is taken, and what is said where it does not fit.

use std::fmt;

use thiserror::Error;

use super::gsm7;
use crate::Coding;

/// The octets of a text, and in which coding: in the one that is wanted, or, where none is, in the GSM 7-bit alphabet if that has
/// all characters, and in UCS-2 if not.
///
/// # Errors
/// The coding that is wanted does not carry a character.
pub fn encode(text: &str, wanted: Option<Coding>) -> Result<(Coding, Vec<u8>), NotCarried> {
    let coding = wanted.unwrap_or_else(|| Coding::fitting(text));
    Ok((coding, coding.encode(text)?))
}

impl Coding {
    /// The one that is taken where nobody wants another: [`Coding::Gsm7`] where it has all characters, else [`Coding::Ucs2`], which
    /// always has.
    pub fn fitting(text: &str) -> Coding {
        if gsm7::count(text).is_some() { Coding::Gsm7 } else { Coding::Ucs2 }
    }

    /// `data_coding` (section 5.2.19).
    pub fn data_coding(self) -> u8 {
        match self {
            Coding::Gsm7 => 0,
            Coding::Latin1 => 3,
            Coding::Ucs2 => 8,
        }
    }

    /// Whether it has a character.
    pub fn carries(self, character: char) -> bool {
        match self {
            Coding::Gsm7 => gsm7::septets(character).is_some(),
            Coding::Latin1 => u8::try_from(character).is_ok(),
            Coding::Ucs2 => true,
        }
    }

    /// The octets of a text, as a message has them: a septet in each, a character in each, or a UTF-16 unit in two, the higher first.
    ///
    /// # Errors
    /// It does not carry a character; the first is named.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, NotCarried> {
        let mut octets = Vec::with_capacity(text.len());
        for (at, character) in (1..).zip(text.chars()) {
            self.write(character, &mut octets).ok_or(NotCarried { coding: self, character, at })?;
        }
        Ok(octets)
    }

    fn write(self, character: char, octets: &mut Vec<u8>) -> Option<()> {
        match self {
            Coding::Gsm7 => gsm7::write(character, octets)?,
            Coding::Latin1 => octets.push(u8::try_from(character).ok()?),
            Coding::Ucs2 => {
                octets.extend(character.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()));
            }
        }
        Some(())
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Gsm7 => "GSM-7",
            Coding::Latin1 => "Latin-1",
            Coding::Ucs2 => "UCS-2",
        })
    }
}

/// A coding does not have a character of a text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{coding} does not carry {character:?} (U+{:04X}), which is character {at} of the text", u32::from(*character))]
pub struct NotCarried {
    /// The coding.
    pub coding: Coding,
    /// The first that it does not carry.
    pub character: char,
    /// Which character of the text it is, counted from 1.
    pub at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gsm_is_taken_where_it_fits_and_latin_only_where_it_is_wanted() {
        let taken = |text, wanted| encode(text, wanted).map(|(coding, octets)| (coding, octets.len()));
        assert_eq!(taken("Grüße €", None), Ok((Coding::Gsm7, 8)));
        assert_eq!(taken("façade", None), Ok((Coding::Ucs2, 12)), "Latin-1 would have it");
        assert_eq!(taken("façade", Some(Coding::Latin1)), Ok((Coding::Latin1, 6)));
        assert_eq!(taken("hi 😀", None), Ok((Coding::Ucs2, 10)));
        assert_eq!(taken("hi", Some(Coding::Ucs2)), Ok((Coding::Ucs2, 4)));
        assert_eq!(taken("", None), Ok((Coding::Gsm7, 0)));
    }

    #[test]
    fn the_first_character_that_is_not_carried_is_named() {
        let no = |text, coding| encode(text, Some(coding)).unwrap_err().to_string();
        assert_eq!(no("aé`\t", Coding::Gsm7), "GSM-7 does not carry '`' (U+0060), which is character 3 of the text");
        assert_eq!(no("5 €", Coding::Latin1), "Latin-1 does not carry '€' (U+20AC), which is character 3 of the text");
        assert_eq!(no("\0", Coding::Gsm7), "GSM-7 does not carry '\\0' (U+0000), which is character 1 of the text");
    }
}
