//! What a server gets of a request, and a client of an answer.

use serde_json::json;
use tandem_component::harness::Ending;
use tandem_component::prelude::*;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_request_goes_to_a_server_and_its_answer_comes_back() {
    let mut session = proxy();
    session.bytes(Stream::OWN, b"GET /a?b HTTP/1.1\r\nHost: h:80\r\nAccept: */*\r\n\r\n");
    assert_eq!(session.dialing().unwrap().upstream, "app");
    let server = session.connect(Server(1), false);
    assert_eq!(
        got(&mut session, server),
        "GET /a?b HTTP/1.1\r\nHost: h:80\r\nAccept: */*\r\nX-Forwarded-Proto: http\r\nVia: 1.1 tandem\r\n\
         X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: h:80\r\n\r\n"
    );
    session.bytes(server, OK.as_bytes());
    assert_eq!(heard(&mut session), "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nVia: 1.1 tandem\r\n\r\nhi");
    assert_eq!(session.ending(server), Some(Ending::Released));
    assert!(session.at_boundary() && session.ending(Stream::OWN).is_none());
}

#[test]
fn fields_for_one_hop_stay_here() {
    let (mut session, server) = {
        let mut session = start(&json!({
            "routes": [{ "path": "/", "upstream": "app" }],
            "served_by": "x-served-by",
            "via": "edge",
        }));
        let server = ask(
            &mut session,
            "GET / HTTP/1.1\r\nKeep-Alive: 5\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nx-secret: 1\r\nTE: trailers\r\n\
             Proxy-Connection: close\r\nProxy-Authorization: x\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nVia: 1.0 first\r\nUpgrade: h2c\r\nA: b\r\n\r\n",
        );
        (session, server)
    };
    assert_eq!(
        got(&mut session, server),
        "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 first\r\nA: b\r\nX-Forwarded-Proto: http\r\n\
         Via: 1.1 edge\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Host: a\r\n\r\n"
    );
    session.bytes(
        server,
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: x\r\nDate: d\r\n\
          Content-Length: 0\r\nX: y\r\n\r\n",
    );
    assert_eq!(
        heard(&mut session),
        "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\nX: y\r\nVia: 1.1 edge\r\nx-served-by: test@0.0.0#000000\r\n\r\n"
    );
}

#[test]
fn fields_that_all_need_are_not_for_one_hop_whatever_is_said() {
    let (mut session, server) = {
        let mut session = proxy();
        let server = ask(
            &mut session,
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\nContent-Length: 2\r\n\r\nhi",
        );
        (session, server)
    };
    let request = got(&mut session, server);
    assert!(request.contains("Host: a\r\n") && request.contains("Content-Length: 2\r\n"), "{request}");
}

#[test]
fn an_answer_that_wants_another_protocol_says_which() {
    let (mut session, server) = {
        let mut session = proxy();
        let server = ask(&mut session, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        (session, server)
    };
    let answer = "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, x-own\r\nX-Own: 1\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    session.bytes(server, answer.as_bytes());
    let answer = heard(&mut session);
    assert!(answer.contains("Upgrade: websocket\r\n") && answer.contains("Connection: upgrade\r\n"), "{answer}");
    assert!(!answer.contains("X-Own") && session.ending(Stream::OWN).is_none(), "{answer}");
}

#[test]
fn an_absolute_target_stands_for_the_host() {
    for (target, line, host) in [
        ("http://b:81/x?y", "GET /x?y HTTP/1.1\r\n", "Host: b:81\r\n"),
        ("HTTP://b", "GET / HTTP/1.1\r\n", "Host: b\r\n"),
        ("http://b?q", "GET /?q HTTP/1.1\r\n", "Host: b\r\n"),
    ] {
        let mut session = proxy();
        let server = ask(&mut session, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let request = got(&mut session, server);
        assert!(request.starts_with(line) && request.contains(host) && !request.contains("Host: a\r\n"), "{request}");
    }
}

#[test]
fn a_client_of_http_1_0_is_spoken_to_in_its_way() {
    let (mut session, server) = {
        let mut session = proxy();
        let server = ask(&mut session, "GET / HTTP/1.0\r\nAccept: */*\r\n\r\n");
        (session, server)
    };
    let request = got(&mut session, server);
    assert!(request.starts_with("GET / HTTP/1.1\r\nAccept: */*\r\nHost: app\r\n"), "{request}");
    assert!(request.contains("Via: 1.0 tandem\r\n"), "{request}");
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).contains("Connection: close\r\n\r\nhi"));
    assert!(session.ending(Stream::OWN).is_some());

    let (mut session, server) = asked("GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n");
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).contains("Connection: keep-alive\r\n\r\nhi"));
    assert!(session.ending(Stream::OWN).is_none());
}

