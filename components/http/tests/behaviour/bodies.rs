//! Bodies in both directions: counted, chunked, to the end; and how they break off.

use tandem_component::harness::Ending;
use tandem_component::prelude::*;

use crate::support::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

fn body_of(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_small_body_goes_with_its_head() {
    let mut session = proxy();
    let server = ask(&mut session, &format!("{POST}Content-Length: 5\r\n\r\nhello{GET}"));
    assert_eq!(body_of(&got(&mut session, server)), "hello");
    assert_eq!(session.unread(Stream::OWN), GET.as_bytes());
}

#[test]
fn a_large_body_is_moved_by_the_host() {
    let mut session = proxy();
    let server = ask(&mut session, &format!("{POST}Content-Length: 100000\r\n\r\nabc"));
    assert_eq!(body_of(&got(&mut session, server)), "abc");
    session.bytes(Stream::OWN, &[b'x'; 99_997]);
    session.bytes(Stream::OWN, GET.as_bytes());
    assert_eq!(session.sent(server).len(), 99_997);
    assert_eq!(session.unread(Stream::OWN), GET.as_bytes());

    session.bytes(server, b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 1000000\r\n\r\nxyz");
    assert_eq!(body_of(&heard(&mut session)), "xyz");
    session.bytes(server, &[b'y'; 999_997]);
    assert_eq!(session.sent(Stream::OWN).len(), 999_997);
    assert_eq!(session.ending(server), Some(Ending::Released));
    assert_eq!(session.dialing().unwrap().upstream, "app");
}

#[test]
fn chunks_go_through_as_they_came_with_their_trailers() {
    let body = "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nDigest: d\r\nContent-Length: 1\r\n\r\n";
    let passed = "5\r\nhello\r\n6\r\n world\r\n0\r\nDigest: d\r\n\r\n";
    let request = format!("{POST}Trailer: Digest\r\n{CHUNKED}{body}");
    let answer = format!("HTTP/1.1 200 OK\r\nDate: d\r\n{CHUNKED}{body}");
    for step in [usize::MAX, 1, 2, 7] {
        let mut session = proxy();
        for piece in request.as_bytes().chunks(step) {
            session.bytes(Stream::OWN, piece);
        }
        let server = session.connect(Server(1), false);
        let got = got(&mut session, server);
        assert!(got.contains("Transfer-Encoding: chunked\r\n\r\n") && got.contains("Trailer: Digest\r\n"), "{got}");
        assert_eq!(body_of(&got), passed);
        for piece in answer.as_bytes().chunks(step) {
            session.bytes(server, piece);
        }
        let heard = heard(&mut session);
        assert!(heard.contains("Transfer-Encoding: chunked\r\n"), "{heard}");
        assert_eq!(body_of(&heard), passed);
        assert_eq!(session.ending(server), Some(Ending::Released));
        assert!(session.at_boundary());
    }
}

#[test]
fn a_large_chunk_is_moved_by_the_host() {
    let mut session = proxy();
    let server = ask(&mut session, &format!("{POST}{CHUNKED}10000\r\nabc"));
    session.bytes(Stream::OWN, &[b'x'; 65_533]);
    session.bytes(Stream::OWN, b"\r\n0\r\n\r\n");
    let got = got(&mut session, server);
    assert_eq!(body_of(&got).len(), 65_536 + 7 + 7);

    session.bytes(server, format!("HTTP/1.1 200 OK\r\nDate: d\r\n{CHUNKED}10000\r\nabc").as_bytes());
    session.bytes(server, &[b'y'; 65_533]);
    assert!(!session.at_boundary());
    session.bytes(server, b"\r\n0\r\n\r\n");
    assert_eq!(body_of(&heard(&mut session)).len(), 65_536 + 7 + 7);
    assert!(session.at_boundary());
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let (mut session, server) = asked("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    session.bytes(server, format!("HTTP/1.1 200 OK\r\nDate: d\r\n{CHUNKED}5\r\nhello\r\n").as_bytes());
    session.bytes(server, b"6\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
    assert_eq!(
        heard(&mut session),
        "HTTP/1.1 200 OK\r\nDate: d\r\nVia: 1.1 tandem\r\nConnection: close\r\n\r\nhello world"
    );
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    assert_eq!(session.ending(server), Some(Ending::Released));
}

#[test]
fn an_answer_that_ends_by_closing_closes() {
    let (mut session, server) = asked(GET);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nDate: d\r\n\r\nhello");
    session.bytes(server, b" world");
    session.end(server);
    let heard = heard(&mut session);
    assert!(heard.contains("Connection: close\r\n") && body_of(&heard) == "hello world", "{heard}");
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    assert_eq!(session.ending(server), Some(Ending::Closed));
}

#[test]
fn an_answer_that_breaks_off_is_seen_to() {
    for (answer, ending) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nhello\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nhello", false),
    ] {
        let (mut session, server) = asked(GET);
        session.bytes(server, answer.as_bytes());
        if ending {
            session.end(server);
        } else {
            session.break_off(server);
        }
        assert!(heard(&mut session).contains("hello"));
        assert_eq!(session.ending(Stream::OWN), Some(Ending::Aborted), "{answer:?}");
        assert_eq!(session.blamed(), [server]);
    }
}

#[test]
fn an_answer_with_wrong_chunks_is_cut_off() {
    let (mut session, server) = asked(GET);
    session.bytes(server, format!("HTTP/1.1 200 OK\r\n{CHUNKED}5\r\nhelloX").as_bytes());
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Aborted));
    assert_eq!(session.blamed(), [server]);
    let (mut session, server) = asked(GET);
    session.bytes(server, format!("HTTP/1.1 200 OK\r\n{CHUNKED}5\r\nhello\r\n").as_bytes());
    session.bytes(server, b"Z\r\n");
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Aborted));
}

