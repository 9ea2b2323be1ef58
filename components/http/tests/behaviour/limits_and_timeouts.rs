//! What is too large or too slow.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::harness::Ending;
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::support::*;

fn limited() -> Value {
    json!({
        "routes": [{ "path": "/", "upstream": "app" }],
        "limits": { "head_bytes": "1KiB", "target_bytes": 256, "headers": 5, "body_bytes": "10B" },
    })
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const ALMOST: Duration = Duration::from_secs(59);

#[test]
fn what_is_too_large_is_refused_with_its_status() {
    for (request, expected) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(300)), 414),
        (format!("GET /{}", "x".repeat(400)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(1024)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "x".repeat(1024)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(5)), 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n".into(), 413),
    ] {
        for step in [usize::MAX, 1] {
            let mut session = start(&limited());
            for piece in request.as_bytes().chunks(step) {
                session.bytes(Stream::OWN, piece);
            }
            let answer = heard(&mut session);
            assert!(status(&answer) == expected && answer.contains("Connection: close\r\n"), "{request}: {answer}");
            assert!(session.ending(Stream::OWN).is_some() && session.dialing().is_none());
        }
    }
}

#[test]
fn a_chunked_body_is_too_large_when_it_is() {
    let mut session = start(&limited());
    let server = ask(&mut session, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    session.bytes(Stream::OWN, b"6\r\n world\r\n0\r\n\r\n");
    assert_eq!(status(&heard(&mut session)), 413);
    assert_eq!(session.ending(server), Some(Ending::Aborted));
    assert!(session.ending(Stream::OWN).is_some());
}

#[test]
fn what_is_as_large_as_it_may_be_is_served() {
    for body in
        ["Content-Length: 10\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"]
    {
        let mut session = start(&limited());
        let server = ask(&mut session, &format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"));
        assert!(got(&mut session, server).contains("0123456789"));
    }
}

#[test]
fn a_head_that_takes_too_long_is_refused() {
    let mut session = proxy();
    session.advance(MINUTE);
    session.bytes(Stream::OWN, b"GET / HTTP/1.1\r\n");
    session.advance(ALMOST);
    session.bytes(Stream::OWN, b"Host: a\r\n");
    assert_eq!(heard(&mut session), "");
    session.advance(SECOND);
    assert_eq!(status(&heard(&mut session)), 408);
    assert!(session.ending(Stream::OWN).is_some());
}

#[test]
fn a_body_that_stalls_is_refused() {
    for fields in ["Content-Length: 100000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"] {
        let (mut session, server) = asked(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}"));
        session.advance(ALMOST);
        session.bytes(Stream::OWN, b"l");
        session.advance(ALMOST);
        assert_eq!(heard(&mut session), "");
        session.advance(SECOND);
        assert_eq!(status(&heard(&mut session)), 408, "{fields}");
        assert_eq!(session.ending(server), Some(Ending::Aborted));
        assert!(session.blamed().is_empty());
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let (mut session, server) = asked(GET);
    session.advance(ALMOST);
    assert_eq!(heard(&mut session), "");
    session.advance(SECOND);
    assert_eq!(status(&heard(&mut session)), 504);
    assert_eq!(session.blamed(), [server]);
    assert_eq!(session.ending(server), Some(Ending::Aborted));
    assert!(session.at_boundary());
}

#[test]
fn the_time_for_an_answer_begins_when_the_request_is_through() {
    for (fields, rest) in
        [("Content-Length: 20000", "x".repeat(20_000)), ("Transfer-Encoding: chunked", "0\r\n\r\n".into())]
    {
        let (mut session, _) = asked(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"));
        session.advance(ALMOST);
        session.bytes(Stream::OWN, rest.as_bytes());
        session.advance(ALMOST);
        assert_eq!(heard(&mut session), "");
        session.advance(SECOND);
        assert_eq!(status(&heard(&mut session)), 504);
    }
}

#[test]
fn an_answer_that_stalls_is_cut_off() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let (mut session, server) = asked(GET);
        session.bytes(server, answer.as_bytes());
        session.advance(ALMOST);
        assert!(session.ending(Stream::OWN).is_none());
        session.advance(SECOND);
        assert_eq!(session.ending(Stream::OWN), Some(Ending::Aborted), "{answer:?}");
        assert_eq!(session.blamed(), [server], "{answer:?}");
    }
}

#[test]
fn an_unwanted_body_that_stalls_ends_the_connection() {
    let mut session = start(&json!({ "routes": [{ "path": "/", "status": 200 }] }));
    session.bytes(Stream::OWN, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(status(&heard(&mut session)), 405);
    session.advance(MINUTE);
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    assert_eq!(heard(&mut session), "");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_key() {
    let route = json!([{ "path": "/", "status": 200 }]);
    for (config, reason) in [
        (json!({ "routes": [] }), "routes: is empty, and would serve nothing"),
        (
            json!({ "routes": [{ "path": "/" }] }),
            "routes[0]: has neither upstream nor status; a route needs one of them",
        ),
        (json!({ "routes": route, "limits": { "head_bytes": "1B" } }), "limits.head_bytes: between 256B and 1MiB"),
        (json!({ "routes": route, "limits": { "headers": 1000 } }), "limits.headers: between 1 and 128"),
        (json!({ "routes": route, "timeouts": { "idle": "0s" } }), "timeouts.idle: at least 1ms"),
        (json!({ "routes": route, "served_by": "a b" }), "served_by: \"a b\" cannot be set"),
        (json!({ "routes": route, "served_by": "Content-Length" }), "served_by: \"Content-Length\" cannot be set"),
        (
            json!({ "routes": route, "limits": { "body_bytes": -1 } }),
            "limits.body_bytes: this is no size; write 1048576 or \"1MiB\"",
        ),
        (
            json!({ "routes": route, "limits": { "body_bytes": "many" } }),
            "limits.body_bytes: `many` is no size; write 1048576 or \"1MiB\"",
        ),
        (json!({ "routes": route, "via": "a b" }), "via: \"a b\" is no name"),
        (json!({ "routes": route, "sticky": { "cookie": "a b" } }), "sticky: \"a b\" is no name"),
        (json!({ "routes": route, "label": { "header": "a b" } }), "label: \"a b\" is no name"),
    ] {
        let refusal = Harness::<Http>::start(&config).err().unwrap();
        assert_eq!(refusal.to_string(), reason);
    }
    for (config, key) in [
        (json!({ "routes": route, "timeouts": { "idel": "1s" } }), "timeouts"),
        (json!({ "routes": route, "timeouts": { "idle": "soon" } }), "timeouts.idle"),
        (json!({ "routes": route, "limits": { "body_bytes": "many" } }), "limits.body_bytes"),
        (json!({ "routes": [{ "path": "/", "status": "ok" }] }), "routes[0].status"),
    ] {
        let refusal = Harness::<Http>::start(&config).err().unwrap().to_string();
        assert!(refusal.starts_with(key), "{refusal}");
    }
}
