//! How many messages wait, of each account and of all: [`WAITING`], and whether another may.
//!
//! What is taken and what has ended is added up in the transaction in which it is, so the count is that of the rows over swaps and
//! crashes. A message says itself whether it was added: one that a version has taken which did not count is not taken off either, and
//! one that such a version has ended is taken off when it goes. Of all, the totals tell, which each version has.
//!
//! As many more may be taken as are being taken at the same moment: nobody waits for another's count.

use tandem_component::prelude::*;
use tandem_sms::{Left, Submitted, status};

use crate::Messaging;
use crate::desk::{Desk, What, not_now};
use crate::ending::Counts;
use crate::message::{Message, after, nanos};
use crate::submitting::admit;
use crate::then::Then;
use crate::totals::{TOTALS, Total};

/// A row for each account that has had a message.
pub const WAITING: Table = Table {
    name: "waiting",
    key: &["account"],
    columns: &[
        Column::new("account", Kind::Text),
        Column::new("taken", Kind::Integer).or(Literal::Integer(0)),
        Column::new("ended", Kind::Integer).or(Literal::Integer(0)),
    ],
};

#[derive(Deserialize)]
struct Counted {
    taken: i64,
    ended: i64,
}

/// How many more may be taken of an account, as was known some time ago.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Room {
    left: i64,
    until: i64,
}

/// A message that is asked for, and whether it has a key.
pub(crate) type Asking = (RequestId, Message, bool);

impl Desk {
    /// Asks whether there is room for another message; not each time, where there is much.
    pub(crate) fn look_for_room(&mut self, (asked, message, keyed): Asking, out: &mut Out<'_, Desk>) {
        let now = nanos(out.now());
        if let Some(room) = self.rooms.get_mut(&message.account)
            && room.left > NEAR
            && room.until > now
        {
            room.left -= 1;
            return admit(asked, message, keyed, out);
        }
        self.rooms.retain(|_, room| room.until > now);
        let account = message.account.clone();
        out.get(&WAITING, &account, Then::Waiting { asked, message: Box::new(message), keyed });
    }

    /// How many of the account's wait.
    pub(crate) fn waiting(
        &mut self,
        m: &Messaging,
        (asked, message, keyed): Asking,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let Answer::Row(row) = found else {
            not_now(asked, What::Submit, out);
            return Ok(());
        };
        let counted = row.map(|row| row.read::<Counted>()).transpose()?;
        let wait = counted.map_or(0, |it| (it.taken - it.ended).max(0));
        let max = m.config.waiting_of(&message.account);
        if wait >= max {
            let name = &message.account;
            full(asked, (format!("{max} messages of the account `{name}` wait, which are as many as may"), max), out);
            return Ok(());
        }
        let then = Then::AllWaiting { asked, message: Box::new(message), keyed, left: max - wait };
        out.scan(&Scan::of(&TOTALS).limit(VERSIONS), then);
        Ok(())
    }

    /// How many of all wait.
    pub(crate) fn all_waiting(
        &mut self,
        m: &Messaging,
        (asked, message, keyed): Asking,
        left: i64,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let Answer::Rows(rows) = found else {
            not_now(asked, What::Submit, out);
            return Ok(());
        };
        let wait: i64 = rows.read::<Total>()?.iter().map(Total::pending).sum();
        let max = m.config.waiting.all;
        if wait >= max {
            full(asked, (format!("{max} messages wait, of all accounts, which are as many as may"), max), out);
            return Ok(());
        }
        let (left, until) = (left.min(max - wait), after(nanos(out.now()), KNOWN));
        self.rooms.insert(message.account.clone(), Room { left, until });
        admit(asked, message, keyed, out);
        Ok(())
    }
}

/// One more waits, and its row says so.
pub(crate) fn count_taken(account: &str, out: &mut Out<'_, Desk>) {
    out.add(&WAITING, &account, "taken", 1);
}

/// One waits no longer, if it was counted. Its row is to say then that it is not counted any more.
pub(crate) fn count_gone(counts: &Counts, writes: &mut Writes<'_>) {
    if counts.counted {
        writes.add(&WAITING, &counts.account, "ended", 1);
    }
}

fn full(asked: RequestId, (what, max): (String, i64), out: &mut Out<'_, Desk>) {
    let reason = format!("{what}: one has to end before another is taken");
    let limit = "queue".to_owned();
    let left = vec![Left { limit: limit.clone(), of: max.unsigned_abs(), ..Left::default() }];
    out.answer(asked, &Submitted { status: status::FULL, reason, limit, left, ..Submitted::default() });
}

/// Where no more than so many may be taken it is asked each time …
const NEAR: i64 = 10_000;
/// … and else so often.
const KNOWN: std::time::Duration = std::time::Duration::from_secs(1);
/// So many versions have taken messages, at most.
const VERSIONS: u32 = 1000;
