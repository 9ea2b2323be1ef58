//! What is wrong with a request is said, and the connection goes on where it can.

use serde_json::json;
use tandem_component::prelude::*;

use crate::support::*;

#[test]
fn who_asks_has_to_be_known() {
    every_way(&config(), |client| {
        for fields in [
            "",
            "Authorization: Basic YWNtZTp3cm9uZw==\r\n",
            "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n",
            "Authorization: Bearer c2VjcmV0\r\n",
            "Authorization: Digest x\r\n",
        ] {
            let heard = client.ask(format!("GET /v1/events HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
            assert_eq!((heard.status, heard.problem()), (401, "unauthenticated"), "{fields}");
            assert!(heard.field("www-authenticate").unwrap().starts_with("Basic"));
        }
        // acme:secret, without padding, in either scheme.
        for scheme in ["Bearer", "basic"] {
            let fields = format!("Authorization: {scheme} YWNtZTpzZWNyZXQ\r\n");
            let heard = client.ask(format!("GET /v1/events HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
            assert_eq!(heard.status, 200);
        }
    });
}

#[test]
fn who_is_suspended_or_has_tried_too_often_is_told_so() {
    every_way(&config(), |client| {
        client.session().suspend("other");
        let heard = client.ask(b"GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Basic b3RoZXI6aGlkZGVu\r\n\r\n");
        assert_eq!((heard.status, heard.problem()), (403, "account-suspended"));
        assert_eq!(
            heard.body["detail"],
            "the account `other` may use nothing until it is resumed: ask who runs the gateway"
        );
        // With another secret nobody learns that it is.
        let heard = client.ask(b"GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Basic b3RoZXI6d3Jvbmc=\r\n\r\n");
        assert_eq!((heard.status, heard.problem()), (401, "unauthenticated"));

        client.session().put_off("acme", SECOND * 5 / 2);
        let heard = client.ask(&post(&hello()));
        assert_eq!((heard.status, heard.problem()), (429, "too-many-attempts"));
        let seconds = heard.field("retry-after").unwrap().parse::<u64>().unwrap();
        assert!((1..=3).contains(&seconds) && heard.body["retry_after"] == seconds, "{heard:?}");
        assert!(heard.body["detail"].as_str().unwrap().starts_with("of the account `acme`"), "{heard:?}");
        assert!(client.session().calling().is_none());
        client.wait(SECOND * 3);
        assert_eq!(client.ask(&request("GET /v1/events")).status, 200);
    });
}

#[test]
fn what_is_not_there_is_not_found_and_methods_are_listed() {
    every_way(&config(), |client| {
        let heard = client.ask(&request("GET /v1/nothing?a=1"));
        assert_eq!(
            (heard.status, heard.problem(), &heard.body["instance"]),
            (404, "no-such-path", &json!("/v1/nothing"))
        );
        let heard = client.ask(&request("PATCH /v1/messages"));
        assert_eq!((heard.status, heard.field("allow")), (405, Some("GET, HEAD, POST")));
        let heard = client.ask(&request("POST /v1/messages/m1"));
        assert_eq!((heard.status, heard.field("allow")), (405, Some("GET, HEAD, DELETE")));
        let heard = client.ask(&request("GET /v1/messages?limit=0&colour=red"));
        assert_eq!((heard.status, heard.places()), (400, vec!["limit", "colour"]));
    });
}

#[test]
fn a_body_that_is_wrong_is_told_where() {
    every_way(&config(), |client| {
        for (body, problem, detail) in [
            ("", "not-json", "there is no body"),
            ("{\"from\": 1,}", "not-json", "trailing comma at line 1 column 12"),
            ("[]", "invalid", "a message is an object"),
            (
                "{\"from\":\"1\",\"to\":\"1\",\"text\":\"a\",\"from\":\"2\"}",
                "not-json",
                "the member `from` stands twice at line 1 column 38",
            ),
            (
                "{\"from\":\"1\",\"to\":\"1\",\"text\":\"a\",\"validity\":\"60\"}",
                "invalid",
                "`validity` is a number of seconds",
            ),
        ] {
            let heard = client.ask(&post_with("", body));
            assert_eq!((heard.status, heard.problem(), &heard.body["detail"]), (400, problem, &json!(detail)));
        }
        let heard = client.ask(&post(&json!({ "from": "1", "to": ["1", "?"], "txt": "hi" })));
        assert_eq!(heard.places(), ["/txt", "/to/1", "/text"]);
        assert!(!client.is_closed());
    });
    let mut client = Client::plain(&config());
    let to: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    let heard = client.ask(&post(&json!({ "from": "1", "to": to, "text": "hi" })));
    assert_eq!(heard.body["detail"], "1001 recipients, where 1000 are as many as may be");
}

#[test]
fn media_and_expectations_are_looked_at_before_the_body_is_read() {
    every_way(&config(), |client| {
        let with = |fields: &str| {
            format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\n{ACME}{fields}Content-Length: 2\r\n\r\n{{}}").into_bytes()
        };
        let json = "Content-Type: application/json; charset=utf-8\r\n";
        for (fields, status) in [
            ("Content-Type: text/plain\r\n".to_owned(), 415),
            (String::new(), 415),
            (format!("{json}Content-Encoding: gzip\r\n"), 415),
            (format!("{json}Accept: text/html, application/json;q=0\r\n"), 406),
            (format!("{json}Accept: text/html, application/*;q=0.5\r\n"), 400),
            (format!("{json}Expect: wonders\r\n"), 417),
            (format!("{json}Idempotency-Key: \r\n"), 400),
            (format!("{json}Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), 400),
        ] {
            assert_eq!(client.ask(&with(&fields)).status, status, "{fields}");
        }
        assert!(!client.is_closed());
    });
}

#[test]
fn who_waits_for_a_continue_gets_it_once_it_is_known_who_that_is() {
    every_way(&config(), |client| {
        let body = hello().to_string();
        let head = |credentials: &str| {
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: a\r\n{credentials}Content-Type: application/json\r\n\
                 Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
        };
        client.say(head(ACME).as_bytes());
        assert_eq!(client.session().sent(Stream::OWN), b"HTTP/1.1 100 Continue\r\n\r\n");
        client.say(body.as_bytes());
        client.take("m1");
        assert_eq!(client.one().status, 202);
        // Who is refused may send the body or not: the connection ends.
        let heard = client.ask(head("").as_bytes());
        assert_eq!((heard.status, heard.field("connection")), (401, Some("close")));
        assert!(client.is_closed());
    });
}

#[test]
fn a_body_over_the_limit_is_refused_and_one_that_nobody_wants_thrown_away() {
    let mut config = config();
    config["limits"] = json!({ "body_bytes": 400 });
    every_way(&config, |client| {
        let unwanted =
            format!("PUT /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n{}", "x".repeat(300));
        assert_eq!(client.ask(unwanted.as_bytes()).status, 405);
        let heard = client.ask(&request("GET /v1/nothing"));
        assert_eq!((heard.status, client.is_closed()), (404, false));
        let long = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: a\r\n{ACME}Content-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\nc8\r\n{}\r\nc9\r\n",
            "x".repeat(200)
        );
        let heard = client.ask(long.as_bytes());
        assert_eq!((heard.status, heard.problem(), client.is_closed()), (413, "body-too-large", true));
        assert_eq!(heard.body["detail"], "a body has at most 400 bytes: send it as several requests");
    });
    let mut client = Client::plain(&config);
    let heard = client.ask(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 401\r\n\r\n");
    assert_eq!((heard.status, client.is_closed()), (413, true));
}

#[test]
fn what_is_no_http_ends_the_connection() {
    for (said, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("\0\0\0", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST /v1/messages HTTP/1.0\r\n\r\n", 411),
    ] {
        every_way(&config(), |client| {
            let heard = client.ask(said.as_bytes());
            assert_eq!((heard.status, client.is_closed()), (status, true), "{said:?}");
        });
    }
    let mut client = Client::plain(&config());
    let heard = client.ask(format!("GET /{} HTTP/1.1\r\n", "a".repeat(5000)).as_bytes());
    assert_eq!(heard.problem(), "target-too-long");
    assert_eq!(heard.body["detail"], "a request target has at most 4096 bytes");
    let mut client = Client::plain(&config());
    let heard = client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(17_000)).as_bytes());
    assert_eq!(heard.problem(), "head-too-large");
    assert_eq!(heard.body["detail"], "a head has at most 16384 bytes and 100 fields");
}

#[test]
fn a_configuration_that_cannot_be_served_is_refused() {
    let refused = |with: serde_json::Value| {
        let mut config = config();
        with.as_object().unwrap().iter().for_each(|(name, value)| config[name] = value.clone());
        Harness::<tandem_rest::Rest>::start(&config).err().unwrap().to_string()
    };
    let hook = |upstream: &str, path: &str, secret: &str| json!({ "accounts": { "acme": { "webhook": { "upstream": upstream, "path": path, "secret": secret } } } });
    assert_eq!(refused(json!({ "submit_to": "" })), "submit_to: the name of a service");
    assert_eq!(refused(hook("nowhere", "/", "s")), "accounts.acme.webhook.upstream: there is no `nowhere`");
    assert!(refused(hook("app", "cb", "s")).starts_with("accounts.acme.webhook.path: \"cb\" is none"));
    assert!(refused(hook("app", "/a\r\nb", "s")).contains("is none"));
    assert!(refused(hook("app", "/", "")).starts_with("accounts.acme.webhook.secret"));
    assert!(refused(json!({ "limits": { "recipients": 0 } })).starts_with("limits.recipients"));
    assert!(refused(json!({ "webhooks": { "batch": 0 } })).starts_with("webhooks.batch"));
    assert!(refused(json!({ "colour": 1 })).contains("unknown field `colour`"));
}
