//! What another service asks to be submitted.

use serde_json::json;
use tandem_sms::{Asked, Deliver, Delivered, Sms, Submit};

use crate::support::*;

#[test]
fn a_message_is_submitted_as_it_is_and_its_id_answered() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        // user_message_reference, one of segmentation, and one that nobody knows; a user data header in the text.
        let tlvs = b"\x02\x04\0\x02\0\x07\x02\x0c\0\x02\0\x01\x14\x00\0\x03abc".to_vec();
        let asked = Sms {
            service_type: "CMT".into(),
            esm_class: 0x40,
            protocol_id: 1,
            priority: 2,
            schedule: "000002000000000R".into(),
            validity: "260102000000000+".into(),
            registered_delivery: 0x11,
            replace_if_present: 1,
            data_coding: 8,
            short_message: b"\x05\0\x03\x07\x02\x01\0\xff".to_vec(),
            tlvs: tlvs.clone(),
            ..sms("")
        };
        let asked = Submit { id: "x".into(), account: "acme".into(), sms: asked, ..Submit::default() };
        let id = smsc.session().request("esme", &Asked::Submit(asked));
        smsc.carry();
        let head = b"CMT\0\x01\x01100\0\x02\x01200\0\x40\x01\x02000002000000000R\x00260102000000000+\0\x11\x01\x08\0";
        let body = [&head[..], b"\x08\x05\0\x03\x07\x02\x01\0\xff", &tlvs].concat();
        assert_eq!(smsc.heard(), [Pdu { id: SUBMIT_SM, status: 0, sequence: 2, body }]);
        assert_eq!(smsc.submitted(id), None);
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 2, b"msg-1\0"));
        let submitted = smsc.submitted(id).unwrap();
        assert_eq!((submitted.status, submitted.message_id.as_str()), (0, "msg-1"));
    });
}

#[test]
fn what_the_smsc_refuses_is_answered_as_it_says() {
    for status in [RTHROTTLED, RMSGQFUL, RINVDSTADR, RSYSERR] {
        every_way_out(&connector(), |smsc| {
            smsc.welcome();
            let id = smsc.request("hello");
            assert_eq!(smsc.heard().len(), 1);
            smsc.say(&answer(SUBMIT_SM | RESP, status, 2, b""));
            assert_eq!(smsc.submitted(id).map(|it| it.status), Some(status), "{:?}", smsc.heard());
        });
    }
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let (one, two) = (smsc.request("hello"), smsc.request("hello"));
        assert_eq!(smsc.heard().len(), 2);
        smsc.say(&answer(RESP, RINVCMDID, 2, b""));
        smsc.say(&answer(RESP, 0, 3, b""));
        assert_eq!(smsc.submitted(one).unwrap().status, RINVCMDID);
        assert_eq!(smsc.submitted(two).unwrap().status, RSYSERR, "a generic_nack is no success");
    });
}

#[test]
fn the_window_is_kept_the_queue_is_bounded_and_the_rest_is_told() {
    let mut config = connector();
    config["window"] = json!({ "submit": 3 });
    config["queue"] = json!(2);
    every_way_out(&config, |smsc| {
        smsc.welcome();
        let ids: Vec<_> = (0..6).map(|n| smsc.request(&format!("number {n}"))).collect();
        let sent = smsc.heard();
        assert_eq!(sent.iter().map(|pdu| pdu.sequence).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(smsc.submitted(ids[5]).unwrap().status, RMSGQFUL);
        // The second answer comes first.
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 3, b"b\0"));
        let sent = smsc.heard();
        assert_eq!(sent.len(), 1);
        assert!(sent[0].sequence == 5 && sent[0].body.ends_with(b"number 3"));
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 2, b"a\0"));
        assert_eq!(
            (smsc.submitted(ids[1]).unwrap().message_id, smsc.submitted(ids[0]).unwrap().message_id),
            ("b".into(), "a".into())
        );
        for sequence in 4..7 {
            smsc.say(&answer(SUBMIT_SM | RESP, 0, sequence, b"c\0"));
        }
        assert!([2, 3, 4].iter().all(|n| smsc.submitted(ids[*n]).unwrap().status == 0));
    });
}

