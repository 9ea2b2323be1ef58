//! Messages are submitted, and the client is told what has become of each.

use serde_json::json;
use tandem_component::CallFailure;
use tandem_component::prelude::Transport;
use tandem_sms::{Submitted, status};

use crate::support::*;

#[test]
fn a_message_is_submitted_and_its_name_is_told() {
    every_way(&config(), |client| {
        client.say(&post_with("Idempotency-Key: k1\r\n", &hello().to_string()));
        let submit = client.submit();
        assert_eq!((submit.account.as_str(), submit.text.as_deref()), ("acme", Some("hello")));
        assert_eq!((submit.sms.source.digits.as_str(), submit.sms.destination.digits.as_str()), ("100", "4917200"));
        assert_eq!(submit.key.as_deref(), Some("k1/+4917200"));
        assert!(client.heard().is_empty());
        client.take("m1");
        let heard = client.one();
        assert_eq!((heard.status, heard.field("location")), (202, Some("/v1/messages/m1")));
        let messages = json!([{ "to": "+4917200", "id": "m1", "parts": 1 }]);
        assert_eq!(heard.body, json!({ "accepted": 1, "refused": 0, "messages": messages }));
    });
}

#[test]
fn each_recipient_has_a_message_and_an_outcome() {
    every_way(&config(), |client| {
        client.say(&post(&json!({ "from": "1", "to": ["1", "2", "3"], "text": "hi", "reference": "r7" })));
        client.take("m1");
        let submit = client.submit();
        assert_eq!((submit.sms.destination.digits.as_str(), submit.reference.as_str()), ("2", "r7"));
        let reason = "no such number".to_owned();
        client.reply(&Submitted { status: status::DESTINATION, reason, ..Submitted::default() });
        client.session().fail_call(CallFailure::Down);
        let heard = client.one();
        assert_eq!((heard.status, &heard.body["reference"]), (202, &json!("r7")));
        assert_eq!((&heard.body["accepted"], &heard.body["refused"]), (&json!(1), &json!(2)));
        let messages = &heard.body["messages"];
        assert_eq!(messages[0], json!({ "to": "1", "id": "m1", "parts": 1 }));
        assert_eq!(messages[1]["problem"]["type"], "urn:tandem:problem:destination-refused");
        assert_eq!(messages[1]["problem"]["detail"], "no such number");
        assert_eq!(messages[2]["problem"]["status"], 503);
    });
}

#[test]
fn what_is_refused_has_the_status_of_its_reason() {
    for (refused, retry_after_ms, told, problem, retry_after) in [
        (status::THROTTLED, Some(2500), 429, "throttled", Some("3")),
        (status::FULL, None, 429, "full", Some("1")),
        (status::TEMPORARY, None, 503, "unavailable", Some("1")),
        (status::LATER, None, 503, "unavailable", Some("1")),
        (status::REFUSED, None, 422, "refused", None),
        (status::UNWANTED, None, 422, "refused", None),
        (status::SOURCE, None, 422, "source-refused", None),
        (status::DESTINATION, None, 422, "destination-refused", None),
        (status::VALIDITY, None, 422, "validity-refused", None),
        (status::UNKNOWN_COMMAND, None, 501, "not-implemented", None),
        (0x400, None, 422, "refused", None),
    ] {
        let mut client = Client::plain(&config());
        client.say(&post(&hello()));
        client.reply(&Submitted { status: refused, retry_after: retry_after_ms, ..Submitted::default() });
        let heard = client.one();
        assert_eq!((heard.status, heard.problem()), (told, problem));
        assert_eq!((heard.field("retry-after"), &heard.body["smpp_status"]), (retry_after, &json!(refused)));
    }
}

#[test]
fn what_may_be_sent_is_told_apart_from_what_was_refused() {
    let told = |submitted: &Submitted| {
        let mut client = Client::plain(&config());
        client.say(&post(&hello()));
        client.reply(submitted);
        let heard = client.one();
        assert_eq!((heard.status, heard.problem(), heard.field("retry-after")), (503, "unavailable", Some("1")));
        heard.body
    };
    let refused = Submitted { status: status::TEMPORARY, ..Submitted::default() };
    assert_eq!(told(&refused).get("uncertain"), None);
    let lost = told(&Submitted { uncertain: true, reason: "the SMSC has not answered".to_owned(), ..refused });
    assert_eq!(lost["uncertain"], true);
    assert!(
        lost["detail"].as_str().unwrap().starts_with("the SMSC has not answered: it may be sent, or not"),
        "{lost}"
    );
}

