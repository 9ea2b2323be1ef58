//! Chunked bodies: passed on the same from one piece and byte by byte, with data moved by others in between, and read again as
//! the same body.

use tandem_http1::{Chunked, Keep, Unchunkable};

/// What was passed on, what was read, whether the body is through.
type Passed = (Vec<u8>, usize, bool);

pub(crate) fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let budget = if first & 1 == 0 { u64::MAX } else { u64::from(first >> 1) };
    for keep in [Keep::Chunks, Keep::Data] {
        let whole = pass(bytes, keep, budget, &[usize::MAX], false);
        for lengths in [&[1][..], &[2, 1], &[usize::from(first >> 1) + 1]] {
            for moved in [false, true] {
                let pieces = pass(bytes, keep, budget, lengths, moved);
                assert_eq!(pieces.is_ok(), whole.is_ok(), "{keep:?} in {lengths:?}: {pieces:?} and {whole:?}");
                // After an error that is in both, how far each had come is not the body's.
                if let (Ok(pieces), Ok(whole)) = (&pieces, &whole) {
                    assert_eq!(pieces, whole, "{keep:?} in {lengths:?}, moved {moved}");
                }
            }
        }
        if let (Keep::Chunks, Ok((passed, _, true))) = (keep, &whole) {
            let again = pass(passed, keep, u64::MAX, &[usize::MAX], false);
            assert_eq!(
                again,
                Ok((passed.clone(), passed.len(), true)),
                "what is passed on is a body, and as plain as can be"
            );
            let data = pass(bytes, Keep::Data, budget, &[usize::MAX], false).map(|(data, ..)| data);
            let data_again = pass(passed, Keep::Data, u64::MAX, &[usize::MAX], false).map(|(data, ..)| data);
            assert_eq!(data, data_again, "the data is the same");
        }
    }
}

/// Passes a body on in pieces of these lengths, over and over, as a session is given them: what is unread comes again.
/// With `moved`, the data of a chunk is moved by others, as a forward does.
fn pass(bytes: &[u8], keep: Keep, budget: u64, lengths: &[usize], moved: bool) -> Result<Passed, Unchunkable> {
    let (mut out, mut taken, mut end) = (Vec::new(), 0, 0_usize);
    let mut chunks = Chunked::new(budget);
    for n in lengths.iter().cycle() {
        end = bytes.len().min(end.saturating_add(*n));
        let passed = chunks.pass(&bytes[taken..end], keep, |run| out.extend_from_slice(run))?;
        taken += passed.taken;
        if moved {
            let n = usize::try_from(chunks.data_left()).unwrap_or(usize::MAX).min(bytes.len() - taken);
            out.extend_from_slice(&bytes[taken..taken + n]);
            chunks.skip(n as u64);
            taken += n;
            end = end.max(taken);
        }
        if end == bytes.len() || passed.through {
            let last = chunks.pass(&bytes[taken..end], keep, |run| out.extend_from_slice(run))?;
            return Ok((out, taken + last.taken, last.through));
        }
    }
    unreachable!("there is a length")
}
