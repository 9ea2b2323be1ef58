//! Conversations that stay with the version they began on: when the host is asked for one, and what is bound.

use serde_json::json;
use tandem_component::harness::Ending;
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::support::*;

fn by_cookie() -> serde_json::Value {
    json!({ "routes": [{ "path": "/fixed", "status": 200, "body": "ok" }, { "path": "/", "upstream": "app" }],
            "sticky": { "cookie": "sid" } })
}

fn fixed(fields: &str) -> String {
    format!("GET /fixed HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn a_request_with_the_cookie_is_asked_for_once_and_then_answered() {
    for seed in 0..10 {
        let mut session = start(&by_cookie());
        if seed > 0 {
            session = session.late(seed);
        }
        for fields in ["Cookie: a=b; sid=one; c=d\r\n", "Cookie: x=y\r\nCookie: sid=one\r\n", "cookie:sid=one\r\n"] {
            session.bytes(Stream::OWN, fixed(fields).as_bytes());
            assert_eq!(status(&heard(&mut session)), 200, "{fields}");
        }
        assert_eq!(session.routes().len(), 3);
        assert!(session.routes().iter().all(|key| *key == session.routes()[0] && key.len() == 32));

        session.bytes(Stream::OWN, fixed("Cookie: sid=two\r\n").as_bytes());
        assert_eq!(status(&heard(&mut session)), 200);
        assert_ne!(session.routes()[3], session.routes()[0]);
    }
}

#[test]
fn a_request_without_it_is_answered_at_once() {
    let mut session = start(&by_cookie());
    for fields in ["", "Cookie: sid\r\n", "Cookie: sid=\r\n", "Cookie: SID=one; xsid=one\r\n", "Sid: one\r\n"] {
        session.bytes(Stream::OWN, fixed(fields).as_bytes());
        assert_eq!(status(&heard(&mut session)), 200, "{fields}");
    }
    assert!(session.routes().is_empty());
    let mut plain = start(&json!({ "routes": [{ "path": "/", "status": 200 }] }));
    plain.bytes(Stream::OWN, fixed("Cookie: sid=one\r\n").as_bytes());
    assert!(plain.routes().is_empty());
}

#[test]
fn pipelined_requests_are_each_asked_for() {
    let mut session = start(&by_cookie());
    let three = [fixed("Cookie: sid=one\r\n"), fixed(""), fixed("Cookie: sid=two\r\n")].concat();
    session.bytes(Stream::OWN, three.as_bytes());
    assert_eq!(heard(&mut session).matches("200 OK").count(), 3);
    assert_eq!(session.routes().len(), 2);
}

#[test]
fn the_one_that_has_the_conversation_answers() {
    // What the host does where it is bound to another version: that one's session is told, and gets the untouched bytes.
    let mut session = start(&by_cookie()).late(3);
    session.bytes(Stream::OWN, fixed("Cookie: sid=one\r\n").as_bytes());
    let mut session = session.carry::<Http>(&by_cookie()).unwrap();
    assert_eq!(status(&heard(&mut session)), 200);
    assert_eq!(session.routes().len(), 1);
}

#[test]
fn where_it_cannot_be_said_the_error_is_temporary() {
    let mut session = start(&by_cookie());
    session.fail_store(Some(StoreFailure::Unavailable));
    session.bytes(Stream::OWN, fixed("Cookie: sid=one\r\n").as_bytes());
    assert_eq!(status(&heard(&mut session)), 503);
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
}

#[test]
fn a_conversation_begins_with_the_answer_that_sets_the_cookie() {
    let mut session = start(&by_cookie());
    for (fields, bound) in [
        ("Set-Cookie: sid=one; Path=/; HttpOnly\r\n", 1),
        ("Set-Cookie: other=1\r\nSet-Cookie: sid=two\r\n", 2),
        ("Set-Cookie: sid=; Max-Age=0\r\n", 2),
        ("Set-Cookie: xsid=three\r\n", 2),
        ("", 2),
    ] {
        let server = ask(&mut session, GET);
        session.bytes(server, format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nhi").as_bytes());
        assert!(heard(&mut session).ends_with("hi"));
        assert_eq!(session.bindings().len(), bound, "{fields}");
    }
    // What was bound by an answer is what its next request names.
    session.bytes(Stream::OWN, fixed("Cookie: sid=one\r\n").as_bytes());
    assert_eq!(session.routes()[0], session.bindings()[0]);
}

#[test]
fn a_field_may_name_it() {
    let config = json!({ "routes": [{ "path": "/", "status": 200 }], "sticky": { "header": "x-session" } });
    let mut session = start(&config);
    session.bytes(Stream::OWN, fixed("X-Session: one\r\n").as_bytes());
    session.bytes(Stream::OWN, fixed("X-Session:\r\n").as_bytes());
    assert_eq!(heard(&mut session).matches("200 OK").count(), 2);
    assert_eq!(session.routes().len(), 1);
}

#[test]
fn a_name_that_is_none_is_refused() {
    for sticky in [json!({ "cookie": "s id" }), json!({ "header": "" }), json!({ "query": "s" })] {
        let config = json!({ "routes": [{ "path": "/", "status": 200 }], "sticky": sticky });
        let refusal = Talk::start(&config).err().expect("it is refused").to_string();
        assert!(refusal.contains("sticky"), "{refusal}");
    }
}
