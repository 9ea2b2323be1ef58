//! What the event of a request says beside what is asked.

use crate::trace::{BYTES, Trace};

/// Who asks, for whom, and what it is a part of. As bytes: the trace's, the length of the service's name in two bytes with the lower
/// one first, that name, and the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About<'a> {
    /// The service that asks.
    pub from: &'a str,
    /// Whose account it is for; empty where it is nobody's.
    pub account: &'a str,
    /// What it is a part of, with the call as its span.
    pub trace: Trace,
}

const LENGTH: usize = 2;

impl<'a> About<'a> {
    /// Appends it to a buffer. A name of a service that is longer than 65,535 bytes is none.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        let (from, length) = u16::try_from(self.from.len()).map_or(("", 0), |length| (self.from, length));
        buffer.extend_from_slice(&self.trace.to_bytes());
        buffer.extend_from_slice(&length.to_le_bytes());
        buffer.extend_from_slice(from.as_bytes());
        buffer.extend_from_slice(self.account.as_bytes());
    }

    /// Reads what [`write`](About::write) has written.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (trace, rest) = bytes.split_at_checked(BYTES)?;
        let (length, names) = rest.split_first_chunk::<LENGTH>()?;
        let names = std::str::from_utf8(names).ok()?;
        let (from, account) = names.split_at_checked(u16::from_le_bytes(*length).into())?;
        Some(About { from, account, trace: Trace::from_bytes(trace)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Sampling;

    #[test]
    fn what_is_written_is_read() {
        for (from, account) in [("esme", "acme"), ("esme", ""), ("", "acme"), ("s\u{fc}d", "k\u{f6}ln")] {
            let about = About { from, account, trace: Trace::begin(1, 2, 3, Sampling::default()) };
            let mut bytes = Vec::new();
            about.write(&mut bytes);
            assert_eq!(About::read(&bytes), Some(about));
            assert_eq!(About::read(&bytes[..BYTES + LENGTH - 1]), None);
        }
        let long = "x".repeat(1 << 16);
        let mut bytes = Vec::new();
        About { from: &long, account: "acme", trace: Trace::begin(1, 2, 3, Sampling::default()) }.write(&mut bytes);
        assert_eq!(About::read(&bytes).map(|about| (about.from, about.account)), Some(("", "acme")));
    }
}
