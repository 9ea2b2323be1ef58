//! How much is kept for an account until one of its receivers takes it: [`QUEUES`], one number for each account.
//!
//! A session remembers the number, adds its own to it, and reads it again after a while, so that no submission waits for it.
//! The bound holds up to what other sessions have added meanwhile.

use tandem_component::prelude::*;

use crate::Smpp;
use crate::session::Bind;
use crate::then::Then;

/// What is kept for each account.
pub const QUEUES: Table = Table {
    name: "queues",
    key: &["account"],
    columns: &[Column::new("account", Kind::Text), Column::new("kept", Kind::Integer).or(Literal::Integer(0))],
};

#[derive(Deserialize)]
struct Row {
    kept: i64,
}

/// What a session knows of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    kept: i64,
    read_at: Time,
}

impl Queue {
    /// Reads the number again.
    pub(crate) fn read(&mut self, account: &str, out: &mut Out<'_, Bind>) {
        self.read_at = out.now();
        out.get(&QUEUES, &account, Then::Kept);
    }

    /// Whether more may be kept, as far as this session knows.
    pub(crate) fn has_room(&mut self, smpp: &Smpp, account: &str, out: &mut Out<'_, Bind>) -> bool {
        if self.read_at + smpp.config.timers.receipts <= out.now() {
            self.read(account, out);
        }
        !self.is_full(smpp, account)
    }

    pub(crate) fn is_full(&self, smpp: &Smpp, account: &str) -> bool {
        self.kept >= i64::from(smpp.config.account(account).queue)
    }
}

impl Bind {
    /// The number is there. Where it cannot be read, the last one is as good.
    pub(crate) fn kept(&mut self, answer: Answer<'_>) -> Result<(), Fault> {
        if let Answer::Row(row) = answer {
            self.queue.kept = row.map(|row| row.read::<Row>()).transpose()?.map_or(0, |row| row.kept);
        }
        Ok(())
    }
}

/// So many more, or fewer, are kept. In the transaction that says which.
pub(crate) fn count(account: &str, more: i64, queue: &mut Queue, out: &mut Out<'_, Bind>) {
    if more != 0 {
        out.add(&QUEUES, &account, "kept", more);
        queue.kept += more;
    }
}
