//! Events for who asks for them: there at once, or awaited; and gone once they are said to be taken.
//!
//! Reading changes nothing, so a client that has lost an answer asks again; only `DELETE` makes events go. Whether there are some is
//! looked for from time to time, since they are kept by other sessions, on other workers.

use tandem_component::prelude::*;

use super::answer::{JSON, Told};
use super::{Connection, Stage};
use crate::Rest;
use crate::config::PAGE_MAX;
use crate::operation::Operation;
use crate::session::{Conversation, Then};
use crate::status::unstored;
use crate::tables::{self, Name, TAILS, Tail, remove};

/// How long it is waited for events.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) until: Time,
    /// They are being looked for.
    looking: bool,
    /// Up to there they are all to be seen.
    #[serde(default)]
    reached: i64,
}

impl Connection {
    pub(super) fn begin_fetching(&mut self, rest: &Rest, wait_s: u64, out: &mut Out<'_, Conversation>) {
        let waits = !self.half_closed && self.until.is_none();
        let wait = std::time::Duration::from_secs(if waits { wait_s } else { 0 });
        self.stage = Stage::Fetch(Waiting { until: out.now() + wait, looking: false, reached: 0 });
        self.fetch(rest, out);
    }

    /// Looks for events.
    pub(super) fn fetch(&mut self, _: &Rest, out: &mut Out<'_, Conversation>) {
        let Stage::Fetch(waiting) = &mut self.stage else { return };
        if std::mem::replace(&mut waiting.looking, true) {
            return;
        }
        self.due = None;
        out.get(&TAILS, &self.exchange.account, Then::Reached);
    }

    /// It is known how far the account's events go.
    pub(super) fn reached(
        &mut self,
        rest: &Rest,
        answer: Answer<'_>,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Answer::Row(row) = answer else {
            if matches!(self.stage, Stage::Fetch(_) | Stage::Acknowledge { .. }) {
                self.refuse(rest, &unstored(), out);
            }
            return Ok(());
        };
        let last = row.map(|row| row.read::<Tail>()).transpose()?.map_or(0, |tail| tail.last);
        match (&mut self.stage, &self.exchange.operation) {
            (Stage::Fetch(waiting), Some(Operation::Fetch { after, limit, .. })) => {
                waiting.reached = last;
                if last <= *after {
                    self.found(rest, Vec::new(), out);
                } else {
                    // Some more than are told, to know whether there are more, and whether those are of the same number.
                    out.scan(&tables::after(&self.exchange.account, *after, limit + ALIKE), Then::Fetched);
                }
            }
            (Stage::Acknowledge { reached }, _) => {
                *reached = last;
                self.acknowledge_page(out);
            }
            _ => {}
        }
        Ok(())
    }

    /// There are some, or none yet.
    pub(super) fn fetched(
        &mut self,
        rest: &Rest,
        answer: Answer<'_>,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Stage::Fetch(waiting) = &self.stage else { return Ok(()) };
        let Answer::Rows(rows) = answer else {
            self.refuse(rest, &unstored(), out);
            return Ok(());
        };
        let mut events = rows.read::<tables::Event>()?;
        events.retain(|event| event.n <= waiting.reached);
        self.found(rest, events, out);
        Ok(())
    }

    /// These are there: tells them, or waits on where there are none.
    fn found(&mut self, rest: &Rest, mut events: Vec<tables::Event>, out: &mut Out<'_, Conversation>) {
        let Stage::Fetch(waiting) = &mut self.stage else { return };
        let Some(Operation::Fetch { after, limit, .. }) = self.exchange.operation else { return };
        waiting.looking = false;
        if events.is_empty() && out.now() < waiting.until {
            self.due = Some(waiting.until.min(out.now() + rest.config.events.look));
            return;
        }
        // A cursor stands for all of its number, of which there are several where sessions have raced for it.
        let last = events.iter().map(|event| event.n).nth(limit as usize - 1);
        let fit = last.map_or(events.len(), |last| events.partition_point(|event| event.n <= last));
        let more = events.len() > fit;
        events.truncate(fit);
        let cursor = events.last().map_or(after, |event| event.n);
        let page = format!("{{\"events\":{},\"cursor\":\"{cursor}\",\"more\":{more}}}\n", tables::list(&events));
        self.answer(rest, Told::bytes(200, JSON, page.into_bytes()), out);
    }

    /// Makes events go, a page at a time.
    pub(super) fn acknowledge(&mut self, out: &mut Out<'_, Conversation>) {
        self.stage = Stage::Acknowledge { reached: 0 };
        out.get(&TAILS, &self.exchange.account, Then::Reached);
    }

    fn acknowledge_page(&mut self, out: &mut Out<'_, Conversation>) {
        out.scan(&tables::after(&self.exchange.account, 0, PAGE_MAX), Then::Taken);
    }

    /// A page of those that are there.
    pub(super) fn taken(
        &mut self,
        rest: &Rest,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Stage::Acknowledge { reached } = self.stage else { return Ok(()) };
        let (Some(Operation::Acknowledge { through }), Answer::Rows(rows), false) =
            (&self.exchange.operation, answer, failed)
        else {
            self.refuse(rest, &unstored(), out);
            return Ok(());
        };
        let through = reached.min(*through);
        let events = rows.read::<tables::Event>()?;
        let taken: Vec<Name> = events.iter().filter(|event| event.n <= through).map(Name::from).collect();
        remove(&self.exchange.account, &taken, out);
        if taken.len() == PAGE_MAX as usize {
            self.acknowledge_page(out);
        } else {
            self.answer(rest, Told::nothing(), out);
        }
        Ok(())
    }
}

/// More sessions than this do not race for one number.
const ALIKE: u32 = 64;
