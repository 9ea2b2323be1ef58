//! The record of one exchange, kept while it is under way and only where the configuration wants records.

use serde::Serialize;
use tandem_component::prelude::*;
use tandem_http1::RequestHead;

use crate::exchange::{CLIENT_GONE, Exchange};

/// What of a request its record will say.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    method: String,
    target: String,
    host: String,
    user_agent: String,
    referer: String,
    pub(crate) span: Option<Span>,
}

/// The record's fields.
#[derive(Serialize)]
struct Fields<'a> {
    method: &'a str,
    target: &'a str,
    host: &'a str,
    status: u16,
    upstream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<u64>,
    user_agent: &'a str,
    referer: &'a str,
}

impl Entry {
    /// What the head says. A trace is gone on with, and begun where traces are exported.
    pub(crate) fn new<S: Session>(head: &RequestHead<'_, '_>, traces: bool, out: &mut Out<'_, S>) -> Self {
        let said = Trace::of_fields(head.fields.all("traceparent"));
        let text = |name| head.fields.find(name).map(|value| String::from_utf8_lossy(value).into_owned());
        Entry {
            method: head.method.into(),
            target: head.target.into(),
            host: String::from_utf8_lossy(head.host.unwrap_or_default()).into_owned(),
            user_agent: text("user-agent").unwrap_or_default(),
            referer: text("referer").unwrap_or_default(),
            span: (traces || said.is_some()).then(|| out.begin_span(said)),
        }
    }

    /// Writes the record of an exchange that is over; `cut` where its answer is not whole.
    pub(crate) fn write<S: Session>(&self, exchange: &Exchange, cut: bool, upstream: &str, out: &mut Out<'_, S>) {
        let outcome = match exchange.status {
            _ if cut => Outcome::Failed,
            CLIENT_GONE => Outcome::Abandoned,
            ..400 => Outcome::Done,
            400..500 => Outcome::Refused,
            500.. => Outcome::Failed,
        };
        let record = Record {
            account: "",
            outcome,
            duration: out.now().since(exchange.began),
            bytes_in: exchange.bytes_in,
            bytes_out: exchange.bytes_out,
            span: self.span,
        };
        let fields = Fields {
            method: &self.method,
            target: &self.target,
            host: &self.host,
            status: exchange.status,
            upstream: if exchange.proxied { upstream } else { "" },
            server: exchange.link.as_ref().map(|link| link.server.0),
            user_agent: &self.user_agent,
            referer: &self.referer,
        };
        out.record(record, &fields);
    }
}
