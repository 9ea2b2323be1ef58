//! What a session has asked of others than its streams, and was not answered: [`Asked`].
//!
//! A question has a number of its own besides its token: after a session was renewed its tokens begin again, and an answer
//! that comes late is to meet no other question.

/// The questions of one session.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Counts questions.
    count: u64,
    /// The numbers of those that are open, with their tokens.
    open: Vec<(u64, u64)>,
}

/// So many may be open at a time.
const OPEN_MAX: usize = 64;

impl Asked {
    /// Asks; `None` where too much is asked already.
    pub(super) fn ask(&mut self, token: u64) -> Option<u64> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        self.count += 1;
        self.open.push((self.count, token));
        Some(self.count)
    }

    /// Answers; `None` where it was cancelled, or its session has ended.
    pub(super) fn answer(&mut self, number: u64) -> Option<u64> {
        let at = self.open.iter().position(|open| open.0 == number)?;
        Some(self.open.swap_remove(at).1)
    }

    /// Forgets what has this token.
    pub(super) fn cancel(&mut self, token: u64) {
        self.open.retain(|open| open.1 != token);
    }

    /// The tokens of what is open.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.open.iter().map(|open| open.1)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Whether nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, OPEN_MAX};

    #[test]
    fn an_answer_meets_its_question_or_none() {
        let mut asked = Asked::default();
        let (one, two) = (asked.ask(7).unwrap(), asked.ask(8).unwrap());
        assert_eq!((asked.answer(two), asked.answer(two)), (Some(8), None));
        asked.cancel(7);
        assert!(asked.is_empty());
        let again = asked.ask(7).unwrap();
        assert_eq!((asked.answer(one), asked.answer(again)), (None, Some(7)));
    }

    #[test]
    fn there_is_a_bound() {
        let mut asked = Asked::default();
        let numbers: Vec<u64> = (0..OPEN_MAX as u64).map(|token| asked.ask(token).unwrap()).collect();
        assert_eq!(asked.ask(100), None);
        asked.answer(numbers[0]).unwrap();
        assert!(asked.ask(100).is_some());
    }
}
