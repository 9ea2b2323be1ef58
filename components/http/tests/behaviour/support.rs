//! Configurations and shorthands that several behaviours need.

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_http::Http;

pub(crate) type Talk = Harness<Http>;

/// A session with this configuration.
pub(crate) fn start(config: &Value) -> Talk {
    Harness::start(config).unwrap()
}

/// All requests go to the upstream `app`.
pub(crate) fn proxy_config() -> Value {
    json!({ "routes": [{ "path": "/", "upstream": "app" }] })
}

/// A session whose requests all go to `app`.
pub(crate) fn proxy() -> Talk {
    start(&proxy_config())
}

/// A proxying session that has read a request and has a server for it; what the server got is taken.
pub(crate) fn asked(request: &str) -> (Talk, Stream) {
    let mut session = proxy();
    let server = ask(&mut session, request);
    session.sent(server);
    (session, server)
}

/// Sends a request and connects it to a server.
pub(crate) fn ask(session: &mut Talk, request: &str) -> Stream {
    session.bytes(Stream::OWN, request.as_bytes());
    session.connect(Server(1), false)
}

/// What was sent to the client since the last call.
pub(crate) fn heard(session: &mut Talk) -> String {
    text(session.sent(Stream::OWN))
}

/// What was sent on a stream since the last call.
pub(crate) fn got(session: &mut Talk, stream: Stream) -> String {
    text(session.sent(stream))
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the harness's noon is as a date.
pub(crate) const DATE: &str = "Date: Thu, 01 Jan 2026 12:00:00 GMT\r\n";
