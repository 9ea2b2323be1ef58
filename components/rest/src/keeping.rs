//! What other services have for accounts: each receipt or message becomes a row, and is answered once that is committed.
//!
//! An account's waiting events go together: their numbers are taken by a compare-and-set of the account's tail, and their rows are
//! made in the same transaction. Where another session was faster the rows are taken back and the numbers asked anew, so what has
//! been answered has a number that nobody can have passed over ([`tables`](crate::tables)).

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};
use tandem_component::prelude::*;
use tandem_sms::{Asked, Cancelled, Deliver, Delivered, Listed, Queried, Submitted, status};

use crate::Rest;
use crate::date;
use crate::message::written;
use crate::session::{Conversation, Then};
use crate::tables::{self, EVENTS, Last, TAILS, Tail, nanos};

/// The requests that are not answered yet, by account.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Keeping {
    lanes: BTreeMap<String, Lane>,
    /// Accounts that have got something since they were last looked at.
    #[serde(default)]
    news: Vec<String>,
}

/// Those of one account.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Lane {
    waiting: VecDeque<Pending>,
    /// Those that have been written, in the order of their numbers from `first` on.
    written: Vec<Pending>,
    first: i64,
    /// Whether the numbers were taken, and which rows were made, as far as it was told.
    numbered: bool,
    kept: Vec<bool>,
}

/// One event, until it is a row.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    asked: RequestId,
    id: String,
    body: String,
}

