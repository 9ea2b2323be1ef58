//! What a worker's sessions want of the store, and what it tells them.

use std::rc::Rc;

use super::Worker;
use crate::store;
use crate::store::table::Table;
use crate::store::{Failure, Found, Question, Settled, Transaction};

impl Worker {
    /// Answers a question from what is committed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn ask(&self, table: &Table, question: &Question) -> Result<Found, Failure> {
        self.with_reader(|reader| reader.ask(table, question))
    }

    /// Reads from what is committed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn with_reader<T>(
        &self,
        read: impl FnOnce(&mut dyn store::Reader) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut reader = self.reader.borrow_mut();
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => {
                let store = self.store.get().ok_or_else(|| Failure::Unavailable("there is no store".to_owned()))?;
                none.insert(store.reader()?)
            }
        };
        read(&mut **reader)
    }

    /// Has the store write a transaction; its home is told.
    pub fn give(&self, transaction: Transaction) {
        match self.store.get() {
            Some(store) => store.give(transaction),
            // A version with tables is not taken before there is a store.
            None => tracing::error!("a session writes, and there is no store: a bug in the host"),
        }
    }

    /// Tells sessions what the store has settled.
    pub(super) async fn take_settled(self: Rc<Self>) {
        while let Some(batch) = self.inlets.settled.next().await {
            let mut sessions = self.sessions();
            for Settled { home, outcome } in batch {
                if let Some(Some(session)) = sessions.get_mut(home.key)
                    && session.id == home.session
                {
                    session.settled(outcome);
                }
            }
        }
    }
}
