//! Another server where one fails, and no second time where the first may have acted.

use serde_json::json;
use tandem_component::harness::Ending;
use tandem_component::prelude::*;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nhi";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_dead_pooled_connection_is_replaced_by_a_fresh_one() {
    let mut session = proxy();
    session.bytes(Stream::OWN, GET.as_bytes());
    let dead = session.connect(Server(1), true);
    let request = got(&mut session, dead);
    session.end(dead);
    assert_eq!(session.ending(dead), Some(Ending::Aborted));
    assert!(session.blamed().is_empty());
    let dialing = session.dialing().unwrap();
    assert!(dialing.fresh && dialing.avoid.is_empty() && dialing.upstream == "app");
    let server = session.connect(Server(1), false);
    assert_eq!(got(&mut session, server), request);
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).ends_with("hi"));
}

#[test]
fn an_idempotent_request_is_tried_on_other_servers_and_then_no_more() {
    for request in [GET, PUT] {
        let mut session = proxy();
        session.bytes(Stream::OWN, request.as_bytes());
        let mut servers = Vec::new();
        for n in 0..3 {
            let dialing = session.dialing().unwrap();
            assert_eq!(dialing.avoid, (0..n).map(Server).collect::<Vec<_>>());
            let server = session.connect(Server(n), false);
            assert_eq!(got(&mut session, server).ends_with("\r\n\r\nhi"), request == PUT);
            servers.push(server);
            if n == 0 {
                session.bytes(server, b"HTTP/1.1 200");
            }
            session.break_off(server);
        }
        assert_eq!(status(&heard(&mut session)), 502);
        assert_eq!(session.blamed(), servers);
        assert!(session.at_boundary());
    }
}

#[test]
fn another_request_is_not_tried_twice() {
    for reused in [true, false] {
        let mut session = proxy();
        session.bytes(Stream::OWN, POST.as_bytes());
        let server = session.connect(Server(1), reused);
        session.end(server);
        assert_eq!(status(&heard(&mut session)), 502);
        assert_eq!(session.dialing(), None);
    }
}

#[test]
fn what_was_not_sent_can_be_tried_anywhere() {
    let mut session = proxy();
    session.bytes(Stream::OWN, POST.as_bytes());
    session.refuse(Some(Server(1)), DialFailure::Refused);
    assert_eq!(session.dialing().unwrap().avoid, [Server(1)]);
    session.refuse(Some(Server(2)), DialFailure::TimedOut);
    let server = session.connect(Server(3), false);
    assert!(got(&mut session, server).ends_with("hi"));

    let mut session = proxy();
    let large = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    session.bytes(Stream::OWN, large.as_bytes());
    session.refuse(Some(Server(1)), DialFailure::Refused);
    let server = session.connect(Server(2), false);
    session.bytes(Stream::OWN, &[b'x'; 100_000]);
    assert!(session.sent(server).len() > 100_000);
}

#[test]
fn a_body_that_has_begun_is_not_begun_again() {
    for fields in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let (mut session, server) = asked(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n1\r\na\r\n"));
        session.break_off(server);
        assert_eq!(status(&heard(&mut session)), 502);
        assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    }
}

#[test]
fn an_interim_answer_binds() {
    let (mut session, server) = asked(GET);
    session.bytes(server, b"HTTP/1.1 103 Early Hints\r\n\r\n");
    session.break_off(server);
    assert!(heard(&mut session).contains("HTTP/1.1 502 "));
}

#[test]
fn no_server_has_its_own_status() {
    for (why, server, expected) in [
        (DialFailure::Unknown, None, 502),
        (DialFailure::NoServer, None, 503),
        (DialFailure::Full, Some(Server(1)), 503),
    ] {
        let mut session = proxy();
        session.bytes(Stream::OWN, GET.as_bytes());
        session.refuse(server, why);
        assert_eq!(status(&heard(&mut session)), expected, "{why:?}");
        assert!(session.at_boundary());
    }
    for (why, expected) in [(DialFailure::Refused, 502), (DialFailure::TimedOut, 504)] {
        let mut session = proxy();
        session.bytes(Stream::OWN, GET.as_bytes());
        for n in 0..3 {
            session.refuse(Some(Server(n)), why);
        }
        assert_eq!(status(&heard(&mut session)), expected, "{why:?}");
    }
    let mut session = proxy();
    session.bytes(Stream::OWN, GET.as_bytes());
    session.refuse(Some(Server(1)), DialFailure::Refused);
    session.refuse(None, DialFailure::NoServer);
    assert_eq!(status(&heard(&mut session)), 502);
}

#[test]
fn the_number_of_tries_is_configured_and_counts_for_one_request() {
    let config = json!({ "routes": [{ "path": "/", "upstream": "app" }], "retries": 0 });
    let mut session = start(&config);
    session.bytes(Stream::OWN, GET.as_bytes());
    session.refuse(Some(Server(1)), DialFailure::Refused);
    assert_eq!(status(&heard(&mut session)), 502);

    let mut session = proxy();
    for _ in 0..3 {
        session.bytes(Stream::OWN, GET.as_bytes());
        for n in 0..2 {
            session.refuse(Some(Server(n)), DialFailure::Refused);
        }
        let server = session.connect(Server(2), false);
        session.bytes(server, OK.as_bytes());
        assert!(heard(&mut session).ends_with("hi"));
    }
}
