//! Submissions that another service submits.

use serde_json::{Value, json};
use tandem_component::CallFailure;
use tandem_sms::{Asked, Submit, Submitted};

use crate::support::*;

fn handing_over() -> Value {
    let mut config = config();
    config["submit_to"] = json!("smsc-a");
    config
}

fn asked(esme: &mut Esme) -> Submit {
    let call = esme.session().calling().unwrap();
    assert_eq!(call.service, "smsc-a");
    match call.read() {
        Asked::Submit(submit) => submit,
        other => panic!("{other:?}"),
    }
}

fn taken(id: &str) -> Submitted {
    Submitted { status: 0, message_id: id.to_owned(), ..Submitted::default() }
}

#[test]
fn a_message_is_answered_once_the_smsc_has_taken_it_and_it_is_written_down() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        let tlvs = b"\x02\x04\0\x02\0\x07\x14\x00\0\x03abc";
        esme.say(&submit_to("200", 2, "\x05\0\x03\x07\x02\x01hello", 1, tlvs));
        assert_eq!(esme.heard(), []);
        let submit = asked(esme);
        assert_eq!((submit.account.as_str(), submit.sms.registered_delivery), ("acme", 1));
        assert_eq!(
            (submit.sms.short_message, submit.sms.tlvs),
            (b"\x05\0\x03\x07\x02\x01hello".to_vec(), tlvs.to_vec())
        );
        assert_eq!(esme.messages(), []);
        esme.session().reply(&taken("m1"));
        esme.carry();
        let answer = esme.heard().remove(0);
        assert_eq!(
            (answer.id, answer.status, answer.sequence, answer.text()),
            (SUBMIT_SM | RESP, 0, 2, submit.id.clone())
        );
        let message = esme.messages().remove(0);
        assert_eq!(
            (message.id, message.smsc.as_deref(), message.smsc_id.as_deref()),
            (submit.id, Some("smsc-a"), Some("m1"))
        );
        assert_eq!(message.receipt_for, None, "nothing is owed before the SMSC has said what has become of it");
    });
}

#[test]
fn what_the_smsc_refuses_is_refused_and_not_kept() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        for status in [RTHROTTLED, RMSGQFUL, RINVDSTADR] {
            esme.say(&submit(2, "hi", 1));
            esme.session().reply(&Submitted { status, message_id: String::new(), ..Submitted::default() });
            assert_eq!(esme.heard(), [Pdu { id: SUBMIT_SM | RESP, status, sequence: 2, body: vec![] }]);
        }
        for (why, status) in [
            (CallFailure::Down, RSYSERR),
            (CallFailure::Unknown, RSYSERR),
            (CallFailure::Full, RMSGQFUL),
            (CallFailure::Ended, RSYSERR),
            (CallFailure::TooDeep, RSYSERR),
        ] {
            esme.say(&submit(2, "hi", 1));
            esme.session().fail_call(why);
            assert_eq!(esme.heard()[0].status, status, "{why:?}");
        }
        esme.say(&submit(2, "hi", 1));
        esme.session().reply(&"nonsense");
        assert_eq!(esme.heard()[0].status, RSYSERR);
        esme.say(&submit(2, "hi", 1));
        assert_eq!(esme.heard(), []);
        esme.wait(SECOND * 30);
        assert_eq!(esme.heard()[0].status, RSYSERR, "the service does not answer");
        assert_eq!(esme.messages(), []);
    });
}

#[test]
fn a_message_without_a_receipt_can_go_without_a_row() {
    let mut config = handing_over();
    config["messages"] = json!("receipts");
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        esme.say(&submit(2, "hi", 0));
        assert_eq!(asked(esme).sms.short_message, b"hi");
        esme.session().reply(&taken("m1"));
        let answer = esme.heard().remove(0);
        assert_eq!((answer.id, answer.status, answer.sequence), (SUBMIT_SM | RESP, 0, 2));
        assert_eq!(esme.messages(), []);
        assert_eq!(esme.ask(&query(3, &answer.text(), "100")).status, RINVMSGID);
        // Receipts of either kind and notifications have to find their message.
        for (sequence, registered) in [(4, 1), (5, 2), (6, 0x10)] {
            esme.say(&submit(sequence, "hi", registered));
            esme.session().reply(&taken("m2"));
            assert_eq!(esme.heard()[0].status, 0);
            assert_eq!(esme.messages().len(), sequence as usize - 3);
        }
        esme.say(&submit(7, "hi", 0));
        esme.session().reply(&Submitted { status: RTHROTTLED, message_id: String::new(), ..Submitted::default() });
        assert_eq!(esme.heard()[0].status, RTHROTTLED);
    });
}

