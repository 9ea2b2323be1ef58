//! What an SMSC sends to a session that has bound to it.

use serde_json::json;
use tandem_component::CallFailure;
use tandem_sms::State;
use tandem_sms::{Asked, Delivered, Report};

use crate::support::*;

#[test]
fn a_message_is_acknowledged_once_the_service_has_it() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        smsc.say(&deliver(7, 0x40, "\x05\0\x03\x07\x02\x01hi", b"\x14\0\0\x03abc"));
        assert_eq!(smsc.heard(), []);
        let call = smsc.session().calling().unwrap();
        assert_eq!(call.service, "esme");
        let Asked::Deliver(asked) = call.read() else { panic!("{call:?}") };
        assert_eq!((asked.sms.source.digits.as_str(), asked.sms.destination.digits.as_str()), ("200", "100"));
        assert_eq!((asked.sms.short_message, asked.sms.esm_class), (b"\x05\0\x03\x07\x02\x01hi".to_vec(), 0x40));
        assert_eq!((asked.sms.tlvs, asked.receipt), (b"\x14\0\0\x03abc".to_vec(), None));
        smsc.session().reply(&Delivered { status: 0 });
        smsc.carry();
        assert_eq!(smsc.heard(), [Pdu { id: DELIVER_SM | RESP, status: 0, sequence: 7, body: vec![0] }]);
    });
}

#[test]
fn a_receipt_says_what_it_is_of() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        smsc.say(&deliver(7, 4, "id:m1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:hi", &[]));
        let Asked::Deliver(asked) = smsc.session().calling().unwrap().read() else { panic!() };
        let report =
            Report { message_id: "m1".into(), state: State::Delivered, error: "000".into(), intermediate: false };
        assert_eq!(asked.receipt, Some(report));
    });
}

#[test]
fn what_the_service_does_not_take_is_left_with_the_smsc() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let expected = |status, sequence| [Pdu { id: DELIVER_SM | RESP, status, sequence, body: vec![0] }];
        smsc.say(&deliver(7, 0, "hi", &[]));
        smsc.session().reply(&Delivered { status: RMSGQFUL });
        assert_eq!(smsc.heard(), expected(RMSGQFUL, 7));
        smsc.say(&deliver(8, 0, "hi", &[]));
        smsc.session().fail_call(CallFailure::Down);
        assert_eq!(smsc.heard(), expected(RX_T_APPN, 8));
        smsc.say(&deliver(9, 0, "hi", &[]));
        smsc.wait(SECOND * 15);
        assert_eq!(smsc.heard(), expected(RX_T_APPN, 9));
        smsc.say(&deliver(10, 0, "hi", &[]));
        smsc.session().reply(&7);
        assert_eq!(smsc.heard(), expected(RX_T_APPN, 10));
    });
}

#[test]
fn however_short_the_response_timer_a_receipt_of_no_message_is_waited_for() {
    let mut config = connector();
    config["timers"] = json!({ "response": "100ms" });
    every_way_out(&config, |smsc| {
        smsc.welcome();
        smsc.say(&deliver(7, 4, "id:m1 stat:DELIVRD", &[]));
        smsc.wait(SECOND * 2);
        assert_eq!(smsc.heard(), []);
        smsc.session().reply(&Delivered { status: RX_P_APPN });
        assert_eq!(smsc.heard()[0].status, RX_P_APPN);
    });
}

#[test]
fn where_no_service_is_named_it_is_recorded_and_acknowledged() {
    let mut config = connector();
    config["deliver_to"] = json!(null);
    every_way_out(&config, |smsc| {
        smsc.welcome();
        smsc.session().records();
        assert_eq!(smsc.ask(&deliver(7, 4, "id:m1 stat:UNDELIV", &[])).status, 0);
        assert_eq!(smsc.ask(&deliver(8, 0, "hello", &[])).status, 0);
        let records = smsc.session().records();
        let records: Vec<serde_json::Value> = records.iter().map(|it| rmp_serde::from_slice(it).unwrap()).collect();
        let of = |bytes: u32, id: &str, state: &str| {
            json!({ "account": "", "outcome": "done", "duration_us": 0, "bytes_in": bytes, "bytes_out": 17,
                "event": "deliver_sm", "asked_by": "peer", "status": 0,
                "source": "200", "destination": "100", "message_id": id, "state": state })
        };
        assert_eq!(records, [of(57, "m1", "UNDELIV"), of(44, "", "")]);
    });
}

#[test]
fn data_is_a_message_as_well_and_an_alert_has_no_response() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let tlvs = b"\x04\x24\0\x05hello";
        smsc.say(&pdu(DATA_SM, 2, &[&b"\0\x01\x01100\0\x02\x01200\0\0\0\0"[..], tlvs].concat()));
        let Asked::Deliver(asked) = smsc.session().calling().unwrap().read() else { panic!() };
        assert_eq!(asked.sms.tlvs, tlvs);
        smsc.session().reply(&Delivered { status: 0 });
        assert_eq!(smsc.heard(), [Pdu { id: DATA_SM | RESP, status: 0, sequence: 2, body: vec![0] }]);
        smsc.say(&pdu(0x102, 3, b"\x01\x01100\0\x01\x01200\0"));
        assert_eq!(smsc.heard(), []);
    });
}

#[test]
fn what_is_beyond_the_window_is_throttled_and_what_is_no_body_refused() {
    let mut config = connector();
    config["window"] = json!({ "deliver": 2 });
    every_way_out(&config, |smsc| {
        smsc.welcome();
        smsc.say(&deliver(7, 0, "one", &[]));
        smsc.say(&deliver(8, 0, "two", &[]));
        assert_eq!(smsc.ask(&deliver(9, 0, "three", &[])).status, RTHROTTLED);
        smsc.session().reply(&Delivered { status: 0 });
        assert_eq!(smsc.heard()[0].sequence, 7);
        let refused = Pdu { id: DELIVER_SM | RESP, status: RINVCMDLEN, sequence: 10, body: vec![0] };
        assert_eq!(smsc.ask(&pdu(DELIVER_SM, 10, b"no body")), refused);
    });
}

#[test]
fn a_transmitter_is_sent_nothing() {
    let mut config = connector();
    config["bind"] = json!("transmitter");
    every_way_out(&config, |smsc| {
        smsc.welcome();
        assert_eq!(smsc.ask(&deliver(7, 0, "hi", &[])).status, RINVBNDSTS);
    });
}

#[test]
fn an_unbind_waits_for_what_came_before() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        smsc.say(&[deliver(7, 0, "hi", &[]), pdu(UNBIND, 8, &[])].concat());
        assert_eq!(smsc.heard(), []);
        smsc.session().reply(&Delivered { status: 0 });
        let order: Vec<u32> = smsc.heard().iter().map(|pdu| pdu.sequence).collect();
        assert_eq!(order, [7, 8]);
        assert!(smsc.is_closed());
    });
}
