//! What is asked of messages that another service has.

use serde_json::{Value, json};
use tandem_component::CallFailure;
use tandem_sms::{Asked, Cancel, Cancelled, Delivered, Known, Queried, Query, Replace, Replaced, State, Submitted};

use crate::support::*;

fn handing_over() -> Value {
    let mut config = config();
    config["submit_to"] = json!("messages");
    config
}

/// Submits a message that the service has taken as m1: what the ESME knows it by.
fn taken(esme: &mut Esme, registered: u8) -> String {
    esme.say(&submit(2, "hi", registered));
    esme.session().reply(&Submitted { message_id: "m1".into(), ..Submitted::default() });
    esme.carry();
    esme.heard()[0].text()
}

fn asked(esme: &mut Esme) -> Asked {
    let call = esme.session().calling().unwrap();
    assert_eq!(call.service, "messages");
    call.read()
}

fn reply(esme: &mut Esme, answer: &impl serde::Serialize) -> Pdu {
    esme.session().reply(answer);
    esme.carry();
    let mut heard = esme.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard.remove(0)
}

/// Each question, with the status of its failure.
fn questions(id: &str) -> [(Vec<u8>, u32); 3] {
    [(query(3, id, "100"), RQUERYFAIL), (cancel(3, id), RCANCELFAIL), (replace(3, id, "other", 0), RREPLACEFAIL)]
}

#[test]
fn a_query_is_answered_by_what_the_service_knows() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        let id = taken(esme, 0);
        esme.say(&query(3, &id, "100"));
        assert_eq!(asked(esme), Asked::Query(Query { account: "acme".into(), message_id: "m1".into() }));
        assert_eq!(esme.heard(), []);
        let mut known: Known = serde_json::from_value(json!({ "message_id": "m1", "state": "ENROUTE" })).unwrap();
        let answer = reply(esme, &Queried { status: 0, message: Some(known.clone()) });
        assert_eq!((answer.status, answer.sequence), (0, 3));
        assert_eq!(answer.body, [id.as_bytes(), b"\0\0\x01\0"].concat());
        esme.say(&query(4, &id, "100"));
        (known.state, known.ended_at, known.error) = (State::Undeliverable, Some(1_767_225_600_000), "017".into());
        let answer = reply(esme, &Queried { status: 0, message: Some(known) });
        assert_eq!(answer.body, [id.as_bytes(), b"\x00260101000000000+\0\x05\x11"].concat());
        // It has forgotten it.
        esme.say(&query(5, &id, "100"));
        let answer = reply(esme, &Queried::default());
        assert_eq!(answer.body, [id.as_bytes(), b"\0\0\x01\0"].concat());
    });
}

#[test]
fn what_is_cancelled_and_replaced_is_so_at_the_service() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        let id = taken(esme, 0);
        esme.say(&replace(3, &id, "other", 1));
        let Asked::Replace(asked_for) = asked(esme) else { panic!() };
        let expected = Replace {
            account: "acme".into(),
            message_id: "m1".into(),
            registered_delivery: 1,
            short_message: b"other".to_vec(),
            ..Replace::default()
        };
        assert_eq!(asked_for, expected);
        let answer = reply(esme, &Replaced { status: 0 });
        assert_eq!(answer, Pdu { id: REPLACE_SM | RESP, status: 0, sequence: 3, body: vec![] });
        let row = esme.messages().remove(0);
        assert_eq!((row.short_message.as_slice(), row.registered_delivery), (&b"other"[..], 1));
        esme.say(&cancel(4, &id));
        assert_eq!(asked(esme), Asked::Cancel(Cancel { account: "acme".into(), message_id: "m1".into() }));
        let answer = reply(esme, &Cancelled { status: 0 });
        assert_eq!(answer, Pdu { id: CANCEL_SM | RESP, status: 0, sequence: 4, body: vec![] });
    });
}

#[test]
fn what_the_service_refuses_and_does_not_know_is_refused() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        let id = taken(esme, 0);
        for (question, failure) in questions(&id) {
            for (status, expected) in [(0x0c, failure), (0x45, failure), (0x08, RSYSERR), (0x58, RSYSERR)] {
                esme.say(&question);
                // All answers have their status in the same field.
                assert_eq!(reply(esme, &Delivered { status }).status, expected, "{status:#x}");
            }
            esme.say(&question);
            assert_eq!(reply(esme, &"nonsense").status, RSYSERR);
            esme.say(&question);
            esme.session().fail_call(CallFailure::Down);
            assert_eq!(esme.heard()[0].status, RSYSERR);
        }
        for (question, status) in [(cancel(4, &id), RCANCELFAIL), (replace(4, &id, "other", 0), RREPLACEFAIL)] {
            // A connector of an SMSC, and a service of before there was this question.
            esme.say(&question);
            assert_eq!(reply(esme, &Delivered { status: RINVCMDID }).status, status);
        }
        esme.say(&query(5, &id, "100"));
        assert_eq!(reply(esme, &Delivered { status: RINVCMDID }).body, [id.as_bytes(), b"\0\0\x01\0"].concat());
        esme.say(&replace(6, &id, "other", 0));
        assert_eq!(reply(esme, &Replaced { status: 0x62 }).status, 0x62, "ESME_RINVEXPIRY");
        assert_eq!(esme.messages()[0].short_message, b"hi");
    });
}

#[test]
fn only_whoever_has_submitted_it_asks_after_it_and_from_where_it_was_submitted() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        let id = taken(esme, 0);
        assert_eq!(esme.ask(&query(3, &id, "101")).status, RQUERYFAIL);
        assert_eq!(esme.ask(&query(3, "m1", "100")).status, RINVMSGID, "that is the service's name for it");
        let session = esme.session();
        assert!(session.calling().is_none());
    });
}

#[test]
fn a_question_that_nobody_answers_is_given_up_and_the_window_holds_it_until_then() {
    let mut config = handing_over();
    config["accounts"]["acme"]["window"] = json!(1);
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        let id = taken(esme, 0);
        esme.say(&query(3, &id, "100"));
        assert_eq!(esme.ask(&query(4, &id, "100")).status, RTHROTTLED);
        esme.wait(SECOND * 30);
        assert_eq!(esme.heard()[0].status, RSYSERR);
    });
}