impl Keeping {
    /// Takes what a session that does nothing else is told.
    pub(crate) fn handle(
        &mut self,
        rest: &Rest,
        event: Event<'_, Then>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        match event {
            Event::Request { id, request } => self.take(id, &request, out),
            Event::Withdrawn { id } => self.withdrawn(id),
            Event::Answer { then, answer } => self.answered(rest, then, answer, failed, out)?,
            _ => {}
        }
        Ok(())
    }

    /// What it has asked for.
    pub(crate) fn answered(
        &mut self,
        rest: &Rest,
        then: Then,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        match then {
            Then::Tail { account } => self.tail(rest, account, answer, failed, out)?,
            Then::Numbered { account } => self.numbered(&account, answer == Answer::Changed(true)),
            Then::Kept { account } => self.kept(&account, answer == Answer::Changed(true), failed, out),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The accounts that have got something since this was last asked.
    pub(crate) fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// Another service asks.
    pub(crate) fn take(
        &mut self,
        asked: RequestId,
        request: &tandem_component::Request<'_>,
        out: &mut Out<'_, Conversation>,
    ) {
        let deliver = match request.read::<Asked>() {
            Ok(Asked::Deliver(deliver)) if !deliver.account.is_empty() => deliver,
            Ok(Asked::Deliver(Deliver { id, .. })) => {
                tracing::warn!(from = request.from(), id, "a message for no account");
                return answer(asked, status::UNWANTED, out);
            }
            other => {
                tracing::warn!(from = request.from(), "asks for what is not done here");
                return refuse(asked, other.ok(), out);
            }
        };
        let id = match &deliver.id[..] {
            "" => format!("{:016x}{:016x}", out.now().nanos(), out.random()),
            known => known.to_owned(),
        };
        let pending = Pending { asked, body: told(&id, &deliver, out.now()).to_string(), id };
        let lane = self.lanes.entry(deliver.account.clone()).or_insert_with(|| {
            look_up(&deliver.account, out);
            Lane::default()
        });
        lane.waiting.push_back(pending);
    }

    /// Nobody waits for the answer. What is being written is written.
    pub(crate) fn withdrawn(&mut self, asked: RequestId) {
        for lane in self.lanes.values_mut() {
            lane.waiting.retain(|pending| pending.asked != asked);
        }
    }

    /// It is known where the account's events have got to: as many as there is room for are written.
    fn tail(
        &mut self,
        rest: &Rest,
        account: String,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Some(lane) = self.lanes.get_mut(&account) else { return Ok(()) };
        let row = match found {
            Answer::Row(row) if !failed => row,
            _ => {
                lane.waiting.drain(..).for_each(|pending| answer(pending.asked, status::TEMPORARY, out));
                self.lanes.remove(&account);
                return Ok(());
            }
        };
        let known = row.map(|row| row.read::<Tail>()).transpose()?;
        let tail = known.unwrap_or_default();
        let room = (rest.config.events_max(&account) - (tail.last - tail.gone)).clamp(0, TOGETHER);
        let n = usize::try_from(room).unwrap_or(0).min(lane.waiting.len());
        lane.written = lane.waiting.drain(..n).collect();
        if n == 0 {
            // Whoever asks keeps it until the account has taken some.
            lane.waiting.drain(..).for_each(|pending| answer(pending.asked, status::FULL, out));
            self.lanes.remove(&account);
            return Ok(());
        }
        (lane.first, lane.numbered) = (tail.last + 1, false);
        lane.kept.clear();
        let last = tail.last + i64::try_from(n).unwrap_or(i64::MAX);
        let then = Then::Numbered { account: account.clone() };
        let ours = Last { account: &account, last };
        match known {
            Some(_) => out.swap(&TAILS, &Last { account: &account, last: tail.last }, &ours, then),
            None => out.insert(&TAILS, &ours, then),
        };
        for (n, pending) in (lane.first..).zip(&lane.written) {
            let event = tables::Event {
                account: account.clone(),
                n,
                id: pending.id.clone(),
                kept_at: nanos(out.now()),
                body: pending.body.clone(),
            };
            out.insert(&EVENTS, &event, Then::Kept { account: account.clone() });
        }
        Ok(())
    }

    /// Whether the numbers are ours. It is told before what became of the rows.
    fn numbered(&mut self, account: &str, ours: bool) {
        if let Some(lane) = self.lanes.get_mut(account) {
            lane.numbered = ours;
        }
    }

    /// Whether a row was made.
    fn kept(&mut self, account: &str, made: bool, failed: bool, out: &mut Out<'_, Conversation>) {
        let Some(lane) = self.lanes.get_mut(account) else { return };
        lane.kept.push(made);
        self.settle(account, failed, out);
    }

    /// All is told of what was written: answers it, or goes on with other numbers.
    fn settle(&mut self, account: &str, failed: bool, out: &mut Out<'_, Conversation>) {
        let Some(lane) = self.lanes.get_mut(account) else { return };
        if lane.kept.len() < lane.written.len() {
            return;
        }
        let made = std::mem::take(&mut lane.kept);
        let numbers = lane.first..;
        let written: Vec<(i64, Pending)> = numbers.zip(lane.written.drain(..)).collect();
        for ((n, pending), made) in written.into_iter().zip(made).rev() {
            if lane.numbered && made {
                answer(pending.asked, status::OK, out);
                continue;
            }
            // A row that cannot be taken back is one that comes twice, under the same id.
            if made && !failed {
                out.delete(&EVENTS, &(account, n, &pending.id));
            }
            lane.waiting.push_front(pending);
        }
        if lane.numbered {
            self.news.push(account.to_owned());
        }
        if lane.waiting.is_empty() {
            self.lanes.remove(account);
        } else {
            look_up(account, out);
        }
    }
}

fn look_up(account: &str, out: &mut Out<'_, Conversation>) {
    out.get(&TAILS, &account, Then::Tail { account: account.to_owned() });
}

fn answer(asked: RequestId, status: u32, out: &mut Out<'_, Conversation>) {
    out.answer(asked, &Delivered { status });
}

/// Answers what is not done here in the form that whoever asks expects.
fn refuse(asked: RequestId, what: Option<Asked>, out: &mut Out<'_, Conversation>) {
    let status = status::UNKNOWN_COMMAND;
    match what {
        Some(Asked::Submit(_)) => out.answer(asked, &Submitted { status, ..Submitted::default() }),
        Some(Asked::Query(_)) => out.answer(asked, &Queried { status, ..Queried::default() }),
        Some(Asked::List(_)) => out.answer(asked, &Listed { status, ..Listed::default() }),
        Some(Asked::Cancel(_)) => out.answer(asked, &Cancelled { status }),
        _ => answer(asked, status, out),
    }
}

/// An event as its account is told it.
fn told(id: &str, deliver: &Deliver, now: Time) -> Value {
    let mut event = Map::new();
    let sms = &deliver.sms;
    event.insert("id".into(), id.into());
    event.insert("at".into(), date::write(date::millis(now)).into());
    event.insert("from".into(), written(&sms.source).into());
    event.insert("to".into(), written(&sms.destination).into());
    match (&deliver.receipt, &deliver.text) {
        (Some(report), _) => {
            event.insert("type".into(), "receipt".into());
            event.insert("message_id".into(), report.message_id.as_str().into());
            event.insert("state".into(), report.state.word().into());
            event.insert("error".into(), report.error.as_str().into());
            event.insert("final".into(), (!report.intermediate).into());
            if !deliver.reference.is_empty() {
                event.insert("reference".into(), deliver.reference.as_str().into());
            }
        }
        (None, Some(text)) => {
            event.insert("type".into(), "message".into());
            event.insert("text".into(), text.as_str().into());
        }
        (None, None) => {
            use base64::Engine;
            let payload = tandem_sms::tlv::find(&sms.tlvs, tandem_sms::tlv::MESSAGE_PAYLOAD);
            let bytes = payload.filter(|_| sms.short_message.is_empty()).unwrap_or(&sms.short_message);
            event.insert("type".into(), "message".into());
            event.insert("binary".into(), base64::engine::general_purpose::STANDARD.encode(bytes).into());
            event.insert("data_coding".into(), sms.data_coding.into());
            event.insert("udhi".into(), (sms.esm_class & HEADER != 0).into());
        }
    }
    json!(event)
}

/// `esm_class`: there is a user data header (section 5.2.12).
const HEADER: u8 = 0x40;
/// So many events of an account are written in one transaction.
const TOGETHER: i64 = 64;
