//! What is due: found by its time, claimed by moving that on, and done.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::State;

use crate::Messaging;
use crate::config::Uncertain;
use crate::desk::Desk;
use crate::ending::{Counts, Found, SOON, done};
use crate::incoming::INCOMING;
use crate::message::{MESSAGES, Message, Phase, after, nanos};
use crate::sending::{Turn, hold, lease};
use crate::sent::{Part, SENT};
use crate::then::Then;
use crate::waiting::count_gone;

/// As it was found …
#[derive(Serialize)]
struct Expected<'a> {
    id: &'a str,
    #[serde(flatten)]
    found: Found,
}

/// … and as it is ours.
#[derive(Serialize)]
struct Claim<'a> {
    phase: Phase,
    due_at: i64,
    run: i64,
    network: Option<&'a str>,
    uncertain: bool,
    maybe_twice: bool,
}

#[derive(Serialize)]
struct NotCounted<'a> {
    id: &'a str,
    counted: bool,
}

impl Desk {
    /// Looks for what is due.
    pub(crate) fn sweep(&mut self, out: &mut Out<'_, Desk>) {
        self.look(out);
        if self.walking == 0 && self.beyond.is_some() {
            self.walking = PAGES;
            self.walk(out);
        }
    }

    /// Looks for what has been due for longest.
    pub(crate) fn look(&mut self, out: &mut Out<'_, Desk>) {
        if self.looking {
            return;
        }
        (self.looking, self.more) = (true, false);
        self.full.clear();
        let now = nanos(out.now());
        out.scan(&Scan::of(&MESSAGES).by("due_at").to(&now).limit(PAGE), Then::Due);
        out.scan(&Scan::of(&INCOMING).by("due_at").to(&now).limit(PAGE), Then::IncomingDue);
    }

    /// Looks behind that: what waits for room at one network is not to hide what is due behind it.
    fn walk(&mut self, out: &mut Out<'_, Desk>) {
        let now = nanos(out.now());
        if let Some((due_at, id)) = &self.beyond {
            let last = After { id, due_at: *due_at };
            out.scan(&Scan::of(&MESSAGES).by("due_at").to(&now).after(&last).limit(PAGE), Then::DueBeyond);
        }
    }

    /// Room has come: looks for what did not fit before.
    pub(crate) fn sweep_if_there_is_more(&mut self, m: &Messaging, network: &str, out: &mut Out<'_, Desk>) {
        let with = self.with.get(network).copied().unwrap_or_default();
        let waits = (self.more || self.full.contains(network)) && !self.is_paused(network, with, 1, out.now());
        if waits && !self.leaving && with <= m.config.network(network).window / 2 {
            self.look(out);
        }
    }

    /// Looks for what was under way when an earlier run of the host ended: all that is due within the longest lease.
    pub(crate) fn look_for_what_was_left(&mut self, out: &mut Out<'_, Desk>) {
        let until = after(nanos(out.now()), LEASE_MAX);
        out.scan(&Scan::of(&MESSAGES).by("due_at").to(&until).limit(1000), Then::LeftBehind);
        out.scan(&Scan::of(&INCOMING).by("due_at").to(&until).limit(1000), Then::IncomingDue);
    }

    pub(crate) fn left_behind(
        &mut self,
        m: &Messaging,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let (Answer::Rows(rows), false) = (answer, failed) else { return Ok(()) };
        let rows = rows.read::<Message>()?;
        let until = after(nanos(out.now()), LEASE_MAX);
        if let (Some(last), true) = (rows.last(), rows.len() >= 1000) {
            let last = After { id: &last.id, due_at: last.due_at };
            out.scan(&Scan::of(&MESSAGES).by("due_at").to(&until).after(&last).limit(1000), Then::LeftBehind);
        }
        for message in rows {
            // Under this run's number, or waiting for its time: not left behind.
            let waits = matches!(message.phase, Phase::Queued | Phase::Sent | Phase::Ended);
            if message.run != m.run && !waits {
                self.take_on(m, &message, Turn::First, out);
            }
        }
        Ok(())
    }

