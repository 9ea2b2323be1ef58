//! How a session binds to the SMSC that it has connected to, and how that bind ends.

use serde_json::json;

use crate::support::*;

#[test]
fn each_kind_of_bind_says_who_we_are() {
    for (word, command) in [("transmitter", TRANSMITTER), ("receiver", RECEIVER), ("transceiver", TRANSCEIVER)] {
        let mut config = connector();
        config["bind"] = json!(word);
        config["system_type"] = json!("VMS");
        config["address_range"] = json!({ "ton": 1, "npi": 2, "range": "^49" });
        every_way_out(&config, |smsc| {
            let asked = smsc.heard();
            let body = b"tandem\0sesame\0VMS\0\x34\x01\x02^49\0".to_vec();
            assert_eq!(asked, [Pdu { id: command, status: 0, sequence: 1, body }]);
            assert!(!smsc.session().serving(), "not before the SMSC has taken it");
            smsc.say(&answer(command | RESP, 0, 1, b"smsc\0"));
            assert_eq!(smsc.session().serving(), word != "receiver");
            assert_eq!(smsc.session().records().len(), 1);
        });
    }
}

#[test]
fn a_bind_that_is_refused_closes_the_connection_and_is_recorded() {
    for status in [RBINDFAIL, RINVPASWD, RINVSYSID, RALYBND] {
        every_way_out(&connector(), |smsc| {
            smsc.say(&answer(TRANSCEIVER | RESP, status, 1, b""));
            assert!(smsc.is_closed() && !smsc.session().serving());
            let record = smsc.session().records().remove(0);
            let record: serde_json::Value = rmp_serde::from_slice(&record).unwrap();
            let said = [&record["event"], &record["asked_by"], &record["status"], &record["outcome"]];
            assert_eq!(said, [&json!("bind_transceiver"), &json!("us"), &json!(status), &json!("refused")]);
        });
    }
}

#[test]
fn an_smsc_that_does_not_know_the_bind_refuses_it() {
    for status in [0, RINVCMDID] {
        every_way_out(&connector(), |smsc| {
            smsc.say(&answer(RESP, status, 1, b""));
            assert!(smsc.is_closed() && !smsc.session().serving());
        });
    }
}

#[test]
fn an_smsc_that_does_not_answer_a_bind_is_left() {
    every_way_out(&connector(), |smsc| {
        smsc.wait(SECOND * 29);
        assert!(!smsc.is_closed());
        smsc.wait(SECOND);
        assert!(smsc.is_closed());
    });
}

#[test]
fn another_response_does_not_bind() {
    every_way_out(&connector(), |smsc| {
        smsc.say(&answer(RECEIVER | RESP, 0, 1, b"smsc\0"));
        smsc.say(&answer(TRANSCEIVER | RESP, 0, 2, b"smsc\0"));
        assert!(!smsc.session().serving() && !smsc.is_closed());
        smsc.say(&answer(TRANSCEIVER | RESP, 0, 1, b"smsc\0"));
        assert!(smsc.session().serving());
    });
}

#[test]
fn both_sides_ask_whether_the_other_is_there() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let expected = Pdu { id: ENQUIRE_LINK | RESP, status: 0, sequence: 5, body: vec![] };
        assert_eq!(smsc.ask(&pdu(ENQUIRE_LINK, 5, &[])), expected);
        smsc.wait(SECOND * 60);
        assert_eq!(smsc.heard(), [Pdu { id: ENQUIRE_LINK, status: 0, sequence: 2, body: vec![] }]);
        smsc.say(&answer(ENQUIRE_LINK | RESP, 0, 2, &[]));
        smsc.wait(SECOND * 60);
        assert_eq!(smsc.heard()[0].id, ENQUIRE_LINK);
        smsc.wait(SECOND * 30);
        assert_eq!(smsc.heard()[0].id, UNBIND);
        assert!(smsc.is_closed());
    });
}

#[test]
fn an_unbind_of_the_smsc_is_answered_and_whoever_waits_is_told() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let id = smsc.request("hello");
        assert_eq!(smsc.heard().len(), 1);
        assert_eq!(smsc.ask(&pdu(UNBIND, 9, &[])), Pdu { id: UNBIND | RESP, status: 0, sequence: 9, body: vec![] });
        assert!(smsc.is_closed());
        let lost = smsc.submitted(id).unwrap();
        assert_eq!((lost.status, lost.uncertain), (RSYSERR, true));
    });
}

#[test]
fn a_drain_unbinds_and_what_the_smsc_still_answers_is_passed_on() {
    let mut config = connector();
    config["window"] = json!({ "submit": 1 });
    every_way_out(&config, |smsc| {
        smsc.welcome();
        let (sent, waits) = (smsc.request("one"), smsc.request("two"));
        assert_eq!(smsc.heard().len(), 1);
        smsc.session().drain(SECOND * 10);
        smsc.carry();
        let unbind = smsc.heard().remove(0);
        assert_eq!(unbind.id, UNBIND);
        assert!(!smsc.session().serving());
        let waited = smsc.submitted(waits).unwrap();
        assert_eq!((waited.status, waited.uncertain), (RSYSERR, false), "it was not sent");
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 2, b"m1\0"));
        assert_eq!(smsc.submitted(sent).unwrap().message_id, "m1");
        let late = smsc.request("three");
        assert_eq!(smsc.submitted(late).unwrap().status, RSYSERR);
        smsc.say(&answer(UNBIND | RESP, 0, unbind.sequence, &[]));
        assert!(smsc.is_closed());
    });
}

#[test]
fn whatever_an_esme_asks_an_esme_is_refused() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        assert_eq!(smsc.ask(&submit(5, "hi", 0)).status, RINVBNDSTS);
        assert_eq!(smsc.ask(&bind(TRANSCEIVER, 6, "acme", "secret")).status, RALYBND);
        assert_eq!(smsc.ask(&pdu(0x0fff, 7, b"")), Pdu { id: RESP, status: RINVCMDID, sequence: 7, body: vec![] });
        assert!(smsc.session().serving());
    });
}
