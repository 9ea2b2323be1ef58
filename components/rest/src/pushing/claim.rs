//! Whose an account's webhook is to tell.

use std::time::Duration;

use tandem_component::prelude::*;

use super::{Lane, Resident, Stage};
use crate::Rest;
use crate::session::{Conversation, Then};
use crate::tables::{PUSHERS, is_of, nanos};

/// A row of [`PUSHERS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    account: String,
    /// The run of the host, and a name of the resident.
    holder: String,
    claimed_until: i64,
}

#[derive(Serialize)]
struct Held<'a> {
    account: &'a str,
    holder: &'a str,
}

#[derive(Serialize)]
struct Until {
    claimed_until: i64,
}

impl Claim {
    /// Whether nobody has it any more.
    fn is_free(&self, run: u64, now: Time) -> bool {
        self.claimed_until <= nanos(now) || !is_of(&self.holder, run)
    }
}

impl Lane {
    /// Sees whose it is.
    pub(super) fn see(&mut self, account: &str, out: &mut Out<'_, Conversation>) {
        (self.stage, self.held_until) = (Stage::See, None);
        out.get(&PUSHERS, &account, Then::Pusher { account: account.to_owned() });
    }

    /// Asks for more time, and rests until then.
    pub(super) fn renew(
        &mut self,
        rest: &Rest,
        account: &str,
        holder: &str,
        until: Time,
        out: &mut Out<'_, Conversation>,
    ) {
        let claimed_until = out.now() + lease(rest);
        self.stage = Stage::Renew { until: claimed_until, rest: until };
        let then = Then::Renewed { account: account.to_owned() };
        out.swap(&PUSHERS, &Held { account, holder }, &Until { claimed_until: nanos(claimed_until) }, then);
    }

    /// Gives the claim back, where nothing is under way. Whether that is so.
    pub(super) fn leave(&mut self, account: &str, holder: &str, out: &mut Out<'_, Conversation>) -> bool {
        if !matches!(self.stage, Stage::Away { .. } | Stage::Rest { .. }) {
            return false;
        }
        if self.held_until.take().is_some() {
            out.swap(&PUSHERS, &Held { account, holder }, &Until { claimed_until: 0 }, Then::Released);
        }
        true
    }

    fn away(&mut self, now: Time) {
        self.held_until = None;
        self.stage = Stage::Away { until: now + AWAY };
    }
}

impl Resident {
    /// It is known whose it is.
    pub(super) fn seen(
        &mut self,
        rest: &Rest,
        account: &str,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Some(lane) = self.lanes.get_mut(account).filter(|lane| matches!(lane.stage, Stage::See)) else {
            return Ok(());
        };
        let Answer::Row(row) = answer else {
            lane.away(out.now());
            return Ok(());
        };
        let until = out.now() + lease(rest);
        let ours = Claim { account: account.to_owned(), holder: self.holder.clone(), claimed_until: nanos(until) };
        let then = Then::Claimed { account: account.to_owned() };
        match row.map(|row| row.read::<Claim>()).transpose()? {
            _ if failed => lane.away(out.now()),
            None => {
                lane.stage = Stage::Claim { until };
                out.insert(&PUSHERS, &ours, then);
            }
            Some(claim) if claim.is_free(rest.run, out.now()) => {
                lane.stage = Stage::Claim { until };
                out.swap(&PUSHERS, &claim, &ours, then);
            }
            Some(_) => lane.away(out.now()),
        }
        Ok(())
    }

    /// It is ours, or another was faster.
    pub(super) fn claimed(&mut self, account: &str, answer: Answer<'_>, _: bool, out: &mut Out<'_, Conversation>) {
        let Some(lane) = self.lanes.get_mut(account) else { return };
        let Stage::Claim { until } = lane.stage else { return };
        if answer == Answer::Changed(true) {
            lane.held_until = Some(until);
            (lane.failures, lane.news) = (0, false);
            lane.rest(out.now());
        } else {
            lane.away(out.now());
        }
    }

    /// It is ours still, or, where that was not said in time, another's.
    pub(super) fn renewed(&mut self, account: &str, answer: Answer<'_>, _: bool, out: &mut Out<'_, Conversation>) {
        let Some(lane) = self.lanes.get_mut(account) else { return };
        let Stage::Renew { until, rest } = lane.stage else { return };
        if answer == Answer::Changed(true) {
            lane.held_until = Some(until);
            lane.rest(rest);
        } else {
            lane.away(out.now());
        }
    }
}

/// How long a claim is held.
fn lease(rest: &Rest) -> Duration {
    renewed_before(rest) + HELD
}

/// When more time is asked for: so that a request that begins before has its whole time.
pub(super) fn renewal(rest: &Rest, held_until: Time) -> Time {
    let before = u64::try_from(renewed_before(rest).as_nanos()).unwrap_or(u64::MAX);
    Time::from_nanos(held_until.nanos().saturating_sub(before))
}

/// A connection and an answer, and what is asked again over a fresh connection.
fn renewed_before(rest: &Rest) -> Duration {
    rest.config.webhooks.timeout * 2 + MARGIN
}

/// Beside what a request may take.
const HELD: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(30);
/// When it is seen again whose it is that was another's.
const AWAY: Duration = Duration::from_secs(10);
