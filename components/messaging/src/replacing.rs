//! A front has something else sent in the place of a message that no network has yet.

use tandem_component::prelude::*;
use tandem_sms::tlv::whole;
use tandem_sms::{Coding, Replace, Replaced, Sms, State, date, status};

use crate::desk::{Desk, What, not_now};
use crate::ending::Found;
use crate::message::{MESSAGES, Message, Phase, nanos};
use crate::then::Then;
use crate::watching::own;

/// As it was found: whoever claims it meanwhile sends it as it was.
#[derive(Serialize)]
struct Waits<'a> {
    id: &'a str,
    state: State,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize)]
struct Other {
    sms: Sms,
    text: Option<String>,
    coding: Option<Coding>,
    parts: u32,
    wants_receipt: u8,
    expires_at: i64,
    due_at: i64,
}

impl Desk {
    pub(crate) fn replace(&mut self, asked: RequestId, replace: Replace, out: &mut Out<'_, Desk>) {
        let id = replace.message_id.clone();
        out.get(&MESSAGES, &id, Then::Replacing { asked, replace: Box::new(replace) });
    }

    pub(crate) fn replacing(
        &mut self,
        asked: RequestId,
        replace: Replace,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let message = match own(&replace.account, answer)? {
            Some(None) => {
                out.answer(asked, &Replaced { status: status::NO_MESSAGE });
                return Ok(());
            }
            Some(Some(message)) if message.phase != Phase::Accepting && !failed => message,
            _ => {
                not_now(asked, What::Replace, out);
                return Ok(());
            }
        };
        let id = message.id.clone();
        let waits =
            Waits { id: &id, state: State::Enroute, found: Found { phase: Phase::Queued, due_at: message.due_at } };
        match other(message, replace, nanos(out.now())) {
            Ok(other) => drop(out.swap(&MESSAGES, &waits, &other, Then::Replaced { asked })),
            Err(status) => out.answer(asked, &Replaced { status }),
        }
        Ok(())
    }

    pub(crate) fn replaced(&mut self, asked: RequestId, answer: Answer<'_>, out: &mut Out<'_, Desk>) {
        match answer {
            Answer::Changed(true) => out.answer(asked, &Replaced { status: status::OK }),
            Answer::Changed(false) => out.answer(asked, &Replaced { status: status::NOT_REPLACED }),
            _ => not_now(asked, What::Replace, out),
        }
    }
}

/// What changes of a message. No network may have anything of it, also not of one that was refused in part.
fn other(message: Message, replace: Replace, now: i64) -> Result<Other, u32> {
    let may_be_there = message.uncertain || message.network.is_some() && message.parts > 1;
    if message.phase != Phase::Queued || may_be_there {
        return Err(status::NOT_REPLACED);
    }
    if !whole(&replace.tlvs) {
        return Err(status::REFUSED);
    }
    let read = |text: &str| date::read(text, now).map_err(|_| status::VALIDITY);
    let from = read(&replace.schedule)?.map_or(message.due_at, |at| at.max(now));
    let expires_at = read(&replace.validity)?.unwrap_or(message.expires_at);
    if expires_at <= from.max(now) {
        return Err(status::VALIDITY);
    }
    let mut sms = message.sms;
    (sms.short_message, sms.tlvs) = (replace.short_message, replace.tlvs);
    (sms.registered_delivery, sms.default_message) = (replace.registered_delivery, replace.default_message);
    for (is, new) in [(&mut sms.schedule, replace.schedule), (&mut sms.validity, replace.validity)] {
        if !new.is_empty() {
            *is = new;
        }
    }
    let wants_receipt = sms.registered_delivery & 0b11;
    // Another time in any case: who has read the message as it was, and claims it by its time, finds it changed.
    let due_at = if from == message.due_at { from + 1 } else { from };
    Ok(Other { sms, text: None, coding: None, parts: 1, wants_receipt, expires_at, due_at })
}