#[test]
fn an_answer_of_http_1_0_is_passed_on_as_1_1_and_its_connection_not_kept() {
    let (mut session, server) = asked(GET);
    session.bytes(server, b"HTTP/1.0 200 Fine\r\nDate: d\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(heard(&mut session), "HTTP/1.1 200 Fine\r\nDate: d\r\nContent-Length: 2\r\nVia: 1.0 tandem\r\n\r\nhi");
    assert_eq!(session.ending(server), Some(Ending::Closed));
    assert!(session.ending(Stream::OWN).is_none());
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let (mut session, server) = asked(GET);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(heard(&mut session).contains(DATE));
}

#[test]
fn a_server_that_closes_is_not_pooled() {
    let (mut session, server) = asked(GET);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let answer = heard(&mut session);
    assert!(!answer.contains("Connection"), "{answer}");
    assert_eq!(session.ending(server), Some(Ending::Closed));
    assert!(session.at_boundary());
}

#[test]
fn answers_without_a_body_have_none_whatever_they_say() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 100\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        let (mut session, server) = asked(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        session.bytes(server, answer.as_bytes());
        let passed = heard(&mut session);
        let keeps_length = answer.contains("100") && !answer.contains("204");
        assert_eq!(passed.contains("Content-Length: 100"), keeps_length, "{passed}");
        assert!(session.at_boundary(), "{answer}");
        assert_eq!(session.ending(server), Some(Ending::Released), "{answer}");
    }
}

#[test]
fn what_a_server_sends_too_much_is_not_the_next_answer() {
    let (mut session, server) = asked(GET);
    session.bytes(server, format!("{OK}HTTP/1.1 200 OK\r\n\r\n").as_bytes());
    assert!(heard(&mut session).ends_with("\r\n\r\nhi"));
    assert_eq!(session.ending(server), Some(Ending::Closed));
}

#[test]
fn interim_answers_are_passed_on() {
    let (mut session, server) = asked(GET);
    session.bytes(server, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(
        heard(&mut session),
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 tandem\r\n\r\nHTTP/1.1 102 Processing\r\nVia: 1.1 tandem\r\n\r\n"
    );
    session.bytes(server, OK.as_bytes());
    assert!(heard(&mut session).starts_with("HTTP/1.1 200 OK\r\n"));

    let (mut session, server) = asked("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    session.bytes(server, format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}").as_bytes());
    assert!(heard(&mut session).starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_wrong_answer_is_a_bad_gateway_and_the_server_is_blamed() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
    ] {
        let (mut session, server) = asked(GET);
        session.bytes(server, answer.as_bytes());
        assert_eq!(status(&heard(&mut session)), 502, "{answer}");
        assert_eq!(session.blamed(), [server], "{answer}");
        assert_eq!(session.ending(server), Some(Ending::Aborted), "{answer}");
        assert!(session.at_boundary(), "{answer}");
    }
}

#[test]
fn routes_are_chosen_by_the_path_that_a_server_would_see() {
    let config = json!({ "routes": [
        { "path": "/", "upstream": "app" },
        { "path": "/admin", "status": 403, "body": "no" },
        { "host": "b.example", "path": "/", "status": 204 },
    ] });
    for path in ["/admin", "/%61dmin/x", "/a/../admin", "//admin", "/./admin", "/admin?x"] {
        let mut session = start(&config);
        session.bytes(Stream::OWN, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(status(&heard(&mut session)), 403, "{path}");
    }
    for path in ["/../admin", "/%", "/%00"] {
        let mut session = start(&config);
        session.bytes(Stream::OWN, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(status(&heard(&mut session)), 400, "{path}");
    }
    let mut session = start(&config);
    session.bytes(Stream::OWN, b"GET /a//b HTTP/1.1\r\nHost: B.example:8080\r\n\r\n");
    assert_eq!(status(&heard(&mut session)), 204);
    let server = ask(&mut session, "GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(got(&mut session, server).starts_with("GET /a//b HTTP/1.1\r\n"));
}
