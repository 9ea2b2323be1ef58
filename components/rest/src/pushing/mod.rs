//! What happens by itself: webhooks are told, and events that were kept for too long go. [`Resident`] is a session without a peer, of
//! which each worker has one.
//!
//! Whose webhook is whose to tell is a row of [`PUSHERS`]: a resident claims it by compare-and-set, holds it for a while, and asks for
//! more time before each request for which the rest would be short. So no two of them tell the same at once, and what a resident of
//! another run of the host has held is free. The claim of nobody's account, the empty name, is that of dropping what is outdated.

mod claim;
mod owed;
mod post;

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use self::post::{Batch, Posting};
use crate::Rest;
use crate::keeping::Keeping;
use crate::session::{Conversation, Then};
use crate::tables::Name;

/// What a worker does by itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Resident {
    /// What other services ask.
    keeping: Keeping,
    lanes: BTreeMap<String, Lane>,
    /// What claims name it.
    holder: String,
    /// It is to end by then.
    until: Option<Time>,
    /// The store has failed: nothing is begun before.
    #[serde(default)]
    paused: Option<Time>,
    over: bool,
}

/// One account's webhook.
#[derive(Debug, Serialize, Deserialize)]
struct Lane {
    stage: Stage,
    /// Until when the claim is ours.
    held_until: Option<Time>,
    /// How often it has failed in a row.
    failures: u32,
    /// It was told of these, which is not written down yet.
    #[serde(default)]
    told: Vec<Name>,
    /// Up to there its events are all to be seen.
    #[serde(default)]
    reached: i64,
    /// Something has come since it was last looked.
    #[serde(default)]
    news: bool,
}

/// What it awaits.
#[derive(Debug, Serialize, Deserialize)]
enum Stage {
    /// The time to see whose it is.
    Away { until: Time },
    /// Whose it is.
    See,
    /// Whether it is ours, until then.
    Claim { until: Time },
    /// Whether it is ours still, until then.
    Renew { until: Time, rest: Time },
    /// The time to look what there is to tell.
    Rest { until: Time },
    /// What there is to tell.
    Look,
    /// A connection.
    Dial { dial: Token, batch: Batch, fresh: bool },
    /// The answer.
    Post(Box<Posting>),
}

