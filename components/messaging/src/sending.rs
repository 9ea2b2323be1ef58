//! Giving a message to a network: all its parts at once, and each is asked for by itself.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::{Asked, State, Submit, Submitted, status};

use crate::Messaging;
use crate::config::Uncertain;
use crate::desk::Desk;
use crate::ending::{Counts, Found};
use crate::message::{MESSAGES, Message, Phase, after, nanos};
use crate::parts::{Said, parts};
use crate::pausing::has_too_much;
use crate::sent::{Part, SENT};
use crate::then::Then;

/// A message that is being sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// How many of its parts are unanswered.
    left: u32,
    /// How often it was tried before.
    tries: u32,
    expires_at: i64,
    /// Until when nobody else does anything about it.
    #[serde(default)]
    due_at: i64,
    /// Of the parts that were not taken, what was said last.
    failure: Option<(u32, String)>,
    /// A part may be with the network, or not.
    unknown: bool,
    /// What it counts for when it ends. A version that does not know has begun it where it is not here.
    #[serde(default)]
    counts: Option<Counts>,
}

#[derive(Serialize)]
struct Ours<'a> {
    id: &'a str,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize)]
struct Queued<'a> {
    phase: Phase,
    due_at: i64,
    tries: u32,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Again<'a> {
    phase: Phase,
    due_at: i64,
    tries: u32,
    error: &'a str,
    uncertain: bool,
}

#[derive(Serialize)]
struct WithNetwork {
    phase: Phase,
    due_at: i64,
    uncertain: bool,
}

/// Before whom a message goes, of those that are for the same network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has been due for longest.
    First,
    /// It is due, and others have been for longer.
    Behind,
    /// It has just come: it takes no more than half of what others wait for.
    Last,
}

impl Desk {
    /// The network that a message is to be given to, where that has room for it, and the message its turn.
    pub(crate) fn room_for(
        &mut self,
        m: &Messaging,
        message: &Message,
        turn: Turn,
        out: &mut Out<'_, Desk>,
    ) -> Option<String> {
        if self.transport != Transport::Resident || self.leaving || message.due_at > nanos(out.now()) {
            return None;
        }
        // By chance for the first time, and then in turn.
        let networks = m.config.networks_for(&message.account, &message.sms, out.random());
        let after = message.network.as_ref().and_then(|last| networks.iter().position(|network| network == last));
        let at = after.map_or(0, |last| (last + 1) % networks.len());
        let network = *networks.get(at)?;
        let with = self.with.get(network).copied().unwrap_or_default();
        let all: u32 = self.with.values().sum();
        let window = m.config.network(network).window;
        // Half of the window is theirs: they are looked for when no more than the other half is used.
        let others_wait = self.looking || self.more || self.full.contains(network);
        if turn == Turn::Last && others_wait && with > 0 && with + message.parts > window / 2 {
            self.full.insert(network.to_owned());
            return None;
        }
        // A message with many parts may go alone.
        let fits = with + message.parts <= window && all + message.parts <= CALLS_MAX;
        if !fits && (with > 0 || all > 0) || self.is_paused(network, with, message.parts, out.now()) {
            self.full.insert(network.to_owned());
            return None;
        }
        self.keeps_pace(m, network, (message.parts, turn != Turn::First), out).then(|| network.to_owned())
    }

    /// So many parts are with a network, or are about to be.
    pub(crate) fn take_room(&mut self, network: &str, parts: u32) {
        *self.with.entry(network.to_owned()).or_default() += parts;
    }

    pub(crate) fn leave_room(&mut self, network: &str, parts: u32) {
        if let Some(with) = self.with.get_mut(network) {
            *with = with.saturating_sub(parts);
        }
    }

