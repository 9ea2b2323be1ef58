//! What a session has asked of others than its streams, and was not answered: [`Asked`].
//!
//! A question has a number of its own besides its token: after a session was renewed its tokens begin again, and an answer
//! that comes late is to meet no other question.

/// The questions of one session. Most never ask, so all that it costs them is a pointer.
#[derive(Debug, Default)]
pub(super) struct Asked(Option<Box<Questions>>);

#[derive(Debug, Default)]
struct Questions {
    /// Counts them.
    count: u64,
    /// The numbers of those that are open, with their tokens.
    open: Vec<(u64, u64)>,
}

/// So many may be open at a time.
const OPEN_MAX: usize = 1024;

impl Asked {
    /// Asks; `None` where too much is asked already.
    pub(super) fn ask(&mut self, token: u64) -> Option<u64> {
        let Questions { count, open } = &mut **self.0.get_or_insert_default();
        if open.len() >= OPEN_MAX {
            return None;
        }
        *count += 1;
        open.push((*count, token));
        Some(*count)
    }

    /// Answers; `None` where it was cancelled, or its session has ended.
    pub(super) fn answer(&mut self, number: u64) -> Option<u64> {
        let open = &mut self.0.as_mut()?.open;
        let at = open.iter().position(|open| open.0 == number)?;
        Some(open.swap_remove(at).1)
    }

    /// Forgets what has this token.
    pub(super) fn cancel(&mut self, token: u64) {
        if let Some(questions) = &mut self.0 {
            questions.open.retain(|open| open.1 != token);
        }
    }

    /// The tokens of those that are open.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|questions| &questions.open).map(|open| open.1)
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        if let Some(questions) = &mut self.0 {
            questions.open.clear();
        }
    }

    /// Whether none is open.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|questions| questions.open.is_empty())
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