    pub(crate) fn due(
        &mut self,
        m: &Messaging,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        self.looking = false;
        let (Answer::Rows(rows), false) = (answer, failed) else { return Ok(()) };
        let rows = rows.read::<Message>()?;
        let end = end_of_page(&rows);
        let since: Vec<String> = self.full.iter().cloned().collect();
        let taken_on = self.take_all_on(m, rows, Turn::First, out);
        self.nobody_waits();
        self.more = end.is_some() && taken_on > 0;
        self.beyond = self.beyond.take().or(end);
        // What has come after the page was read is not on it, and its network may have answered all that it had.
        since.iter().for_each(|network| self.sweep_if_there_is_more(m, network, out));
        Ok(())
    }

    pub(crate) fn due_beyond(
        &mut self,
        m: &Messaging,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let left = std::mem::take(&mut self.walking).saturating_sub(1);
        let (Answer::Rows(rows), false) = (answer, failed) else { return Ok(()) };
        let rows = rows.read::<Message>()?;
        self.beyond = end_of_page(&rows);
        // Those before them have waited for longer.
        self.take_all_on(m, rows, Turn::Behind, out);
        if left > 0 && self.beyond.is_some() {
            self.walking = left;
            self.walk(out);
        }
        Ok(())
    }

    /// Claims messages that are due: how many.
    fn take_all_on(&mut self, m: &Messaging, rows: Vec<Message>, turn: Turn, out: &mut Out<'_, Desk>) -> usize {
        rows.into_iter().filter(|message| self.take_on(m, message, turn, out)).count()
    }

    /// Claims a message that is due. False where there is no room for it, or it is none of ours.
    fn take_on(&mut self, m: &Messaging, message: &Message, turn: Turn, out: &mut Out<'_, Desk>) -> bool {
        if self.leaving || message.phase == Phase::Other || self.attempts.contains_key(&message.id) {
            return false;
        }
        let now = nanos(out.now());
        let found = Found { phase: message.phase, due_at: message.due_at };
        let soon = after(now, SOON);
        let uncertain = message.phase == Phase::Sending;
        let (network, phase, due_at) = match message.phase {
            Phase::Queued | Phase::Sending if message.expires_at <= now => {
                let (state, why) = if uncertain || message.uncertain {
                    (State::Unknown, NOBODY_KNOWS)
                } else {
                    (State::Expired, message.error.as_deref().unwrap_or("it was not sent in time"))
                };
                self.end(m, (&message.id, Some(&Counts::of(message))), Some(found), (state, why), out);
                return true;
            }
            Phase::Sent if message.uncertain => {
                self.end(
                    m,
                    (&message.id, Some(&Counts::of(message))),
                    Some(found),
                    (State::Unknown, NOBODY_KNOWS),
                    out,
                );
                return true;
            }
            Phase::Sent => {
                let why = "its network did not say what became of it";
                self.end(m, (&message.id, Some(&Counts::of(message))), Some(found), (State::Expired, why), out);
                return true;
            }
            Phase::Sending if m.config.on_uncertain == Uncertain::Hold => (None, Phase::Sending, soon),
            Phase::Queued | Phase::Sending => {
                let due = Message { due_at: now, ..message.clone() };
                match self.room_for(m, &due, turn, out) {
                    Some(network) => {
                        let due_at = lease(m, &network, out.now());
                        (Some(network), Phase::Sending, due_at)
                    }
                    None => return false,
                }
            }
            phase => (None, phase, soon),
        };
        // Until the claim is answered the room is taken.
        let room = network.clone();
        if let Some(network) = &room {
            self.take_room(network, message.parts);
        }
        let network = network.or_else(|| message.network.clone());
        let uncertain = message.uncertain || uncertain;
        let resent = uncertain && room.is_some();
        let maybe_twice = message.maybe_twice || resent;
        let claim = Claim { phase, due_at, run: m.run, network: network.as_deref(), uncertain, maybe_twice };
        let ours = Message { due_at, network: network.clone(), maybe_twice, uncertain, ..message.clone() };
        let expected = Expected { id: &message.id, found };
        out.swap(&MESSAGES, &expected, &claim, Then::Claimed { message: Box::new(ours), room });
        true
    }

