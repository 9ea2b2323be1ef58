//! What has become of messages is asked, and that one is not to be sent.

use serde_json::{Value, json};
use tandem_component::CallFailure;
use tandem_sms::{Address, Asked, Cancelled, Known, Listed, Queried, State, status};

use crate::support::*;

fn known(message_id: &str) -> Known {
    Known {
        message_id: message_id.into(),
        state: State::Delivered,
        source: Address { ton: 5, npi: 0, digits: "Shop".into() },
        destination: Address { ton: 1, npi: 1, digits: "4917200".into() },
        submitted_at: 1_767_268_800_000,
        ended_at: Some(1_767_268_801_500),
        error: "000".into(),
        parts: 2,
        maybe_twice: false,
        uncertain: false,
        reference: "order 7".into(),
    }
}

fn told(id: &str) -> Value {
    json!({ "id": id, "state": "DELIVRD", "from": "Shop", "to": "+4917200", "submitted_at": "2026-01-01T12:00:00Z",
        "ended_at": "2026-01-01T12:00:01.5Z", "error": "000", "parts": 2, "reference": "order 7" })
}

#[test]
fn a_message_is_looked_up() {
    every_way(&config(), |client| {
        client.say(&request("GET /v1/messages/m1"));
        match client.asked().read() {
            Asked::Query(query) => assert_eq!((query.account.as_str(), query.message_id.as_str()), ("acme", "m1")),
            other => panic!("{other:?}"),
        }
        client.reply(&Queried { status: 0, message: Some(known("m1")) });
        let heard = client.one();
        assert_eq!((heard.status, heard.body), (200, told("m1")));
        client.say(&request("GET /v1/messages/m2"));
        client.reply(&Queried::default());
        let heard = client.one();
        assert_eq!((heard.status, heard.problem()), (404, "no-such-message"));
        assert_eq!(heard.body["instance"], "/v1/messages/m2");
    });
}

#[test]
fn messages_are_listed_by_pages() {
    every_way(&config(), |client| {
        client.say(&request("GET /v1/messages?limit=2&before=m%209"));
        match client.asked().read() {
            Asked::List(list) => assert_eq!((list.before.as_str(), list.limit), ("m 9", 2)),
            other => panic!("{other:?}"),
        }
        client.reply(&Listed { status: 0, messages: vec![known("m8"), known("m 7")], more: true });
        let heard = client.one();
        let next = "/v1/messages?before=m%207&limit=2";
        assert_eq!(heard.body, json!({ "messages": [told("m8"), told("m 7")], "next": next }));
        client.say(&request("GET /v1/messages"));
        client.reply(&Listed::default());
        assert_eq!(client.one().body, json!({ "messages": [] }));
    });
}

#[test]
fn a_message_is_cancelled_or_cannot_be() {
    every_way(&config(), |client| {
        client.say(&request("DELETE /v1/messages/m1"));
        assert!(matches!(client.asked().read(), Asked::Cancel(cancel) if cancel.message_id == "m1"));
        client.reply(&Cancelled::default());
        let heard = client.one();
        assert_eq!((heard.status, heard.field("content-length")), (204, None));
        for (refused, told) in [(status::NO_MESSAGE, 404), (status::NOT_CANCELLED, 409), (status::TEMPORARY, 503)] {
            client.say(&request("DELETE /v1/messages/m1"));
            client.reply(&Cancelled { status: refused });
            assert_eq!(client.one().status, told);
        }
    });
}

#[test]
fn a_service_that_does_not_answer_is_unavailable() {
    every_way(&config(), |client| {
        for why in
            [CallFailure::Unknown, CallFailure::Down, CallFailure::Full, CallFailure::Ended, CallFailure::TooDeep]
        {
            client.say(&request("GET /v1/messages/m1"));
            client.session().fail_call(why);
            let heard = client.one();
            assert_eq!((heard.status, heard.field("retry-after")), (503, Some("1")));
        }
        client.say(&request("GET /v1/messages/m1"));
        client.wait(30 * SECOND);
        assert_eq!(client.one().problem(), "unavailable");
        client.say(&request("GET /v1/messages/m1"));
        client.reply(&"nonsense");
        assert_eq!(client.one().problem(), "not-implemented");
    });
}
