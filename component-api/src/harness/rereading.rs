//! Rows that one version has asked for and another is told of: they are read again, with the columns that this one declares, as
//! the host does.
//!
//! Between a question and its answer a session may be carried. What was read then has the columns of the version that has asked.

use super::{Host, number, rows};
use crate::abi::kind;
use crate::table::Table;

/// What was asked, as the version has told it: by names, so that another one can ask it.
pub(super) struct Question {
    operation: u32,
    table: String,
    first: Vec<u8>,
}

impl Question {
    /// Where the operation is one.
    pub(super) fn of(told: &rows::Operation<'_>) -> Option<Self> {
        let question =
            || Question { operation: told.operation, table: told.table.to_owned(), first: told.first.to_vec() };
        (!rows::writes(told.operation)).then(question)
    }
}

impl Host {
    /// Reads the rows again that the session is still to be told of, for a version that declares these tables. Where that one does
    /// not know what was asked, a column say, it is told what was read.
    pub(super) fn read_again(&mut self, declared: &[Table]) {
        let unstored = self.unstored.map(number);
        for answer in self.answers.iter_mut().filter(|answer| matches!(answer.kind, kind::ROW | kind::ROWS)) {
            let Some(Question { operation, table, first }) = self.asked.get(&answer.token) else { continue };
            let told = rows::Operation { operation: *operation, table, first, second: &[], number: 0 };
            let Ok(outcome) = self.tables.carry_out(declared, &told) else { continue };
            let (kind, detail, bytes) = match (unstored, outcome) {
                (None, rows::Outcome::Answer(kind, detail, bytes)) => (kind, detail, bytes),
                (None, _) => continue,
                (Some(why), _) => (kind::STORE_FAILED, why, Vec::new()),
            };
            (answer.kind, answer.detail) = (kind, detail);
            self.found.insert(answer.token, bytes);
        }
    }
}
