//! A front asks for a message to be sent: it is a row before that is answered.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::tlv::whole;
use tandem_sms::{Left, State, Submit, Submitted, date, status};

use crate::Messaging;
use crate::desk::{Desk, What, not_now};
use crate::message::{MESSAGES, Message, Phase, after, name, name_by_key, nanos, place};
use crate::parts::{Said, Unfit, parts};
use crate::sending::{Turn, lease};
use crate::sweep::has_run_out;
use crate::then::Then;
use crate::totals::count_accepted;
use crate::waiting::count_taken;

impl Desk {
    pub(crate) fn submit(
        &mut self,
        m: &Messaging,
        asked: RequestId,
        (front, trace): (&str, Trace),
        submit: Submit,
        out: &mut Out<'_, Desk>,
    ) {
        let keyed = submit.key.is_some();
        match message(m, front, submit, out) {
            // One that is there already is not asked for again.
            Ok(message) if keyed => {
                let message = Message { trace: Some(trace), ..message };
                let then = Then::Looked { asked, message: Box::new(message.clone()) };
                out.get(&MESSAGES, &message.id, then);
            }
            Ok(message) => self.look_for_room((asked, Message { trace: Some(trace), ..message }, false), out),
            Err(Unfit { status, reason }) => {
                out.answer(asked, &Submitted { status, reason, ..Submitted::default() });
            }
        }
    }

    /// Whether there is a message with the key already.
    pub(crate) fn looked(
        &mut self,
        asked: RequestId,
        message: Message,
        answer: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        match answer {
            Answer::Row(Some(row)) => taken(asked, &row.read()?, Vec::new(), out),
            Answer::Row(None) => self.look_for_room((asked, message, true), out),
            _ => not_now(asked, What::Submit, out),
        }
        Ok(())
    }

    /// Whether its account may have it sent.
    pub(crate) fn admitted(
        &mut self,
        m: &Messaging,
        (asked, message, keyed): (RequestId, Message, bool),
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        let left = match answer {
            _ if failed => return not_now(asked, What::Submit, out),
            Answer::AdmittedWith(left) => said(left, out.now()),
            Answer::RefusedWith { limit, frees_at, left } => {
                let left = said(left, out.now());
                return out.answer(asked, &Submitted { left, ..refused(limit, frees_at, out.now()) });
            }
            // Asked by a version that asks for nothing more.
            Answer::Admitted => Vec::new(),
            Answer::Refused { limit, frees_at } => return out.answer(asked, &refused(limit, frees_at, out.now())),
            _ => return not_now(asked, What::Submit, out),
        };
        if !keyed {
            return self.accept(m, (asked, message, left), out);
        }
        let message = Message { phase: Phase::Accepting, due_at: self.soon(out.now()), ..message };
        let then = Then::Inserted { asked, message: Box::new(message.clone()), left };
        out.insert(&MESSAGES, &message, then);
    }

    /// Keeps a message, answers, and sends it, in this order: what an event writes is committed first.
    fn accept(&mut self, m: &Messaging, (asked, mut message, left): Admitted, out: &mut Out<'_, Desk>) {
        let network = self.room_for(m, &message, Turn::Last, out);
        if let Some(network) = &network {
            (message.phase, message.due_at) = (Phase::Sending, lease(m, network, out.now()));
            message.network = Some(network.clone());
        }
        (message.counted, message.more) = (true, message.parts.saturating_sub(1));
        out.put(&MESSAGES, &message);
        count_accepted(&message, out);
        count_taken(&message.account, out);
        taken(asked, &message, left, out);
        if let Some(network) = network {
            self.send(m, &message, &network, &[], out);
        }
    }

    /// Whether the message is the first one with its key.
    pub(crate) fn inserted(
        &mut self,
        m: &Messaging,
        (asked, message, left): Admitted,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        match answer {
            Answer::Changed(true) if failed => {
                // It is kept, and will be counted and sent. Who asks again finds it by its key.
                not_now(asked, What::Submit, out);
            }
            // Somebody else does that, or has.
            Answer::Changed(true) if has_run_out(&message, out.now()) => taken(asked, &message, left, out),
            Answer::Changed(true) => {
                let due_at = scheduled(&message);
                self.accept(m, (asked, Message { phase: Phase::Queued, due_at, ..message }, left), out);
            }
            Answer::Changed(false) => {
                out.get(&MESSAGES, &message.id, Then::First { asked });
            }
            _ => not_now(asked, What::Submit, out),
        }
    }

    /// Goes on with a message that was kept and not counted.
    pub(crate) fn accept_later(&mut self, message: &Message, out: &mut Out<'_, Desk>) {
        let due_at = scheduled(message);
        let message = &Message { more: message.parts.saturating_sub(1), ..message.clone() };
        let (id, phase, more) = (message.id.as_str(), Phase::Queued, message.more);
        out.update(&MESSAGES, &Waits { id, phase, due_at, counted: true, more });
        count_accepted(message, out);
        count_taken(&message.account, out);
    }