#[test]
fn of_many_destinations_without_rows_those_that_fail_are_named() {
    let mut config = handing_over();
    config["messages"] = json!("receipts");
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        let head = b"\0\x01\x01100\0\x02\x01\0\x00200\0\x01\x01\x01201\0\0\0\0".to_vec();
        esme.say(&pdu(SUBMIT_MULTI, 2, &[head, b"\0\0\0\0\0\0\x02hi".to_vec()].concat()));
        assert_eq!(asked(esme).sms.destination.digits, "200");
        esme.session().reply(&taken("m1"));
        assert_eq!(asked(esme).sms.destination.digits, "201");
        esme.session().reply(&Submitted { status: RTHROTTLED, message_id: String::new(), ..Submitted::default() });
        let answer = esme.heard().remove(0);
        let refused = b"\0\x01\x01\x01201\0\0\0\0\x58";
        assert_eq!((answer.status, answer.body.clone()), (0, [answer.text().as_bytes(), refused].concat()));
        assert_eq!(esme.messages(), []);
    });
}

#[test]
fn the_window_holds_what_the_smsc_has_not_answered() {
    let mut config = handing_over();
    config["accounts"]["acme"]["window"] = json!(2);
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        // The second has the number of the first: that is the ESME's to tell apart.
        esme.say(&submit(2, "one", 0));
        esme.say(&submit(2, "two", 0));
        assert_eq!(esme.ask(&submit(4, "three", 0)).status, RTHROTTLED);
        esme.say(&pdu(UNBIND, 5, &[]));
        assert_eq!(esme.heard(), [], "an unbind waits for what came before");
        esme.session().reply(&taken("m1"));
        assert_eq!(esme.heard().len(), 1);
        esme.session().reply(&taken("m2"));
        assert_eq!(esme.heard().iter().map(|pdu| pdu.id).collect::<Vec<_>>(), [SUBMIT_SM | RESP, UNBIND | RESP]);
        assert_eq!(esme.messages().len(), 2);
    });
}

#[test]
fn of_many_destinations_each_is_submitted_and_those_that_fail_are_named() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        let head = b"\0\x01\x01100\0\x03\x01\0\x00200\0\x01\x01\x01201\0\x02list\0\0\0\0".to_vec();
        let request = pdu(SUBMIT_MULTI, 2, &[head, b"\0\0\0\0\0\0\x02hi".to_vec()].concat());
        esme.say(&request);
        assert_eq!(asked(esme).sms.destination.digits, "200");
        esme.session().reply(&taken("m1"));
        assert_eq!(esme.heard(), []);
        assert_eq!(asked(esme).sms.destination.digits, "201");
        esme.session().reply(&Submitted { status: RTHROTTLED, message_id: String::new(), ..Submitted::default() });
        let answer = esme.heard().remove(0);
        let refused = b"\0\x02\0\0list\0\0\0\0\x34\x01\x01201\0\0\0\0\x58";
        assert_eq!((answer.status, answer.body.clone()), (0, [answer.text().as_bytes(), refused].concat()));
        assert_eq!(esme.messages().len(), 1);

        esme.say(&request);
        esme.session().fail_call(CallFailure::Down);
        esme.session().fail_call(CallFailure::Down);
        assert_eq!(esme.heard()[0].status, 0x45, "ESME_RSUBMITFAIL");
    });
}

#[test]
fn what_was_submitted_and_cannot_be_written_down_is_a_temporary_error() {
    every_way(&handing_over(), |esme| {
        esme.bind(TRANSMITTER);
        esme.say(&submit(2, "hi", 0));
        assert_eq!(esme.heard(), []);
        esme.session().fail_store(Some(tandem_component::StoreFailure::Unavailable));
        esme.session().reply(&taken("m1"));
        assert_eq!(esme.heard()[0].status, RSYSERR);
        esme.session().fail_store(None);
        assert_eq!(esme.messages(), []);
    });
}

#[test]
fn what_waits_for_the_smsc_has_a_bound_beside_the_window() {
    let destinations: Vec<u8> = (0..254).flat_map(|n| format!("\x01\x01\x01{n}\0").into_bytes()).collect();
    let body = [b"\0\x01\x01100\0\xfe", &destinations[..], b"\0\0\0\0\0\0\0\0\0\x02hi"].concat();
    for seed in [0, 1] {
        let mut esme = Esme::connect(&handing_over(), seed, true, false);
        esme.bind(TRANSMITTER);
        for n in 2..5 {
            esme.say(&pdu(SUBMIT_MULTI, n, &body));
        }
        assert_eq!(esme.heard(), []);
        assert_eq!(esme.ask(&pdu(SUBMIT_MULTI, 5, &body)).status, RTHROTTLED);
        for _ in 0..254 {
            esme.session().reply(&taken("m1"));
        }
        let answer = esme.heard().remove(0);
        assert_eq!((answer.status, answer.sequence), (0, 2));
        esme.say(&pdu(SUBMIT_MULTI, 6, &body));
        assert_eq!(esme.heard(), []);
    }
}
