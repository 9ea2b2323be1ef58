//! The record of an exchange.

use serde_json::{Value, json};
use tandem_component::prelude::*;

use crate::support::*;

fn recorded() -> Value {
    json!({
        "routes": [{ "path": "/", "upstream": "app" }, { "path": "/here", "status": 200, "body": "hello" }],
    })
}

fn records(session: &mut Talk) -> Vec<Value> {
    session.records().iter().map(|record| rmp_serde::from_slice(record).unwrap()).collect()
}

#[test]
fn a_proxied_exchange_is_recorded_when_it_is_over() {
    let mut session = start(&recorded());
    let request = "GET /a?b HTTP/1.1\r\nHost: h:1\r\nUser-Agent: curl\r\nReferer: http://x/\r\n\r\n";
    let server = ask(&mut session, request);
    session.advance(std::time::Duration::from_millis(20));
    session.bytes(server, b"HTTP/1.1 201 Created\r\nDate: d\r\nContent-Length: 5\r\n\r\nhe");
    assert!(records(&mut session).is_empty());
    session.bytes(server, b"llo");
    let sent = heard(&mut session).len();
    assert_eq!(
        records(&mut session),
        [json!({
            "account": "", "outcome": "done", "method": "GET", "target": "/a?b", "host": "h:1", "status": 201,
            "bytes_in": request.len(), "bytes_out": sent, "duration_us": 20_000,
            "upstream": "app", "server": 1, "user_agent": "curl", "referer": "http://x/",
        })]
    );
}

#[test]
fn our_own_answers_are_recorded_without_a_server() {
    let mut session = start(&recorded());
    session.bytes(Stream::OWN, b"GET /here HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n");
    let records = records(&mut session);
    assert_eq!(records.len(), 2);
    assert_eq!((&records[0]["status"], &records[0]["upstream"]), (&json!(200), &json!("")));
    assert!(records[0].get("server").is_none());
    assert_eq!((&records[1]["status"], &records[1]["method"]), (&json!(400), &json!("")));
}

#[test]
fn a_client_that_has_gone_is_499() {
    let mut session = start(&recorded());
    let server = ask(&mut session, GET);
    session.break_off(Stream::OWN);
    assert!(session.ending(server).is_some());
    let records = records(&mut session);
    assert_eq!((records.len(), &records[0]["status"], &records[0]["outcome"]), (1, &json!(499), &json!("abandoned")));
}

#[test]
fn failures_and_tunnels_are_recorded_once() {
    let mut session = start(&recorded());
    session.bytes(Stream::OWN, GET.as_bytes());
    session.refuse(None, DialFailure::NoServer);
    assert_eq!(records(&mut session)[0]["status"], 503);

    let server = ask(&mut session, GET);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe");
    session.end(server);
    let cut = records(&mut session);
    assert_eq!((cut.len(), &cut[0]["status"], &cut[0]["server"]), (1, &json!(200), &json!(1)));
    assert_eq!(cut[0]["outcome"], "failed");

    let mut session = start(&recorded());
    let server = ask(&mut session, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    session.bytes(server, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    session.bytes(server, b"12345");
    session.end(server);
    session.end(Stream::OWN);
    let tunnel = records(&mut session);
    assert_eq!((tunnel.len(), &tunnel[0]["status"]), (1, &json!(101)));
    assert!(tunnel[0]["bytes_out"].as_u64() > Some(5));
}

#[test]
fn nothing_is_recorded_that_nobody_wants() {
    let mut config = recorded();
    config["access_log"] = json!(false);
    let mut session = start(&config);
    let server = ask(&mut session, GET);
    session.bytes(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(records(&mut session).is_empty());
}
