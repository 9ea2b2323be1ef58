//! What has become of messages, and that one is not to be sent: one call, and its answer.

use serde_json::{Map, Value, json};
use tandem_component::prelude::*;
use tandem_sms::{Asked, Cancel, Cancelled, Known, List, Listed, Queried, Query};

use super::answer::{JSON, Told};
use super::{Connection, Exchange, Stage};
use crate::Rest;
use crate::date;
use crate::message::written;
use crate::operation::Operation;
use crate::problem::{Kind, Problem};
use crate::session::{Conversation, Then};
use crate::status;

impl Connection {
    /// The description of this interface.
    pub(super) fn describe(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        self.answer(rest, Told::bytes(200, JSON, rest.description.clone()), out);
    }

    pub(super) fn ask_for_list(&mut self, rest: &Rest, before: String, limit: u32, out: &mut Out<'_, Conversation>) {
        self.ask(rest, &Asked::List(List { account: self.exchange.account.clone(), before, limit }), out);
    }

    pub(super) fn ask_for_one(&mut self, rest: &Rest, message_id: String, out: &mut Out<'_, Conversation>) {
        self.ask(rest, &Asked::Query(Query { account: self.exchange.account.clone(), message_id }), out);
    }

    pub(super) fn ask_to_cancel(&mut self, rest: &Rest, message_id: String, out: &mut Out<'_, Conversation>) {
        self.ask(rest, &Asked::Cancel(Cancel { account: self.exchange.account.clone(), message_id }), out);
    }

    fn ask(&mut self, rest: &Rest, asked: &Asked, out: &mut Out<'_, Conversation>) {
        self.stage = Stage::Ask;
        let Exchange { account, span, .. } = &self.exchange;
        let call = Call::to(&rest.config.submit_to)
            .within(rest.config.timeouts.answer)
            .account(account)
            .trace(span.map(|span| span.trace()));
        out.call(call, asked, Then::Asked);
    }

    /// It is answered.
    pub(super) fn told(&mut self, rest: &Rest, answer: Answer<'_>, out: &mut Out<'_, Conversation>) {
        if !matches!(self.stage, Stage::Ask) {
            return;
        }
        let read = match answer {
            Answer::Answered(response) => self.read(&response),
            Answer::CallFailed(why) => Err(status::silence(why)),
            _ => Err(status::unstored()),
        };
        match read {
            Ok(told) => self.answer(rest, told, out),
            Err(problem) => self.refuse(rest, &problem, out),
        }
    }

    fn read(&self, response: &tandem_component::Response<'_>) -> Result<Told, Problem> {
        let misfit = |misfit: tandem_component::Misfit| {
            tracing::warn!(%misfit, "a service answers what nobody here knows");
            Kind::NotImplemented.because("the service behind this interface does not know how")
        };
        let sound = |status: u32| if status == 0 { Ok(()) } else { Err(status::problem(status, "", None)) };
        match &self.exchange.operation {
            Some(Operation::List { limit, .. }) => {
                let listed: Listed = response.read().map_err(misfit)?;
                sound(listed.status)?;
                Ok(Told::json(200, &page(&listed, *limit)))
            }
            Some(Operation::Query { .. }) => {
                let queried: Queried = response.read().map_err(misfit)?;
                sound(queried.status)?;
                let known = queried
                    .message
                    .ok_or_else(|| Kind::NoMessage.because("this account has none of that name, or not any more"))?;
                Ok(Told::json(200, &message(&known)))
            }
            _ => {
                let cancelled: Cancelled = response.read().map_err(misfit)?;
                sound(cancelled.status)?;
                Ok(Told::nothing())
            }
        }
    }
}

fn page(listed: &Listed, limit: u32) -> Value {
    let mut page = Map::new();
    page.insert("messages".into(), listed.messages.iter().map(message).collect());
    // Where there are older ones: they come after the last of these.
    if let (true, Some(last)) = (listed.more, listed.messages.last()) {
        page.insert("next".into(), format!("/v1/messages?before={}&limit={limit}", encoded(&last.message_id)).into());
    }
    page.into()
}

fn message(known: &Known) -> Value {
    let mut message = Map::new();
    message.insert("id".into(), known.message_id.as_str().into());
    message.insert("state".into(), known.state.word().into());
    message.insert("from".into(), written(&known.source).into());
    message.insert("to".into(), written(&known.destination).into());
    message.insert("submitted_at".into(), date::write(known.submitted_at).into());
    if let Some(ended_at) = known.ended_at {
        message.insert("ended_at".into(), date::write(ended_at).into());
    }
    if !known.error.is_empty() {
        message.insert("error".into(), known.error.as_str().into());
    }
    if known.parts > 0 {
        message.insert("parts".into(), known.parts.into());
    }
    if !known.reference.is_empty() {
        message.insert("reference".into(), known.reference.as_str().into());
    }
    if known.uncertain {
        message.insert("uncertain".into(), true.into());
    }
    if known.maybe_twice {
        message.insert("maybe_twice".into(), true.into());
    }
    json!(message)
}

/// As the value of a parameter.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}