const KEYED: &str = "Idempotency-Key: k1\r\n";

#[test]
fn the_same_under_the_same_key_is_answered_again_and_another_is_refused() {
    every_way(&config(), |client| {
        client.say(&post_with(KEYED, &hello().to_string()));
        client.take("m1");
        let first = client.one();
        assert_eq!((first.status, first.field("location")), (202, Some("/v1/messages/m1")));
        // However it is written, and however the key is.
        let written = r#"{ "to": "+4917200", "text": "hello", "from": "\u0031\u0030\u0030" }"#;
        let again = client.ask(&post_with("Idempotency-Key: \"k1\"\r\n", written));
        assert!(client.session().calling().is_none(), "nothing is asked a second time");
        assert_eq!((again.status, again.field("location")), (202, Some("/v1/messages/m1")));
        assert_eq!(again.body, first.body);
        let mut other = hello();
        other["text"] = "another".into();
        let refused = client.ask(&post_with(KEYED, &other.to_string()));
        assert_eq!((refused.status, refused.problem(), refused.places()), (422, "key-reused", vec!["Idempotency-Key"]));
        // What is not valid has no key, and what has none is another message.
        assert_eq!(client.ask(&post_with(KEYED, "{}")).status, 400);
        client.say(&post(&hello()));
        client.take("m2");
        assert_eq!(client.one().body["messages"][0]["id"], "m2");
        assert!(client.session().calling().is_none());
    });
}

#[test]
fn what_may_turn_out_otherwise_is_asked_again_under_its_key() {
    every_way(&config(), |client| {
        for (reply, told) in [(status::THROTTLED, 429), (status::DESTINATION, 422), (status::TEMPORARY, 503)] {
            client.say(&post_with(KEYED, &hello().to_string()));
            client.reply(&Submitted { status: reply, ..Submitted::default() });
            assert_eq!(client.one().status, told);
        }
        client.say(&post_with(KEYED, &hello().to_string()));
        assert_eq!(client.submit().key.as_deref(), Some("k1/+4917200"));
        client.take("m1");
        assert_eq!(client.one().status, 202);
        assert_eq!(client.ask(&post_with(KEYED, &hello().to_string())).body["messages"][0]["id"], "m1");
    });
}

/// The client of the first goes away in the middle of it.
#[test]
fn a_request_that_is_not_answered_yet_is_in_progress_until_its_time_is_over() {
    every_way(&config(), |client| {
        client.say(&post_with(KEYED, &hello().to_string()));
        assert_eq!(client.submit().key.as_deref(), Some("k1/+4917200"));
        let mut next = client.another_as(Transport::Tcp);
        let refused = next.ask(&post_with(KEYED, &hello().to_string()));
        assert_eq!(
            (refused.status, refused.problem(), refused.field("retry-after")),
            (409, "request-in-progress", Some("1"))
        );
        assert!(next.session().calling().is_none());
        next.wait(SECOND * 34);
        assert_eq!(next.ask(&post_with(KEYED, &hello().to_string())).status, 409);
        next.wait(SECOND * 2);
        next.say(&post_with(KEYED, &hello().to_string()));
        assert_eq!(next.submit().key.as_deref(), Some("k1/+4917200"));
        next.take("m1");
        assert_eq!(next.one().body["messages"][0]["id"], "m1");
    });
}

#[test]
fn an_answer_is_kept_for_a_day() {
    let mut client = Client::connect_as(Transport::Resident, &config(), 0, false, false);
    let mut asks = client.another_as(Transport::Tcp);
    asks.say(&post_with(KEYED, &hello().to_string()));
    asks.take("m1");
    assert_eq!(asks.one().status, 202);
    client.follow(&mut asks);
    client.wait(SECOND * 86_000);
    assert_eq!(client.session().rows::<serde_json::Value>(&tandem_rest::KEYS).len(), 1);
    client.wait(SECOND * 600);
    assert!(client.session().rows::<serde_json::Value>(&tandem_rest::KEYS).is_empty());
}
