//! Connections that leave HTTP: they live through swaps, half-closes and silence on one side.

use std::time::Duration;

use tandem_component::harness::Ending;
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::support::*;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const HOUR: Duration = Duration::from_secs(3600);

fn tunnel() -> (Talk, Stream) {
    let (mut session, server) = asked(UPGRADE);
    session.bytes(server, SWITCH.as_bytes());
    session.sent(Stream::OWN);
    (session, server)
}

#[test]
fn an_upgrade_is_passed_on_and_switched_to() {
    let mut session = proxy();
    session.bytes(Stream::OWN, [UPGRADE, "early"].concat().as_bytes());
    let server = session.connect(Server(1), true);
    let request = got(&mut session, server);
    assert!(
        request.contains("Upgrade: websocket\r\n") && request.ends_with("Connection: upgrade\r\n\r\n"),
        "{request}"
    );
    assert!(!request.contains("keep-alive"), "{request}");
    session.bytes(server, [SWITCH, "hello"].concat().as_bytes());
    assert_eq!(
        heard(&mut session),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nVia: 1.1 tandem\r\nConnection: upgrade\r\n\r\nhello"
    );
    assert_eq!(got(&mut session, server), "early");
    session.bytes(Stream::OWN, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(got(&mut session, server), "GET / HTTP/1.1\r\n\r\n");
    assert!(!session.at_boundary());
}

#[test]
fn a_request_with_a_body_asks_for_no_other_protocol() {
    for fields in ["Content-Length: 1\r\n\r\nx", "Content-Length: 1\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
        let mut session = proxy();
        let server = ask(&mut session, &UPGRADE.replace("\r\n\r\n", &format!("\r\n{fields}")));
        let request = got(&mut session, server).to_ascii_lowercase();
        assert!(!request.contains("upgrade:") && !request.contains("connection:"), "{request}");
    }
}

#[test]
fn a_server_may_decline() {
    let (mut session, server) = asked(UPGRADE);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status(&heard(&mut session)), 200);
    assert!(session.at_boundary());
}

#[test]
fn a_tunnel_lives_on_through_a_swap() {
    let (session, server) = tunnel();
    let mut session = session.carry::<Http>(&proxy_config()).unwrap();
    session.bytes(Stream::OWN, b"ping");
    session.bytes(server, b"pong");
    assert_eq!((got(&mut session, server), heard(&mut session)), ("ping".into(), "pong".into()));
    session.end(server);
    session.end(Stream::OWN);
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
}

#[test]
fn each_side_finishes_by_itself() {
    let (mut session, server) = tunnel();
    session.bytes(Stream::OWN, b"last");
    session.end(Stream::OWN);
    assert!(session.finished(server) && session.ending(server).is_none());
    session.bytes(server, b"still here");
    assert_eq!(heard(&mut session), "still here");
    session.end(server);
    assert_eq!(session.ending(server), Some(Ending::Closed));
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
}

#[test]
fn a_broken_side_ends_the_other() {
    let (mut session, server) = tunnel();
    session.break_off(server);
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    let (mut session, server) = tunnel();
    session.break_off(Stream::OWN);
    assert!(session.ending(server).is_some());
}

#[test]
fn a_tunnel_ends_when_both_sides_are_silent_for_the_whole_time() {
    let (mut session, server) = tunnel();
    for _ in 0..5 {
        session.advance(HOUR - Duration::from_secs(1));
        session.bytes(server, b"news");
    }
    assert!(session.ending(Stream::OWN).is_none());
    session.advance(HOUR + HOUR);
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    assert_eq!(session.ending(server), Some(Ending::Closed));
}

#[test]
fn a_drain_closes_a_tunnel_at_its_deadline() {
    let (mut session, server) = tunnel();
    session.drain(Duration::from_secs(5));
    session.advance(Duration::from_secs(4));
    session.bytes(server, b"bye");
    assert_eq!(heard(&mut session), "bye");
    session.advance(Duration::from_secs(1));
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    assert_eq!(session.ending(server), Some(Ending::Closed));
}
