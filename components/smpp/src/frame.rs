//! Where a PDU begins and ends (section 3.2): [`next`], and the header that it begins with.

/// A PDU, whole. Its body is not decoded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `command_id`
    pub id: u32,
    /// `command_status`
    pub status: u32,
    /// `sequence_number`
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it takes.
    pub fn length(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// Why there is no PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFrame {
    /// More bytes have to come.
    Incomplete,
    /// `command_length` is below that of a header, or above what is accepted: where the next PDU begins is unknown.
    Length(u32),
}

/// The PDU that the bytes begin with, of at most `longest` bytes.
///
/// # Errors
/// There is none: not yet, or never.
pub fn next(bytes: &[u8], longest: u32) -> Result<Frame<'_>, NoFrame> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
        four.ok_or(NoFrame::Incomplete)
    };
    let length = number(0)?;
    // The length alone decides, so that nobody is waited for who will never send that much.
    if (length as usize) < HEADER || length > longest {
        return Err(NoFrame::Length(length));
    }
    let (id, status, sequence) = (number(4)?, number(8)?, number(12)?);
    let body = bytes.get(HEADER..length as usize).ok_or(NoFrame::Incomplete)?;
    Ok(Frame { id, status, sequence, body })
}

/// The length of a header.
pub const HEADER: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_cannot_be_is_found_at_once() {
        for length in [0, 1, 15, 1025, u32::MAX] {
            assert_eq!(next(&length.to_be_bytes(), 1024), Err(NoFrame::Length(length)));
        }
    }

    #[test]
    fn what_is_incomplete_is_not_malformed() {
        let whole = [0, 0, 0, 17, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 7, 9, 0];
        for cut in 0..17 {
            assert_eq!(next(&whole[..cut], 1024), Err(NoFrame::Incomplete));
        }
        assert_eq!(next(&whole, 1024), Ok(Frame { id: 21, status: 0, sequence: 7, body: &[9] }));
    }
}
