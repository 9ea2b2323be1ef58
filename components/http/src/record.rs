//! The record of one exchange, kept while it is under way and only where the configuration wants records.

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
    host: String,
    user_agent: String,
    referer: String,
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

/// The longest text whose room is kept for the next exchange.
const TEXT_KEPT: usize = 256;

impl Entry {
    /// What the head says, in the place of what another has said.
    pub(crate) fn take_down(&mut self, head: &RequestHead<'_, '_>) {
        let field = |name| head.fields.find(name).unwrap_or_default();
        head.method.clone_into(&mut self.method);
        head.target.clone_into(&mut self.target);
        copy(head.host.unwrap_or_default(), &mut self.host);
        copy(field("user-agent"), &mut self.user_agent);
        copy(field("referer"), &mut self.referer);
    }

    /// Whether its room is worth being kept.
    pub(crate) fn is_small(&self) -> bool {
        [&self.target, &self.host, &self.user_agent, &self.referer].iter().all(|text| text.capacity() <= TEXT_KEPT)
    }

    /// Writes the record of an exchange that is over; `cut` where its answer is not whole.
    pub(crate) fn write<S: Session>(&self, exchange: &Exchange, cut: bool, upstream: &str, out: &mut Out<'_, S>) {
        let record = Record {
            account: "",
            outcome: exchange.outcome(cut),
            duration: out.now().since(exchange.began),
            bytes_in: exchange.bytes_in,
            bytes_out: exchange.bytes_out,
            span: exchange.span,
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

fn copy(value: &[u8], into: &mut String) {
    into.clear();
    into.push_str(&String::from_utf8_lossy(value));
}
