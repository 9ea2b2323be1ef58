//! The order in which answers are told where all of them come late: drawn, within what a component may rely on.
//!
//! The late mode of the harness and that of the host both draw here, so a component that is right in the one is right in the
//! other. What has an order keeps it, each by itself:
//!
//! - what the store answers, in the order in which the session has asked;
//! - what becomes of streams, since each thing is about one that was told of before;
//! - timers, in the order in which they are due;
//! - requests of others, and their withdrawals;
//! - what becomes of calls, of secrets, and of admissions, in the order in which it was known.
//!
//! Between two of these there is none: a timer rings while a row is on its way, a stream closes before a call is answered.
//!
//! What comes in on a stream follows its cause ([`precedes`]): the session knows that the stream is there, and that what it has
//! forwarded is through, before it sees what a server says to that.

use crate::abi::kind;

/// What is drawn for one session.
#[derive(Clone, Debug)]
pub struct Late(u64);

impl Late {
    /// Draws what this seed says.
    pub fn new(seed: u64) -> Self {
        // Small seeds are spread, and a state of zero would stay one.
        Late(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number.
    pub fn draw(&mut self) -> u64 {
        next(&mut self.0)
    }

    /// Which of the answers is told next, by its place. They are said by kind and token, in the order in which they came.
    pub fn choose(&mut self, answers: impl Iterator<Item = (u32, u64)>) -> Option<usize> {
        let mut firsts: Vec<(u32, usize)> = Vec::new();
        for (at, (kind, _)) in answers.enumerate() {
            let sequence = sequence(kind);
            if !firsts.iter().any(|first| first.0 == sequence) {
                firsts.push((sequence, at));
            }
        }
        let drawn = self.draw().checked_rem(firsts.len() as u64)?;
        firsts.get(usize::try_from(drawn).ok()?).map(|first| first.1)
    }
}

/// The answer that is neither late nor overtaken, by its place: that the session is open, and that what its last event wrote
/// is not stored, which is told before that event comes again.
pub fn urgent(mut answers: impl Iterator<Item = (u32, u64)>) -> Option<usize> {
    answers.position(|answer| matches!(answer, (kind::OPENED, _) | (kind::STORE_FAILED, 0)))
}

/// Whether an answer of this kind, about a stream, is told before what comes in on another.
pub fn precedes(kind: u32, about: u64, stream: u64) -> bool {
    match kind {
        kind::DIALED => about == stream,
        // Which streams it has moved bytes between, it does not say.
        kind::FORWARDED | kind::FORWARD_FAILED => true,
        _ => false,
    }
}

/// What an answer of this kind keeps its order with: the first kind of each sequence stands for it.
fn sequence(of: u32) -> u32 {
    match of {
        kind::ROW | kind::ROWS | kind::CHANGED | kind::STORE_FAILED => kind::ROW,
        kind::DIALED | kind::DIAL_FAILED | kind::FORWARDED | kind::FORWARD_FAILED | kind::WRITABLE | kind::CLOSED => {
            kind::DIALED
        }
        kind::REQUEST | kind::WITHDRAWN => kind::REQUEST,
        kind::ANSWERED | kind::CALL_FAILED => kind::ANSWERED,
        other => other,
    }
}

/// xorshift64*: reproducible, and good enough to choose an order by.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The orders in which answers of these kinds are told, over many seeds.
    fn orders(kinds: &[u32]) -> BTreeSet<Vec<usize>> {
        let told = |seed| {
            let (mut late, mut left, mut told) = (Late::new(seed), Vec::from_iter(0..kinds.len()), Vec::new());
            while let Some(at) = late.choose(left.iter().map(|at| (kinds[*at], 1))) {
                told.push(left.remove(at));
            }
            told
        };
        (0..200).map(told).collect()
    }

    #[test]
    fn what_has_an_order_keeps_it_and_nothing_else_does() {
        assert_eq!(orders(&[]), [vec![]].into());
        for one in [
            [kind::ROW, kind::STORE_FAILED, kind::CHANGED],
            [kind::DIALED, kind::FORWARDED, kind::CLOSED],
            [kind::TIMEOUT; 3],
            [kind::REQUEST, kind::WITHDRAWN, kind::REQUEST],
            [kind::ANSWERED, kind::CALL_FAILED, kind::ANSWERED],
            [kind::AUTHENTICATED; 3],
            [kind::ADMITTED; 3],
        ] {
            assert_eq!(orders(&one), [vec![0, 1, 2]].into(), "{one:?}");
        }
        assert_eq!(orders(&[kind::ROW, kind::TIMEOUT, kind::CLOSED]).len(), 6);
        let two = orders(&[kind::ROW, kind::ROWS, kind::TIMEOUT]);
        assert_eq!(two, [vec![0, 1, 2], vec![0, 2, 1], vec![2, 0, 1]].into());
    }

    #[test]
    fn what_nothing_may_overtake_is_found() {
        assert_eq!(urgent([(kind::TIMEOUT, 3), (kind::STORE_FAILED, 0)].into_iter()), Some(1));
        assert_eq!(urgent([(kind::OPENED, 0), (kind::TIMEOUT, 3)].into_iter()), Some(0));
        assert_eq!(urgent([(kind::STORE_FAILED, 4)].into_iter()), None);
    }
}
