//! What has become of a message, which messages an account has, and not to send one.

use tandem_component::prelude::*;
use tandem_sms::{Cancel, Cancelled, List, Listed, Queried, Query, State, status};

use crate::Messaging;
use crate::desk::{Desk, What, not_now};
use crate::message::{MESSAGES, Message, Phase, nanos, place};
use crate::then::Then;

#[derive(Serialize)]
struct Waits<'a> {
    id: &'a str,
    state: State,
    phase: Phase,
}

#[derive(Serialize)]
struct Deleted {
    state: State,
    phase: Phase,
    due_at: i64,
    run: i64,
    ended_at: i64,
    tries: u32,
}

#[derive(Serialize)]
struct Last<'a> {
    id: &'a str,
    place: &'a str,
}

impl Desk {
    pub(crate) fn query(&mut self, asked: RequestId, query: Query, out: &mut Out<'_, Desk>) {
        out.get(&MESSAGES, &query.message_id, Then::Asked { asked, account: query.account });
    }

    pub(crate) fn known(
        &mut self,
        asked: RequestId,
        account: &str,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let Some(message) = own(account, found)? else {
            not_now(asked, What::Query, out);
            return Ok(());
        };
        out.answer(asked, &Queried { status: status::OK, message: message.map(Message::known) });
        Ok(())
    }

    pub(crate) fn list(&mut self, asked: RequestId, list: List, out: &mut Out<'_, Desk>) {
        let List { account, before, limit } = list;
        let limit = if limit == 0 { PAGE } else { limit.min(PAGE) };
        if before.is_empty() {
            return scan(asked, &account, None, limit, out);
        }
        out.get(&MESSAGES, &before, Then::ListFrom { asked, account, limit });
    }

    pub(crate) fn list_from(
        &mut self,
        asked: RequestId,
        account: &str,
        limit: u32,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        match own(account, found)? {
            None => not_now(asked, What::List, out),
            Some(None) => out.answer(asked, &Listed { status: status::NO_MESSAGE, ..Listed::default() }),
            Some(Some(last)) => scan(asked, account, Some(&last), limit, out),
        }
        Ok(())
    }

    pub(crate) fn listed(
        &mut self,
        asked: RequestId,
        limit: u32,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let Answer::Rows(rows) = found else {
            not_now(asked, What::List, out);
            return Ok(());
        };
        let mut messages = rows.read::<Message>()?;
        let more = messages.len() > limit as usize;
        messages.truncate(limit as usize);
        let messages = messages.into_iter().map(Message::known).collect();
        out.answer(asked, &Listed { status: status::OK, messages, more });
        Ok(())
    }

    pub(crate) fn cancel(&mut self, asked: RequestId, cancel: Cancel, out: &mut Out<'_, Desk>) {
        out.get(&MESSAGES, &cancel.message_id, Then::Cancelling { asked, account: cancel.account });
    }

    pub(crate) fn cancelling(
        &mut self,
        m: &Messaging,
        (asked, account): (RequestId, &str),
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        match own(account, found)? {
            Some(Some(message)) if message.phase == Phase::Queued && !failed => {
                let waits = Waits { id: &message.id, state: State::Enroute, phase: Phase::Queued };
                let (now, due_at) = (nanos(out.now()), self.soon(out.now()));
                let (state, phase) = (State::Deleted, Phase::Ending);
                let then = Then::Cancelled { asked, id: message.id.clone() };
                out.swap(
                    &MESSAGES,
                    &waits,
                    &Deleted { state, phase, due_at, run: m.run, ended_at: now, tries: 0 },
                    then,
                );
            }
            Some(Some(message)) if !matches!(message.phase, Phase::Accepting | Phase::Queued) => {
                // Who asks twice is told the same.
                let gone = message.state == State::Deleted;
                out.answer(asked, &Cancelled { status: if gone { status::OK } else { status::NOT_CANCELLED } });
            }
            Some(None) => out.answer(asked, &Cancelled { status: status::NO_MESSAGE }),
            _ => not_now(asked, What::Cancel, out),
        }
        Ok(())
    }

    pub(crate) fn cancelled(&mut self, asked: RequestId, id: String, answer: Answer<'_>, out: &mut Out<'_, Desk>) {
        match answer {
            Answer::Changed(true) => {
                out.answer(asked, &Cancelled { status: status::OK });
                out.get(&MESSAGES, &id, Then::Ending);
            }
            Answer::Changed(false) => out.answer(asked, &Cancelled { status: status::NOT_CANCELLED }),
            _ => not_now(asked, What::Cancel, out),
        }
    }
}

/// The message, where it is this account's; nothing where the store does not answer.
pub(crate) fn own(account: &str, found: Answer<'_>) -> Result<Option<Option<Message>>, Fault> {
    let Answer::Row(row) = found else { return Ok(None) };
    let message = row.map(|row| row.read::<Message>()).transpose()?;
    Ok(Some(message.filter(|message| message.account == account)))
}

fn scan(asked: RequestId, account: &str, last: Option<&Message>, limit: u32, out: &mut Out<'_, Desk>) {
    let (from, to) = (place(account, ""), place(account, "g"));
    // One more tells whether there are more.
    let scan = Scan::of(&MESSAGES).by("place").from(&from).to(&to).limit(limit + 1);
    let scan = match last {
        Some(Message { id, place, .. }) => scan.after(&Last { id, place }),
        None => scan,
    };
    out.scan(&scan, Then::Listed { asked, limit });
}

/// So many messages are listed at most.
const PAGE: u32 = 100;
