//! Routes that answer themselves.

use serde_json::json;
use tandem_component::prelude::*;

use crate::support::*;

fn hello() -> Talk {
    start(&json!({
        "routes": [
            { "path": "/", "status": 200, "body": "hello" },
            { "path": "/gone", "status": 301, "headers": { "Location": "/new" } },
            { "path": "/empty", "status": 204 },
            { "path": "/form", "status": 200, "body": "ok", "methods": ["POST"] },
        ],
        "served_by": "x-served-by",
    }))
}

#[test]
fn a_fixed_answer_has_length_type_date_and_version() {
    let mut session = hello();
    session.bytes(Stream::OWN, GET.as_bytes());
    let expected = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\
         x-served-by: test@0.0.0#000000\r\n{DATE}\r\nhello"
    );
    assert_eq!(heard(&mut session), expected);
    assert!(session.at_boundary());
}

#[test]
fn head_is_told_the_length_and_no_body() {
    let mut session = hello();
    session.bytes(Stream::OWN, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = heard(&mut session);
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_status_that_has_no_body_says_no_length() {
    let mut session = hello();
    session.bytes(Stream::OWN, b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\nGET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    let answers = heard(&mut session);
    let (empty, gone) = answers.split_once("\r\n\r\n").unwrap();
    assert!(status(empty) == 204 && !empty.contains("Content-Length"), "{empty}");
    assert!(status(gone) == 301 && gone.contains("Location: /new\r\n") && gone.contains("Content-Length: 0"), "{gone}");
}

#[test]
fn other_methods_are_refused_by_name() {
    for (request, refused, allow) in [
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Allow: GET, HEAD\r\n"),
        ("GET /form HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Allow: POST\r\n"),
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Allow: GET, HEAD\r\n"),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, ""),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, ""),
    ] {
        let mut session = hello();
        session.bytes(Stream::OWN, request.as_bytes());
        let answer = heard(&mut session);
        assert!(status(&answer) == refused && answer.contains(allow), "{request}: {answer}");
        assert!(answer.contains("x-served-by: test@"), "{answer}");
        assert!(answer.contains("Content-Length: "), "{answer}");
    }
}

#[test]
fn what_is_not_served_is_not_found_and_the_connection_stays() {
    let mut session = start(&json!({ "routes": [{ "path": "/api", "upstream": "app" }] }));
    session.bytes(Stream::OWN, GET.as_bytes());
    assert_eq!(status(&heard(&mut session)), 404);
    assert_eq!(session.ending(Stream::OWN), None);
}

#[test]
fn an_unwanted_body_is_thrown_away_and_the_connection_stays() {
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    ] {
        let request = format!("POST /form HTTP/1.1\r\nHost: a\r\n{body}{GET}");
        let mut session = hello();
        session.bytes(Stream::OWN, request.as_bytes());
        let whole = heard(&mut session);
        assert!(whole.contains("\r\n\r\nokHTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\nhello"), "{whole}");

        let mut session = hello();
        for byte in request.as_bytes() {
            session.bytes(Stream::OWN, std::slice::from_ref(byte));
        }
        assert_eq!(heard(&mut session), whole);
    }
}

#[test]
fn an_unwanted_body_that_is_large_or_awaited_ends_the_connection() {
    for fields in ["Content-Length: 100000", "Content-Length: 5\r\nExpect: 100-continue"] {
        let mut session = hello();
        session.bytes(Stream::OWN, format!("POST /form HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes());
        let answer = heard(&mut session);
        assert!(status(&answer) == 200 && answer.contains("Connection: close\r\n"), "{answer}");
        assert!(session.ending(Stream::OWN).is_some());
    }
}

#[test]
fn the_default_of_methods_leaves_the_others_to_an_upstream() {
    let mut session = start(&json!({ "routes": [
        { "path": "/", "upstream": "app" },
        { "path": "/", "status": 200, "body": "hello" },
    ] }));
    session.bytes(Stream::OWN, GET.as_bytes());
    assert!(heard(&mut session).ends_with("hello"));
    session.bytes(Stream::OWN, b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(session.dialing().unwrap().upstream, "app");
}

#[test]
fn a_question_to_the_server_itself_is_answered_here() {
    for target in ["*", "http://a"] {
        let mut session = proxy();
        session.bytes(Stream::OWN, format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(status(&heard(&mut session)), 204);
        assert!(session.at_boundary() && session.dialing().is_none());
    }
}
