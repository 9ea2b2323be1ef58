//! Rows that one version has asked for and another is told of: they are read again, with the columns that this one knows.
//!
//! Between a question and its answer a session may move. What was read then has the columns of the version that has asked: one that
//! knows more of them would miss some.

use tandem_component::abi::kind;
use tandem_component::effects::{Batch, Effect};

use super::Answer;
use super::driver::Driver;
use super::storing::answer;
use crate::store::{Step, Told};

/// What was asked, as the version has told it: by names, so that another one can ask it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    operation: u32,
    table: Box<str>,
    first: Box<[u8]>,
}

impl Question {
    /// The question of a batch that has this token.
    pub(super) fn of(batch: &Batch, token: u64) -> Option<Self> {
        batch.effects.iter().find_map(|effect| match *effect {
            Effect::Row { operation, table, first, token: its, .. } if its == token => {
                Some(Question { operation, table: batch.text(table).into(), first: batch.bytes(first).into() })
            }
            _ => None,
        })
    }
}

impl Answer {
    /// Keeps what it answers, where that are rows.
    pub(super) fn to(mut self, question: impl FnOnce() -> Option<Question>) -> Self {
        if matches!(self.kind, kind::ROW | kind::ROWS) {
            self.content.get_or_insert_default().question = question();
        }
        self
    }

    fn question(&self) -> Option<Question> {
        self.content.as_ref()?.question.clone()
    }
}

impl Driver<'_, '_> {
    /// Reads the rows again that the session is still to be told of, now that it runs on another version than the one that has
    /// asked. Where that one does not know what was asked, a column say, it is told what was read.
    pub(super) fn read_again(&mut self) {
        let Some(instance) = self.session.conversation.as_ref().map(|conversation| conversation.lease().clone()) else {
            return;
        };
        for answered in &mut self.session.answers {
            let Some(question) = answered.question() else { continue };
            let Question { operation, table, first } = &question;
            let (token, operation) = (answered.token, *operation);
            let told = Told { operation, table, first, second: &[], number: 0, token };
            let Ok(step) = Step::of(instance.tables(), &told) else { continue };
            if let Some((it, _)) = step.question() {
                *answered = answer(token, self.worker.ask(&step.table, it)).to(|| Some(question));
            }
        }
    }

    /// An event that was an answer comes again where what it has written is not stored: with what it answers.
    pub(super) fn keep_question(&mut self, answer: &Answer) {
        if let Some(question) = answer.question()
            && let Some(again) = self.session.held.as_mut().and_then(|held| held.answer_again())
        {
            again.content.get_or_insert_default().question = Some(question);
        }
    }
}
