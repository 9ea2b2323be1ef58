//! How long a body is: `Content-Length` and `Transfer-Encoding`, each read in the one way that nobody can read otherwise.

use crate::fields::tokens;

/// The body that follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection is closed. Of answers only.
    ToEnd,
}

/// What the two fields have said so far.
#[derive(Default)]
pub(crate) struct Framing {
    length: Option<u64>,
    chunked: bool,
    /// A coding other than `chunked`.
    other: bool,
    coded: bool,
    fault: Option<&'static str>,
}

/// What the two fields say together.
pub(crate) enum Said {
    Nothing,
    Length(u64),
    Chunked,
    /// `chunked` over another coding.
    Coded,
    Wrong(&'static str),
}

impl Framing {
    #[inline]
    pub(crate) fn length(&mut self, value: &[u8]) {
        match digits(value) {
            Some(length) if self.length.is_none() => self.length = Some(length),
            Some(_) => self.fault = Some("more than one Content-Length"),
            None => self.fault = Some("the Content-Length is not a number"),
        }
    }

    pub(crate) fn coding(&mut self, value: &[u8]) {
        self.coded = true;
        for coding in tokens(value) {
            if self.chunked {
                self.fault = Some("a coding after chunked");
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.other = true;
            }
        }
    }

    #[inline]
    pub(crate) fn said(&self, minor: u8) -> Said {
        if let Some(fault) = self.fault {
            return Said::Wrong(fault);
        }
        if !self.coded {
            return self.length.map_or(Said::Nothing, Said::Length);
        }
        if self.length.is_some() {
            Said::Wrong("both Content-Length and Transfer-Encoding")
        } else if minor == 0 {
            Said::Wrong("Transfer-Encoding in HTTP/1.0")
        } else if !self.chunked {
            Said::Wrong("the last coding is not chunked")
        } else if self.other {
            Said::Coded
        } else {
            Said::Chunked
        }
    }
}

/// A decimal number: digits and nothing else.
#[inline]
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn a_length_is_digits_and_nothing_else() {
        assert_eq!(digits(b"0"), Some(0));
        assert_eq!(digits(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "+1", "-1", "1 2", "0x1", "1,1", "18446744073709551616", "99999999999999999999999"] {
            assert_eq!(digits(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