    /// What was answered the first time.
    pub(crate) fn first(&mut self, asked: RequestId, answer: Answer<'_>, out: &mut Out<'_, Desk>) -> Result<(), Fault> {
        match answer {
            Answer::Row(Some(row)) => taken(asked, &row.read()?, Vec::new(), out),
            // It has gone in between, or the store does not answer.
            _ => not_now(asked, What::Submit, out),
        }
        Ok(())
    }
}

/// Asks for a message by its account's agreements: each part counts.
pub(crate) fn admit(asked: RequestId, message: Message, keyed: bool, out: &mut Out<'_, Desk>) {
    let then = Then::Admitted { asked, message: Box::new(message.clone()), keyed };
    let admission = Admission::of(&message.account).units(message.parts.into()).sender(&message.sms.source.digits);
    out.admit(admission.telling(), then);
}

/// Which limit it is, and when it frees.
fn refused(limit: Limit, frees_at: Option<Time>, now: Time) -> Submitted {
    let status = match limit {
        Limit::Sender => status::SOURCE,
        Limit::Suspended => status::REFUSED,
        _ => status::THROTTLED,
    };
    let retry_after = frees_at.map(|at| milliseconds(at.since(now)));
    let reason = format!("the account's agreement does not allow it: {limit}");
    Submitted { status, reason, retry_after, limit: limit.word().to_owned(), ..Submitted::default() }
}

/// What is left, as a front is told.
fn said(left: Allowances<'_>, now: Time) -> Vec<Left> {
    let of_one = |Allowance { limit, of, per, left, frees_at }| Left {
        limit: limit.word().to_owned(),
        of,
        per: per.map_or(0, milliseconds),
        left,
        frees_in: frees_at.map(|at| milliseconds(at.since(now))),
    };
    left.to_vec().into_iter().map(of_one).collect()
}

/// Begun ones as well.
fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn taken(asked: RequestId, message: &Message, left: Vec<Left>, out: &mut Out<'_, Desk>) {
    let (message_id, parts) = (message.id.clone(), message.parts);
    out.answer(asked, &Submitted { message_id, parts, left, ..Submitted::default() });
}

/// A message that may be sent, with the request that asks for it and what its account has left.
type Admitted = (RequestId, Message, Vec<Left>);

/// When a message is to be sent. Its times were read when it was submitted.
fn scheduled(message: &Message) -> i64 {
    let at = date::read(&message.sms.schedule, message.submitted_at).ok().flatten();
    at.unwrap_or_default().max(message.submitted_at)
}

#[derive(Serialize)]
struct Waits<'a> {
    id: &'a str,
    phase: Phase,
    due_at: i64,
    counted: bool,
    more: u32,
}

/// The row of a message that is submitted, to be sent when its time has come.
fn message(m: &Messaging, front: &str, submit: Submit, out: &mut Out<'_, Desk>) -> Result<Message, Unfit> {
    let Submit { id: front_id, account, sms, text, coding, key, reference } = submit;
    let now = nanos(out.now());
    if account.is_empty() {
        return Err(Unfit::new(status::REFUSED, "it is nobody's: no account"));
    }
    if sms.destination.digits.is_empty() {
        return Err(Unfit::new(status::DESTINATION, "it has no destination"));
    }
    if !whole(&sms.tlvs) {
        return Err(Unfit::new(status::REFUSED, "its optional parameters end in the middle of one"));
    }
    if m.config.networks_for(&account, &sms, 0).is_empty() {
        return Err(Unfit::new(status::DESTINATION, format!("no route leads to {}", sms.destination.digits)));
    }
    let unreadable = |_| Unfit::new(status::VALIDITY, "its schedule or its validity is no time");
    let from = date::read(&sms.schedule, now).map_err(unreadable)?.unwrap_or(now).max(now);
    let until = date::read(&sms.validity, now).map_err(unreadable)?;
    let expires_at = until.unwrap_or_else(|| after(from, m.config.validity));
    if expires_at <= from {
        return Err(Unfit::new(status::VALIDITY, "it is worth nothing any more when it is to be sent"));
    }
    let by_time = name(out.now(), out.random());
    let id = key.map_or_else(|| by_time.clone(), |key| name_by_key(&account, &key));
    let long = m.config.long;
    let said = text.as_deref().map(|text| Said { text, coding, long });
    let parts = u32::try_from(parts(&id, &sms, said)?.len()).unwrap_or(u32::MAX);
    Ok(Message {
        place: place(&account, &by_time),
        id,
        front: front.to_owned(),
        front_id,
        version: m.version.clone(),
        submitted_at: now,
        expires_at,
        wants_receipt: sms.registered_delivery & 0b11,
        long,
        parts,
        account,
        sms,
        text,
        coding,
        state: State::Enroute,
        phase: Phase::Queued,
        due_at: from,
        run: m.run,
        tries: 0,
        network: None,
        ended_at: None,
        error: None,
        uncertain: false,
        maybe_twice: false,
        reference,
        counted: false,
        more: 0,
        trace: None,
    })
}
