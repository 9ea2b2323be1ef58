//! What a webhook is to be told, what it was told, and what is too old to be told.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_component::prelude::*;

use super::post::Batch;
use super::{Lane, NOBODY, Resident, Stage};
use crate::Rest;
use crate::session::{Conversation, Then};
use crate::tables::{self, EVENTS, KEYS, Key, Name, TAILS, Tail, nanos, remove};

/// Events that nobody has come for.
#[derive(Serialize)]
struct Dropped {
    event: &'static str,
    dropped: u64,
}

impl Lane {
    /// Looks what there is.
    pub(super) fn look(&mut self, rest: &Rest, account: &str, out: &mut Out<'_, Conversation>) {
        (self.stage, self.news) = (Stage::Look, false);
        if account == NOBODY {
            let keep = i64::try_from(rest.config.events.keep.as_nanos()).unwrap_or(i64::MAX);
            let until = nanos(out.now()).saturating_sub(keep);
            out.scan(&Scan::of(&EVENTS).by("kept_at").to(&until).limit(PAGE), Then::Outdated);
            return look_for_keys(rest, out);
        }
        out.get(&TAILS, &account, Then::Due { account: account.to_owned() });
    }

    /// It has been told: what it was told of goes.
    pub(super) fn told(&mut self, account: &str, batch: &Batch, failed: bool, out: &mut Out<'_, Conversation>) {
        self.failures = 0;
        if failed {
            // Remembered, so that it is not told twice, and written down at the next look.
            self.told.clone_from(&batch.names);
        } else {
            remove(account, &batch.names, out);
        }
        self.news = !failed;
        self.rest(out.now() + if failed { STORE_AGAIN } else { Duration::ZERO });
    }

    /// It could not be told: it is tried again, after a while that grows.
    pub(super) fn fail(&mut self, rest: &Rest, account: &str, why: &str, out: &mut Out<'_, Conversation>) {
        // The server is not blamed: it would be left out for other accounts as well, whose webhooks it may answer.
        if let Stage::Post(posting) = &self.stage {
            out.abort(posting.stream);
        }
        let config = &rest.config.webhooks;
        let whole = config.retry_min.saturating_mul(1 << self.failures.min(20)).min(config.retry_max);
        // Between half of it and the whole, so that those that have failed together do not come back together.
        let span = whole.mul_f64(0.5 + (out.random() % 1000) as f64 / 2000.0);
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(account, why, failures = self.failures, again_in = ?span, "a webhook was not told");
        let record = Record { account, ..Record::of(Outcome::Failed) };
        out.record(record, &Told { event: "webhook", events: 0, failures: self.failures, why });
        self.rest(out.now() + span);
    }
}

/// A webhook was told, or was to be.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    pub(super) event: &'static str,
    pub(super) events: usize,
    pub(super) failures: u32,
    pub(super) why: &'a str,
}

impl Resident {
    /// It is known how far the account's events go.
    pub(super) fn is_due(
        &mut self,
        rest: &Rest,
        account: String,
        answer: Answer<'_>,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Some(lane) = self.lanes.get_mut(&account).filter(|lane| matches!(lane.stage, Stage::Look)) else {
            return Ok(());
        };
        let Answer::Row(row) = answer else {
            lane.rest(out.now() + STORE_AGAIN);
            return Ok(());
        };
        lane.reached = row.map(|row| row.read::<Tail>()).transpose()?.map_or(0, |tail| tail.last);
        out.scan(&tables::after(&account, 0, rest.config.webhooks.batch), Then::Owed { account });
        Ok(())
    }

    /// It is known what there is.
    pub(super) fn owed(
        &mut self,
        rest: &Rest,
        account: String,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Some(lane) = self.lanes.get_mut(&account).filter(|lane| matches!(lane.stage, Stage::Look)) else {
            return Ok(());
        };
        let (Answer::Rows(rows), Some(webhook), false) = (answer, rest.config.webhook(&account), failed) else {
            lane.rest(out.now() + STORE_AGAIN);
            return Ok(());
        };
        let mut events = rows.read::<tables::Event>()?;
        events.retain(|event| event.n <= lane.reached);
        let told = std::mem::take(&mut lane.told);
        if !told.is_empty() {
            // It was told of them, and that could not be written down then.
            remove(&account, &told, out);
            lane.rest(out.now());
            return Ok(());
        }
        if events.is_empty() {
            lane.rest(out.now() + rest.config.events.look);
            return Ok(());
        }
        let batch = Batch::of(&events);
        let dial = out.dial(webhook.upstream.as_str(), Then::Dialed { account });
        lane.stage = Stage::Dial { dial, batch, fresh: false };
        Ok(())
    }

    /// What was kept for too long goes, whoever it is for.
    pub(super) fn outdated(
        &mut self,
        _: &Rest,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Some(lane) = self.lanes.get_mut(NOBODY).filter(|lane| matches!(lane.stage, Stage::Look)) else {
            return Ok(());
        };
        let (Answer::Rows(rows), false) = (answer, failed) else {
            lane.rest(out.now() + OUTDATED);
            return Ok(());
        };
        let events = rows.read::<tables::Event>()?;
        let again = if events.len() == PAGE as usize { Duration::ZERO } else { OUTDATED };
        lane.rest(out.now() + again);
        let mut by_account: BTreeMap<&str, Vec<Name>> = BTreeMap::new();
        for event in &events {
            by_account.entry(&event.account).or_default().push(Name::from(event));
        }
        for (account, names) in by_account {
            let dropped = names.len() as u64;
            tracing::warn!(account, dropped, "events that nobody has come for");
            out.record(Record { account, ..Record::of(Outcome::Abandoned) }, &Dropped { event: "dropped", dropped });
            out.add(&TAILS, &account, "dropped", i64::try_from(dropped).unwrap_or(i64::MAX));
            remove(account, &names, out);
        }
        Ok(())
    }
}

fn look_for_keys(rest: &Rest, out: &mut Out<'_, Conversation>) {
    let keep = i64::try_from(rest.config.keys.keep.as_nanos()).unwrap_or(i64::MAX);
    let until = nanos(out.now()).saturating_sub(keep);
    out.scan(&Scan::of(&KEYS).by("kept_at").to(&until).limit(PAGE), Then::OutdatedKeys);
}

/// What was answered long enough ago goes, page by page.
pub(super) fn outdated_keys(
    rest: &Rest,
    answer: Answer<'_>,
    failed: bool,
    out: &mut Out<'_, Conversation>,
) -> Result<(), Fault> {
    let (Answer::Rows(rows), false) = (answer, failed) else { return Ok(()) };
    let keys = rows.read::<Key>()?;
    keys.iter().for_each(|it| out.delete(&KEYS, &(&it.account, &it.key)));
    if keys.len() == PAGE as usize {
        look_for_keys(rest, out);
    }
    Ok(())
}

/// So many go in one transaction.
const PAGE: u32 = 200;
/// How often it is looked for some.
const OUTDATED: Duration = Duration::from_secs(60);
/// When it is looked again where the store has failed.
const STORE_AGAIN: Duration = Duration::from_secs(1);