    /// Whether it is ours.
    pub(crate) fn claimed(
        &mut self,
        m: &Messaging,
        (message, room): (Message, Option<String>),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        if let Some(network) = &room {
            self.leave_room(network, message.parts);
            if answer == Answer::Changed(false) && self.give_pace_back(network, message.parts, out.now()) {
                self.look(out);
            }
        }
        if answer != Answer::Changed(true) || failed || has_run_out(&message, out.now()) {
            return;
        }
        match message.phase {
            Phase::Sending if m.config.on_uncertain == Uncertain::Hold => hold(&message, out),
            Phase::Queued | Phase::Sending => {
                // Of one that was tried before a network may have parts.
                let fresh =
                    message.phase == Phase::Queued && !message.uncertain && (message.tries == 0 || message.parts == 1);
                match &message.network {
                    Some(network) if fresh => self.send(m, &message, network, &[], out),
                    network => {
                        if let Some(network) = network {
                            self.take_room(network, message.parts);
                        }
                        let scan = Scan::of(&SENT).by("id").at(&message.id).limit(1000);
                        out.scan(&scan, Then::Had { message: Box::new(message.clone()) });
                    }
                }
            }
            Phase::Accepting => self.accept_later(&message, out),
            Phase::Ending => self.count(m, &message, out),
            Phase::Owing if message.ended_at.is_some_and(|at| after(at, m.config.keep) <= nanos(out.now())) => {
                let (id, front) = (&message.id, &message.front);
                tracing::error!(
                    id,
                    front,
                    "a front was away for too long: it is not told what has become of a message"
                );
                done(m, id, out);
            }
            Phase::Owing => self.report(&message, out),
            Phase::Ended => {
                if message.counted {
                    // A version that does not count has ended it.
                    count_gone(&Counts::of(&message), &mut out.writes());
                    out.update(&MESSAGES, &NotCounted { id: &message.id, counted: false });
                }
                out.scan(&Scan::of(&SENT).by("id").at(&message.id).limit(1000), Then::Gone { id: message.id });
            }
            Phase::Sent | Phase::Other => {}
        }
    }

    /// Which parts a network has already.
    pub(crate) fn had(
        &mut self,
        m: &Messaging,
        message: Message,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let Some(network) = message.network.clone() else { return Ok(()) };
        self.leave_room(&network, message.parts);
        if let (Answer::Rows(rows), false) = (answer, failed || has_run_out(&message, out.now())) {
            self.send(m, &message, &network, &rows.read::<Part>()?, out);
        }
        Ok(())
    }

    /// A message goes, and its parts with it: without it nobody would look for them again.
    pub(crate) fn gone(
        &mut self,
        id: &str,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        if let (Answer::Rows(rows), false) = (answer, failed) {
            out.delete(&MESSAGES, &id);
            for part in rows.read::<Part>()? {
                out.delete(&SENT, &(part.network, part.network_id));
            }
        }
        Ok(())
    }
}

/// Whether somebody else may have a message by now.
pub(crate) fn has_run_out(message: &Message, now: Time) -> bool {
    message.due_at <= nanos(now)
}

/// Where a page ends that is not the last.
fn end_of_page(rows: &[Message]) -> Option<(i64, String)> {
    let last = rows.last().filter(|_| rows.len() >= PAGE as usize)?;
    Some((last.due_at, last.id.clone()))
}

#[derive(Serialize)]
struct After<'a> {
    id: &'a str,
    due_at: i64,
}

const NOBODY_KNOWS: &str = "nobody knows whether its network has it";
/// So many are looked at in one go.
const PAGE: u32 = 100;
/// So many times in a row, where more than that is due. The next sweep goes on from there.
const PAGES: u32 = 10;
/// No lease is longer: a network may take five minutes.
const LEASE_MAX: Duration = Duration::from_secs(360);