#[test]
fn an_answer_before_the_body_is_through_is_passed_on_and_both_are_closed() {
    for fields in ["Content-Length: 100000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"] {
        let (mut session, server) = asked(&format!("{POST}{fields}"));
        session.bytes(server, b"HTTP/1.1 403 Forbidden\r\nDate: d\r\nContent-Length: 2\r\n\r\nno");
        let answer = heard(&mut session);
        assert!(status(&answer) == 403 && answer.contains("Connection: close\r\n"), "{answer}");
        assert_eq!(session.ending(server), Some(Ending::Aborted));
        assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    }
}

#[test]
fn a_body_and_its_answer_may_flow_at_the_same_time() {
    let (mut session, server) = asked(&format!("{POST}{CHUNKED}1\r\na\r\n"));
    session.bytes(server, format!("HTTP/1.1 200 OK\r\nDate: d\r\n{CHUNKED}1\r\na\r\n").as_bytes());
    session.bytes(Stream::OWN, b"1\r\nb\r\n");
    assert_eq!(got(&mut session, server), "1\r\nb\r\n");
    session.bytes(server, b"1\r\nb\r\n");
    session.bytes(Stream::OWN, b"0\r\n\r\n");
    session.bytes(server, b"0\r\n\r\n");
    assert!(body_of(&heard(&mut session)).ends_with("1\r\nb\r\n0\r\n\r\n"));
    assert_eq!(session.ending(server), Some(Ending::Released));
    // `close` was announced, since nobody could know that the body would be through.
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
}

#[test]
fn a_server_that_stops_reading_may_still_answer() {
    let (mut session, server) = asked(&format!("{POST}Content-Length: 100000\r\n\r\nabc"));
    session.end(server);
    assert_eq!(status(&heard(&mut session)), 502);
    assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
}

#[test]
fn expect_is_passed_to_the_server_and_its_100_to_the_client() {
    let mut session = proxy();
    let server = ask(&mut session, &format!("{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
    assert!(got(&mut session, server).contains("Expect: 100-continue\r\n"));
    session.bytes(server, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(heard(&mut session), "HTTP/1.1 100 Continue\r\nVia: 1.1 tandem\r\n\r\n");
    session.bytes(Stream::OWN, b"hello");
    assert_eq!(got(&mut session, server), "hello");
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status(&heard(&mut session)), 200);
    assert!(session.at_boundary());

    // A refusal comes at once, and the connection ends: the body may or may not come.
    let (mut session, server) = asked(&format!("{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
    session.bytes(server, b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let answer = heard(&mut session);
    assert!(status(&answer) == 401 && answer.contains("Connection: close\r\n"), "{answer}");
    assert!(session.ending(Stream::OWN).is_some());
}

#[test]
fn http_1_0_expects_nothing() {
    let mut session = proxy();
    let server = ask(&mut session, "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi");
    assert!(!got(&mut session, server).contains("Expect"));
}

#[test]
fn a_client_that_goes_takes_its_server_along() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\nhello"] {
        let (mut session, server) = asked(GET);
        session.bytes(server, answer.as_bytes());
        session.break_off(Stream::OWN);
        assert_eq!(session.ending(server), Some(Ending::Aborted), "{answer:?}");
        assert!(session.fault().is_none());
    }
    let mut session = proxy();
    session.bytes(Stream::OWN, GET.as_bytes());
    session.break_off(Stream::OWN);
    assert_eq!(session.dialing(), None);
}
