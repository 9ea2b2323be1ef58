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
use crate::tables::{self, remove};

/// How long it is waited for events.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) until: Time,
    /// They are being looked for.
    looking: bool,
}

impl Connection {
    pub(super) fn begin_fetching(&mut self, rest: &Rest, wait_s: u64, out: &mut Out<'_, Conversation>) {
        let waits = !self.half_closed && self.until.is_none();
        let wait = std::time::Duration::from_secs(if waits { wait_s } else { 0 });
        self.stage = Stage::Fetch(Waiting { until: out.now() + wait, looking: false });
        self.fetch(rest, out);
    }

    /// Looks for events.
    pub(super) fn fetch(&mut self, _: &Rest, out: &mut Out<'_, Conversation>) {
        let Stage::Fetch(waiting) = &mut self.stage else { return };
        let Some(Operation::Fetch { after, limit, .. }) = self.exchange.operation else { return };
        if std::mem::replace(&mut waiting.looking, true) {
            return;
        }
        self.due = None;
        // One more than are told, to know whether there are more.
        out.scan(&tables::after(&self.exchange.account, after, limit + 1), Then::Fetched);
    }

    /// There are some, or none yet.
    pub(super) fn fetched(
        &mut self,
        rest: &Rest,
        answer: Answer<'_>,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Stage::Fetch(waiting) = &mut self.stage else { return Ok(()) };
        let Some(Operation::Fetch { after, limit, .. }) = self.exchange.operation else { return Ok(()) };
        waiting.looking = false;
        let Answer::Rows(rows) = answer else {
            self.refuse(rest, &unstored(), out);
            return Ok(());
        };
        let mut events = rows.read::<tables::Event>()?;
        if events.is_empty() && out.now() < waiting.until {
            self.due = Some(waiting.until.min(out.now() + rest.config.events.look));
            return Ok(());
        }
        let more = events.len() > limit as usize;
        events.truncate(limit as usize);
        let cursor = events.last().map_or(after, |event| event.n);
        let page = format!("{{\"events\":{},\"cursor\":\"{cursor}\",\"more\":{more}}}\n", tables::list(&events));
        self.answer(rest, Told::bytes(200, JSON, page.into_bytes()), out);
        Ok(())
    }

    /// Makes events go, a page at a time.
    pub(super) fn acknowledge(&mut self, out: &mut Out<'_, Conversation>) {
        self.stage = Stage::Acknowledge;
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
        if !matches!(self.stage, Stage::Acknowledge) {
            return Ok(());
        }
        let (Some(Operation::Acknowledge { through }), Answer::Rows(rows), false) =
            (&self.exchange.operation, answer, failed)
        else {
            self.refuse(rest, &unstored(), out);
            return Ok(());
        };
        let numbers: Vec<i64> = rows.read::<tables::Event>()?.iter().map(|event| event.n).collect();
        let taken: Vec<i64> = numbers.iter().copied().filter(|n| n <= through).collect();
        remove(&self.exchange.account, &taken, out);
        if taken.len() == PAGE_MAX as usize {
            self.acknowledge(out);
        } else {
            self.answer(rest, Told::nothing(), out);
        }
        Ok(())
    }
}
