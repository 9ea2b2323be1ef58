//! A connection has one exchange after another, and ends in its time.

use std::time::Duration;

use serde_json::json;
use tandem_component::prelude::*;

use crate::support::*;

#[test]
fn requests_that_came_together_are_answered_in_their_order() {
    every_way(&config(), |client| {
        let all = [post(&hello()), request("GET /v1/nothing"), post(&hello()), request("GET /openapi.json")].concat();
        client.say(&all);
        client.take("m1");
        client.take("m2");
        let statuses: Vec<u16> = client.heard().iter().map(|heard| heard.status).collect();
        assert_eq!(statuses, [202, 404, 202, 200]);
        assert!(!client.is_closed());
    });
}

#[test]
fn a_body_in_chunks_is_one() {
    every_way(&config(), |client| {
        let body = hello().to_string();
        let (one, two) = body.split_at(10);
        let chunked = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: a\r\n{ACME}Content-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\na;x=1\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\nTrailer: 1\r\n\r\n",
            two.len()
        );
        client.say(chunked.as_bytes());
        assert_eq!(client.submit().text.as_deref(), Some("hello"));
        client.take("m1");
        assert_eq!(client.one().status, 202);
    });
}

#[test]
fn the_client_says_whether_the_connection_stays() {
    every_way(&config(), |client| {
        let heard = client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((heard.field("connection"), client.is_closed()), (Some("keep-alive"), false));
        let heard = client.ask(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!((heard.field("connection"), client.is_closed()), (Some("close"), true));
    });
}

#[test]
fn an_answer_to_head_has_no_body() {
    every_way(&config(), |client| {
        client.say(b"HEAD /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n");
        let sent = String::from_utf8(client.session().sent(Stream::OWN)).unwrap();
        assert!(sent.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"));
        assert!(sent.ends_with("\r\n\r\n"));
    });
}

#[test]
fn who_says_nothing_for_too_long_is_sent_away() {
    every_way(&config(), |client| {
        client.wait(Duration::from_secs(74));
        assert!(!client.is_closed());
        assert_eq!(client.ask(&request("GET /v1/nothing")).status, 404);
        client.wait(Duration::from_secs(74));
        assert!(!client.is_closed());
        client.wait(SECOND);
        assert!(client.is_closed() && client.heard().is_empty());
    });
    for said in
        ["GET /v1/no".to_owned(), String::from_utf8(post_with("", "{}")).unwrap().trim_end_matches('}').to_owned()]
    {
        every_way(&config(), |client| {
            client.say(said.as_bytes());
            client.wait(Duration::from_secs(60));
            let heard = client.one();
            assert_eq!((heard.problem(), client.is_closed()), ("request-timeout", true));
        });
    }
}

#[test]
fn a_client_that_has_finished_gets_its_answers() {
    every_way(&config(), |client| {
        client.say(&post(&hello()));
        client.session().end(Stream::OWN);
        client.carry();
        client.take("m1");
        assert_eq!((client.one().status, client.is_closed()), (202, true));
    });
    every_way(&config(), |client| {
        client.say(&post(&hello())[..100]);
        client.session().end(Stream::OWN);
        assert_eq!((client.one().status, client.is_closed()), (400, true));
    });
    every_way(&config(), |client| {
        let long = post(&hello());
        client.say(&long[..long.len() - 3]);
        client.session().end(Stream::OWN);
        let heard = client.one();
        assert_eq!((&heard.body["detail"], client.is_closed()), (&json!("the body is cut off"), true));
    });
}

#[test]
fn a_drain_lets_what_is_under_way_end() {
    every_way(&config(), |client| {
        client.session().drain(10 * SECOND);
        client.carry();
        assert!(client.is_closed());
    });
    every_way(&config(), |client| {
        client.say(&post(&hello()));
        client.session().drain(10 * SECOND);
        client.carry();
        client.take("m1");
        let heard = client.one();
        assert_eq!((heard.status, heard.field("connection"), client.is_closed()), (202, Some("close"), true));
    });
    every_way(&config(), |client| {
        client.say(&request("GET /v1/events?wait=30"));
        assert!(client.heard().is_empty());
        client.session().drain(10 * SECOND);
        assert_eq!((client.one().status, client.is_closed()), (200, true));
    });
}

#[test]
fn each_exchange_is_recorded_where_that_is_wanted() {
    #[derive(Debug, Deserialize)]
    struct Record {
        method: String,
        target: String,
        account: String,
        status: u16,
        bytes_in: u64,
        bytes_out: u64,
        duration_us: u64,
        messages: u64,
        problem: String,
    }
    let mut config = config();
    config["access_log"] = json!(true);
    every_way(&config, |client| {
        let asked = post(&hello());
        client.say(&asked);
        client.wait(SECOND);
        client.take("m1");
        drop(client.one());
        drop(client.ask(&request("GET /v1/events?wait=x")));
        let records = client.session().records();
        let records: Vec<Record> = records.iter().map(|it| rmp_serde::from_slice(it).unwrap()).collect();
        let [one, two] = &records[..] else { panic!("{records:?}") };
        assert_eq!((one.method.as_str(), one.target.as_str(), one.account.as_str()), ("POST", "/v1/messages", "acme"));
        assert_eq!((one.status, one.messages, one.bytes_in), (202, 1, asked.len() as u64));
        assert!(one.bytes_out > 100 && one.duration_us == 1_000_000 && one.problem.is_empty());
        assert_eq!((two.status, two.problem.as_str()), (400, "invalid"));
    });
}