#[test]
fn who_no_longer_waits_is_not_submitted_for() {
    let mut config = connector();
    config["window"] = json!({ "submit": 1 });
    every_way_out(&config, |smsc| {
        smsc.welcome();
        let (sent, gone, next) = (smsc.request("one"), smsc.request("two"), smsc.request("three"));
        smsc.session().withdraw(gone);
        smsc.session().withdraw(sent);
        smsc.carry();
        assert_eq!(smsc.heard().len(), 1, "it is on its way, and takes its place in the window");
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 2, b"a\0"));
        let heard = smsc.heard();
        assert!(heard.len() == 1 && heard[0].body.ends_with(b"three"), "{heard:?}");
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 3, b"b\0"));
        assert_eq!((smsc.submitted(sent), smsc.submitted(gone)), (None, None));
        assert_eq!(smsc.submitted(next).unwrap().message_id, "b");
    });
}

#[test]
fn a_response_that_does_not_come_is_a_temporary_failure_and_the_bind_goes_on() {
    let mut config = connector();
    config["window"] = json!({ "submit": 1 });
    every_way_out(&config, |smsc| {
        smsc.welcome();
        let one = smsc.request("one");
        assert_eq!(smsc.heard().len(), 1);
        smsc.wait(SECOND * 10);
        let two = smsc.request("two");
        assert_eq!(smsc.heard(), []);
        smsc.wait(SECOND * 20);
        // It may be there all the same.
        let lost = smsc.submitted(one).unwrap();
        assert_eq!((lost.status, lost.uncertain), (RSYSERR, true));
        assert_eq!(smsc.heard()[0].sequence, 3, "there is room for the next");
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 2, b"too late\0"));
        assert_eq!(smsc.submitted(two), None);
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 3, b"b\0"));
        assert_eq!(smsc.submitted(two).unwrap().message_id, "b");
        assert!(!smsc.is_closed());
    });
}

#[test]
fn what_cannot_be_a_pdu_does_not_leave_us() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let bad = [
            (Sms { short_message: vec![b'x'; 300], ..sms("") }, 1),
            (Sms { tlvs: [&b"\x04\x24\x40\0"[..], &[b'x'; 0x4000]].concat(), ..sms("") }, 1),
            (Sms { tlvs: b"\x02\x04\0\x09no".to_vec(), ..sms("") }, RINVTLVSTREAM),
            (Sms { service_type: "longer than five".into(), ..sms("") }, RINVCMDLEN),
            (Sms { validity: "tomorrow".into(), ..sms("") }, RINVCMDLEN),
        ];
        for (sms, status) in bad {
            let id = smsc.session().request("esme", &Asked::Submit(Submit { sms, ..Submit::default() }));
            assert_eq!(smsc.submitted(id).map(|it| it.status), Some(status), "{:?}", smsc.heard());
        }
        let id = smsc.session().request("esme", &"nonsense");
        assert_eq!(smsc.submitted(id).unwrap().status, RINVCMDID);
        let id = smsc.session().request("esme", &Asked::Deliver(Deliver::default()));
        assert_eq!(smsc.session().response::<Delivered>(id).unwrap().status, RINVCMDID);
        assert_eq!(smsc.heard(), []);
    });
}

#[test]
fn what_a_later_version_has_added_is_passed_over() {
    every_way_out(&connector(), |smsc| {
        smsc.welcome();
        let asked =
            json!({ "submit": { "id": "x", "tariff": 7, "sms": { "destination": { "digits": "7", "shard": 1 } } } });
        let id = smsc.session().request("esme", &asked);
        assert!(smsc.heard()[0].body.starts_with(b"\0\0\0\0\0\x007\0"));
        smsc.say(&answer(SUBMIT_SM | RESP, 0, 2, b"a\0"));
        assert_eq!(smsc.submitted(id).unwrap().message_id, "a");
    });
}