    /// Gives the parts to a network that none has yet. The row says already that this is under way.
    pub(crate) fn send(
        &mut self,
        m: &Messaging,
        message: &Message,
        network: &str,
        had: &[Part],
        out: &mut Out<'_, Desk>,
    ) {
        let (coding, long) = (message.coding, message.long);
        let said = message.text.as_deref().map(|text| Said { text, coding, long });
        let parts = match parts(&message.id, &message.sms, said) {
            Ok(parts) => parts,
            // It was looked at when it was submitted; another version may see it otherwise.
            Err(unfit) => {
                let (id, counts) = (&message.id, Counts::of(message));
                let found = Some(given(message.due_at));
                return self.end(m, (id, Some(&counts)), found, (State::Rejected, &unfit.reason), out);
            }
        };
        let within = m.config.network(network).within;
        let mut left = 0;
        for (sms, part) in parts.into_iter().zip(1..) {
            if had.iter().any(|it| it.part == part) {
                continue;
            }
            let (id, account) = (format!("{}/{part}", message.id), message.account.clone());
            let asked = Asked::Submit(Submit { id, account, sms, ..Submit::default() });
            let of = OfPart { id: message.id.clone(), network: network.to_owned(), part };
            let then = Then::Taken { of };
            let call = Call::to(network).within(within).account(&message.account).trace(message.trace);
            out.call(call, &asked, then);
            left += 1;
        }
        if left == 0 {
            // The network has all of it: what was not written down is only that.
            return with_network((&message.id, message.due_at), message.expires_at, false, out);
        }
        self.take_room(network, left);
        let (tries, expires_at, due_at) = (message.tries, message.expires_at, message.due_at);
        let counts = Some(Counts::of(message));
        let attempt = Attempt { left, tries, expires_at, due_at, failure: None, unknown: false, counts };
        self.attempts.insert(message.id.clone(), attempt);
    }

    /// A network has taken a part, or has not.
    pub(crate) fn taken(&mut self, m: &Messaging, of: OfPart, outcome: Outcome, failed: bool, out: &mut Out<'_, Desk>) {
        let due_at = self.attempts.get(&of.id).map_or(0, |attempt| attempt.due_at);
        if failed && after(nanos(out.now()), BETWEEN_WRITES) < due_at {
            // What a network has said it says once.
            out.after(BETWEEN_WRITES, Then::TakenAgain { of, outcome });
            return;
        }
        let OfPart { id, network, part } = of;
        self.leave_room(&network, 1);
        match outcome {
            Outcome::Taken { .. } => self.go_on(m, &network, out.now()),
            Outcome::Not { busy: true, .. } => self.pause(m, &network, out),
            _ => {}
        }
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.left = attempt.left.saturating_sub(1);
        match outcome {
            // It is found again when its time has come: nobody knows then that the network has it.
            Outcome::Taken { .. } if failed => attempt.unknown = true,
            Outcome::Taken { network_id } => {
                // A message that ends with this is asked after by nobody: neither a receipt nor a second try.
                let ends = attempt.left == 0 && attempt.failure.is_none() && !attempt.unknown;
                if !ends || m.config.network(&network).receipts {
                    let (network, id, error) = (network.clone(), id.clone(), String::new());
                    // One that gives no names tells nothing of them either.
                    let network_id = if network_id.is_empty() { format!("{id}/{part}") } else { network_id };
                    out.put(&SENT, &Part { network, network_id, id, part, state: State::Enroute, error });
                }
            }
            Outcome::Not { status, reason, .. } => attempt.failure = Some((status, reason)),
            Outcome::Unknown => attempt.unknown = true,
        }
        if attempt.left > 0 {
            return;
        }
        let Some(Attempt { tries, expires_at, due_at, failure, unknown, counts, .. }) = self.attempts.remove(&id)
        else {
            return;
        };
        let found = given(due_at);
        // What cannot be written is not: the row is due when the network has had its time, and is looked at then as what it is,
        // uncertain.
        if !failed {
            match failure {
                _ if unknown && m.config.on_uncertain == Uncertain::Hold => {
                    with_network((&id, due_at), expires_at, true, out);
                }
                _ if unknown => {
                    let wait = m.config.retry.wait(tries, out.random());
                    let due_at = after(nanos(out.now()), wait).min(expires_at);
                    let error = "its network was sent it, and has not answered";
                    let again = Again { phase: Phase::Queued, due_at, tries: tries + 1, error, uncertain: true };
                    out.swap(&MESSAGES, &Ours { id: &id, found }, &again, Then::WrittenDown);
                }
                None if !m.config.network(&network).receipts => {
                    self.end(m, (&id, counts.as_ref()), Some(found), (State::Delivered, ""), out);
                }
                None => with_network((&id, due_at), expires_at, false, out),
                Some((status, reason)) if status::is_temporary(status) => {
                    // What was too much for a network waits as long as the others do, however often it was.
                    let busy = self.goes_on_at(&network, out.now()).filter(|_| has_too_much(status, ""));
                    let wait = m.config.retry.wait(tries, out.random());
                    let due_at = busy.map_or_else(|| after(nanos(out.now()), wait), nanos).min(expires_at);
                    let error = Some(reason.as_str());
                    let queued = Queued { phase: Phase::Queued, due_at, tries: tries + 1, error };
                    out.swap(&MESSAGES, &Ours { id: &id, found }, &queued, Then::WrittenDown);
                }
                Some((_, reason)) => self.end(m, (&id, counts.as_ref()), Some(found), (State::Rejected, &reason), out),
            }
        }
        self.sweep_if_there_is_more(m, &network, out);
    }
}

