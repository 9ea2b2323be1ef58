//! The record of one exchange, kept while it is under way and only where the configuration wants records; and that of events that
//! were dropped.

use serde::Serialize;
use tandem_component::prelude::*;
use tandem_http1::RequestHead;

use crate::exchange::Exchange;

/// What of a request its record will say.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    method: String,
    target: String,
    user_agent: String,
    /// The end of the problem's `type`, where there was one.
    pub(crate) problem: String,
    /// How many messages were taken.
    pub(crate) messages: usize,
}

#[derive(Serialize)]
struct Fields<'a> {
    method: &'a str,
    target: &'a str,
    status: u16,
    messages: usize,
    problem: &'a str,
    user_agent: &'a str,
}

impl Entry {
    /// What the head says.
    pub(crate) fn new(head: &RequestHead<'_, '_>) -> Self {
        let user_agent = head.fields.find("user-agent").unwrap_or_default();
        Entry {
            method: head.method.into(),
            target: head.target.into(),
            user_agent: String::from_utf8_lossy(user_agent).into_owned(),
            ..Entry::default()
        }
    }

    /// Writes the record of an exchange that is over.
    pub(crate) fn write<S: Session>(&self, exchange: &Exchange, out: &mut Out<'_, S>) {
        let record = Record {
            account: &exchange.account,
            outcome: exchange.outcome(),
            duration: out.now().since(exchange.began),
            bytes_in: exchange.bytes_in,
            bytes_out: exchange.bytes_out,
            span: exchange.span,
        };
        let fields = Fields {
            method: &self.method,
            target: &self.target,
            status: exchange.status,
            messages: self.messages,
            problem: &self.problem,
            user_agent: &self.user_agent,
        };
        out.record(record, &fields);
    }
}
