//! Connections that stay, requests that queue, and how both end.

use std::time::Duration;

use serde_json::json;
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nhi";
const CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_order_one_at_a_time() {
    let mut session = proxy();
    session.bytes(
        Stream::OWN,
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    for n in 1..=3 {
        let server = session.connect(Server(n), true);
        assert!(got(&mut session, server).starts_with(&format!("GET /{n} ")), "request {n}");
        assert!(session.dialing().is_none(), "only one at a time");
        session.bytes(server, format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}").as_bytes());
        assert!(heard(&mut session).ends_with(&format!("\r\n\r\n{n}")));
    }
    assert!(session.at_boundary());
}

#[test]
fn an_answer_is_not_seen_before_it_is_known_that_its_request_is_through() {
    for seed in 0..100 {
        let mut session = proxy().late(seed);
        session.bytes(Stream::OWN, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh");
        let server = session.connect(Server(1), true);
        session.bytes(Stream::OWN, b"i");
        // Where it came before, the rest of the body might never come: the connection would be closed.
        session.bytes(server, OK.as_bytes());
        let answer = heard(&mut session);
        assert!(answer.ends_with("hi") && !answer.contains("close"), "seed {seed}: {answer}");
        assert!(session.at_boundary(), "seed {seed}");
    }
}

#[test]
fn what_waits_behind_an_answer_that_is_none_is_read_next() {
    let mut session = proxy();
    let server = ask(&mut session, &[GET, GET].concat());
    session.bytes(server, b"hello");
    assert_eq!(status(&heard(&mut session)), 502);
    assert!(session.dialing().is_some(), "the next request has its turn");
}

#[test]
fn nothing_of_the_next_request_is_consumed_before_the_answer_is_complete() {
    let mut session = proxy();
    session.bytes(Stream::OWN, [GET, GET].concat().as_bytes());
    assert_eq!(session.unread(Stream::OWN), GET.as_bytes());
    let server = session.connect(Server(1), true);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    assert_eq!(session.unread(Stream::OWN), GET.as_bytes());
    assert!(!session.at_boundary());
    session.bytes(server, b"cde");
    assert_eq!(session.unread(Stream::OWN), b"");
}

#[test]
fn a_client_that_wants_to_close_is_closed_and_what_follows_not_read() {
    let mut session = proxy();
    let server = ask(&mut session, &[CLOSE, GET].concat());
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).contains("Connection: close\r\n"));
    assert!(session.ending(Stream::OWN).is_some());
    assert!(session.dialing().is_none());
}

#[test]
fn a_client_that_half_closes_gets_all_its_answers() {
    let mut session = proxy();
    session.bytes(Stream::OWN, [GET, GET].concat().as_bytes());
    session.end(Stream::OWN);
    for _ in 0..2 {
        assert!(session.ending(Stream::OWN).is_none());
        let server = session.connect(Server(1), true);
        session.bytes(server, OK.as_bytes());
        assert!(heard(&mut session).ends_with("hi"));
    }
    assert!(session.ending(Stream::OWN).is_some());
}

#[test]
fn a_client_that_half_closes_between_requests_is_closed() {
    let mut session = proxy();
    session.end(Stream::OWN);
    assert!(session.ending(Stream::OWN).is_some());
    assert_eq!(heard(&mut session), "");
}

#[test]
fn idle_connections_are_closed_silently() {
    let mut session = proxy();
    session.advance(Duration::from_secs(74));
    let server = ask(&mut session, GET);
    session.advance(Duration::from_secs(1));
    session.bytes(server, OK.as_bytes());
    heard(&mut session);
    session.advance(Duration::from_secs(74));
    assert!(session.ending(Stream::OWN).is_none());
    session.advance(Duration::from_secs(1));
    assert!(session.ending(Stream::OWN).is_some());
    assert_eq!(heard(&mut session), "");
}

#[test]
fn empty_lines_between_requests_are_not_requests() {
    let mut session = proxy();
    session.bytes(Stream::OWN, b"\r\n");
    assert_eq!(session.unread(Stream::OWN), b"");
    session.bytes(Stream::OWN, b"\r");
    session.bytes(Stream::OWN, b"\n");
    session.advance(Duration::from_secs(74));
    assert_eq!(heard(&mut session), "", "an empty line begins no head, so none can be late");
    session.bytes(Stream::OWN, format!("\r\n{GET}").as_bytes());
    assert!(session.dialing().is_some());
}

#[test]
fn a_live_connection_is_answered_by_the_next_version() {
    let fixed = |body: &str| json!({ "routes": [{ "path": "/", "status": 200, "body": body }] });
    let mut old = start(&fixed("old"));
    old.bytes(Stream::OWN, GET.as_bytes());
    assert!(heard(&mut old).ends_with("old"));
    old.bytes(Stream::OWN, &GET.as_bytes()[..5]);
    let mut new = old.renew::<Http>(&fixed("new")).unwrap();
    new.bytes(Stream::OWN, &GET.as_bytes()[5..]);
    assert!(heard(&mut new).ends_with("new"));
}

#[test]
fn idle_time_goes_on_in_the_next_version() {
    let mut session = proxy();
    session.advance(Duration::from_secs(70));
    let mut session = session.renew::<Http>(&proxy_config()).unwrap();
    session.advance(Duration::from_secs(4));
    assert!(session.ending(Stream::OWN).is_none());
    session.advance(Duration::from_secs(1));
    assert!(session.ending(Stream::OWN).is_some());
}

#[test]
fn a_drain_ends_what_is_idle_and_lets_finish_what_is_not() {
    let mut session = proxy();
    session.drain(Duration::from_secs(5));
    assert!(session.ending(Stream::OWN).is_some());

    let (mut session, server) = asked(GET);
    session.drain(Duration::from_secs(5));
    assert!(session.ending(Stream::OWN).is_none());
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).contains("Connection: close\r\n"));
    assert!(session.ending(Stream::OWN).is_some());

    let mut session = proxy();
    session.bytes(Stream::OWN, &GET.as_bytes()[..5]);
    session.drain(Duration::from_secs(5));
    session.bytes(Stream::OWN, &GET.as_bytes()[5..]);
    let server = session.connect(Server(1), true);
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).contains("Connection: close\r\n"));
}

#[test]
fn an_idle_session_is_small() {
    let mut session = proxy();
    let server = ask(&mut session, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(5000)));
    session.bytes(server, OK.as_bytes());
    assert!(session.export().unwrap().len() < 1024);
    assert!(size_of::<tandem_http::Conversation>() < 512, "{}", size_of::<tandem_http::Conversation>());
}
