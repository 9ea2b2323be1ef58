//! What could be smuggled is refused, and nothing after it is read.

use serde_json::json;
use tandem_component::prelude::*;

use crate::support::*;

const MALFORMED: [&str; 14] = [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET /\r\nHost: a\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
];

#[test]
fn a_malformed_request_is_refused_and_what_follows_is_not_read() {
    for config in [proxy_config(), json!({ "routes": [{ "path": "/", "status": 200, "body": "x" }] })] {
        for request in MALFORMED {
            let mut session = start(&config);
            session.bytes(Stream::OWN, [request, GET].concat().as_bytes());
            let answer = heard(&mut session);
            assert_eq!(status(&answer), 400, "{request:?}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}");
            assert!(answer.contains("Connection: close\r\n"), "{answer}");
            assert!(session.ending(Stream::OWN).is_some() && session.dialing().is_none(), "{request:?}");
        }
    }
}

#[test]
fn each_refusal_has_its_status() {
    for (request, expected) in [
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.7\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.0\r\nHost: a\r\n\r\n", 411),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ] {
        let mut session = proxy();
        session.bytes(Stream::OWN, request.as_bytes());
        let answer = heard(&mut session);
        assert!(status(&answer) == expected && answer.contains("Connection: close\r\n"), "{request:?}: {answer}");
        assert!(session.ending(Stream::OWN).is_some());
    }
}

#[test]
fn a_chunked_body_that_goes_wrong_is_refused_and_the_server_left() {
    for body in ["Z\r\n", "5\r\nhello0\r\n\r\n", "5\nhello\r\n", "3\r\nabc\r\n0\r\nA : b\r\n\r\n"] {
        let mut session = proxy();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let server = ask(&mut session, &[head, body, GET].concat());
        let answer = heard(&mut session);
        assert!(status(&answer) == 400 && answer.contains("Connection: close\r\n"), "{body:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?}");
        assert!(session.ending(server).is_some() && session.ending(Stream::OWN).is_some());
        assert!(!got(&mut session, server).ends_with("0\r\n\r\n"), "the server must not take it for whole");
    }
}

#[test]
fn a_fixed_answer_does_not_hide_a_malformed_body() {
    let mut session = start(&json!({ "routes": [{ "path": "/", "status": 200, "methods": ["POST"] }] }));
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n";
    session.bytes(Stream::OWN, [request, GET].concat().as_bytes());
    assert_eq!(status(&heard(&mut session)), 400);
    assert!(session.ending(Stream::OWN).is_some());
}

#[test]
fn the_piece_of_a_request_is_refused_when_no_more_comes() {
    let mut session = proxy();
    session.bytes(Stream::OWN, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    session.end(Stream::OWN);
    let server = session.connect(Server(1), false);
    assert_eq!(status(&heard(&mut session)), 400);
    assert!(session.ending(server).is_some());

    let mut session = proxy();
    session.bytes(Stream::OWN, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    session.end(Stream::OWN);
    session.connect(Server(1), false);
    assert_eq!(status(&heard(&mut session)), 400);
}