/// A network has all parts of a message, which somebody has until `due_at`.
fn with_network((id, due_at): (&str, i64), expires_at: i64, uncertain: bool, out: &mut Out<'_, Desk>) {
    let ours = Ours { id, found: given(due_at) };
    // Of what nobody has named nobody can tell anything later.
    let due_at = if uncertain { expires_at } else { after(expires_at, GRACE) };
    let with = WithNetwork { phase: Phase::Sent, due_at, uncertain };
    out.swap(&MESSAGES, &ours, &with, Then::WrittenDown);
}

/// It is not sent again, and its network may tell what becomes of it.
pub(crate) fn hold(message: &Message, out: &mut Out<'_, Desk>) {
    with_network((&message.id, message.due_at), message.expires_at, true, out);
}

/// A message that is given to a network, as long as nobody else has it.
fn given(due_at: i64) -> Found {
    Found { phase: Phase::Sending, due_at }
}

/// Until when nobody else does anything about a message that is given to a network.
pub(crate) fn lease(m: &Messaging, network: &str, now: Time) -> i64 {
    after(nanos(now), m.config.network(network).within + MARGIN)
}

/// A part that a network was asked to take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfPart {
    /// The message.
    id: String,
    network: String,
    /// From 1 on.
    part: u32,
}

/// What has become of that.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The network has it.
    Taken {
        /// What it knows it by.
        network_id: String,
    },
    /// Surely not.
    Not {
        /// [`status`].
        status: u32,
        /// For people.
        reason: String,
        /// The network has too much to do.
        #[serde(default)]
        busy: bool,
    },
    /// Nobody knows.
    Unknown,
}

impl From<Answer<'_>> for Outcome {
    fn from(answer: Answer<'_>) -> Self {
        match answer {
            Answer::Answered(response) => match response.read::<Submitted>() {
                Ok(Submitted { status: status::OK, message_id, .. }) => Outcome::Taken { network_id: message_id },
                Ok(Submitted { uncertain: true, .. }) => Outcome::Unknown,
                Ok(Submitted { status, reason, limit, .. }) => {
                    let reason = if reason.is_empty() { format!("status {status:#x}") } else { reason };
                    Outcome::Not { status, reason, busy: has_too_much(status, &limit) }
                }
                Err(misfit) => {
                    tracing::warn!(%misfit, "a network answers what nobody here knows");
                    Outcome::Unknown
                }
            },
            Answer::CallFailed(CallFailure::TimedOut | CallFailure::Ended) => Outcome::Unknown,
            Answer::CallFailed(why) => {
                Outcome::Not { status: status::TEMPORARY, reason: format!("{why:?}"), busy: false }
            }
            _ => Outcome::Unknown,
        }
    }
}

/// So many parts are under way at most: a session may have 1024 calls, and fronts are told things as well.
const CALLS_MAX: u32 = 900;
/// How much later than a network's time is up somebody else may do something about a message.
const MARGIN: Duration = Duration::from_secs(10);
/// So often is tried to write down what a network has said.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// How long after the end of a message's validity its network may tell what has become of it.
const GRACE: Duration = Duration::from_secs(3600);