impl Resident {
    pub(crate) fn handle(
        &mut self,
        rest: &Rest,
        event: Event<'_, Then>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        match event {
            Event::Opened => {
                self.holder = format!("{:x}-{:016x}", rest.run, out.random());
                out.serve(true);
            }
            Event::Request { id, request } => self.keeping.take(id, &request, out),
            Event::Withdrawn { id } => self.keeping.withdrawn(id),
            Event::Answer { then, answer } => match then {
                Then::Pusher { account } => self.seen(rest, &account, answer, failed, out)?,
                Then::Claimed { account } => self.claimed(&account, answer, failed, out),
                Then::Renewed { account } => self.renewed(&account, answer, failed, out),
                Then::Due { account } => self.is_due(rest, account, answer, out)?,
                Then::Owed { account } => self.owed(rest, account, answer, failed, out)?,
                Then::Outdated => self.outdated(rest, answer, failed, out)?,
                Then::OutdatedKeys => owed::outdated_keys(rest, answer, failed, out)?,
                Then::Dialed { account } => self.dialed(rest, &account, answer, out),
                then => self.keeping.answered(rest, then, answer, failed, out)?,
            },
            Event::Bytes { stream, bytes } => self.answer_comes(rest, stream, bytes, failed, out),
            Event::End { stream } | Event::Closed { stream } => self.server_gone(rest, stream, failed, out),
            Event::Drain { until } => {
                self.until = Some(until);
                out.serve(false);
            }
            _ => {}
        }
        if failed {
            // What is begun writes as well, and would fail as this has.
            self.paused = Some(out.now() + PAUSE);
        }
        self.tend(rest, out);
        Ok(())
    }

    pub(crate) fn is_idle(&self) -> bool {
        let idle = |lane: &Lane| matches!(lane.stage, Stage::Away { .. } | Stage::Rest { .. });
        self.keeping.is_empty() && self.lanes.values().all(idle)
    }

    /// When there is something to do.
    pub(crate) fn due(&self, rest: &Rest) -> Option<Time> {
        if self.over {
            return None;
        }
        let begins = self.lanes.values().filter_map(|lane| lane.due(rest)).min();
        begins.map(|at| at.max(self.paused.unwrap_or_default())).into_iter().chain(self.until).min()
    }

    /// Begins what is due, for each account that the configuration has by now.
    fn tend(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        if self.over {
            return;
        }
        self.paused = self.paused.filter(|until| *until > out.now());
        let paused = self.paused.is_some();
        match self.until {
            Some(until) if paused && until <= out.now() => return self.end(out),
            _ if paused => return,
            Some(until) => return self.leave(until, out),
            None => {}
        }
        for account in self.keeping.take_news() {
            if let Some(lane) = self.lanes.get_mut(&account) {
                lane.news = true;
            }
        }
        let accounts = rest.config.accounts.iter().filter(|(_, account)| account.webhook.is_some());
        for account in accounts.map(|(name, _)| name.as_str()).chain([NOBODY]) {
            if !self.lanes.contains_key(account) {
                // Residents that begin at the same time see at different times whose it is.
                let until = out.now() + std::time::Duration::from_millis(out.random() % 100);
                self.lanes.insert(account.to_owned(), Lane::new(until));
            }
        }
        let holder = &self.holder;
        self.lanes.retain(|account, lane| {
            let wanted = account == NOBODY || rest.config.webhook(account).is_some();
            wanted || !lane.leave(account, holder, out)
        });
        for (account, lane) in &mut self.lanes {
            lane.tend(rest, account, holder, out);
        }
    }

    /// Ends, once what is under way is through or its time is up.
    fn leave(&mut self, until: Time, out: &mut Out<'_, Conversation>) {
        for lane in self.lanes.values_mut() {
            let late = matches!(&lane.stage, Stage::Post(posting) if posting.until <= out.now());
            if late || until <= out.now() {
                lane.give_up(out);
            }
        }
        let holder = &self.holder;
        self.lanes.retain(|account, lane| !lane.leave(account, holder, out));
        let through = self.lanes.is_empty() && self.keeping.is_empty();
        if through || until <= out.now() {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Out<'_, Conversation>) {
        self.over = true;
        out.close(Stream::OWN);
    }
}

impl Lane {
    fn new(until: Time) -> Self {
        Lane { stage: Stage::Away { until }, held_until: None, failures: 0, told: Vec::new(), reached: 0, news: false }
    }

    /// When there is something to do.
    fn due(&self, rest: &Rest) -> Option<Time> {
        match &self.stage {
            Stage::Away { until } => Some(*until),
            Stage::Rest { .. } if self.news && self.failures == 0 => Some(Time::default()),
            Stage::Rest { until } => {
                let renewal = self.held_until.map(|held| claim::renewal(rest, held));
                Some(renewal.map_or(*until, |at| at.min(*until)))
            }
            Stage::Post(posting) => Some(posting.until),
            _ => None,
        }
    }

    /// Begins what is due.
    fn tend(&mut self, rest: &Rest, account: &str, holder: &str, out: &mut Out<'_, Conversation>) {
        if self.due(rest).is_none_or(|due| due > out.now()) {
            return;
        }
        match &self.stage {
            Stage::Away { .. } => self.see(account, out),
            Stage::Rest { until } => {
                let (until, held) = (*until, self.held_until.unwrap_or_default());
                if claim::renewal(rest, held) <= out.now() {
                    self.renew(rest, account, holder, until, out);
                } else {
                    self.look(rest, account, out);
                }
            }
            Stage::Post(_) => self.fail(rest, account, "there is no answer in time", out),
            _ => {}
        }
    }

    /// Rests until it is time to look again.
    fn rest(&mut self, until: Time) {
        self.stage = Stage::Rest { until };
    }

    /// Gives up what is under way: it may have been told, and will be again.
    fn give_up(&mut self, out: &mut Out<'_, Conversation>) {
        match &self.stage {
            Stage::Dial { dial, .. } => drop(out.cancel(*dial)),
            Stage::Post(posting) => out.abort(posting.stream),
            _ => {}
        }
        self.rest(out.now());
    }
}

/// The account of which nobody is: whose claim is that of dropping what is outdated.
const NOBODY: &str = "";
/// For so long nothing is begun after the store has failed.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
