//! Delivery receipts: what they say, that each is sent once, and again where nobody has acknowledged it.

use serde_json::json;
use tandem_smpp::Smpp;

use crate::support::*;

#[test]
fn a_receipt_says_what_has_become_of_the_message() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        let id = esme.ask(&submit(2, "hello", 1)).text();
        esme.wait(SECOND / 2);
        assert_eq!(esme.heard(), []);
        esme.wait(SECOND / 2);
        let receipt = esme.heard().remove(0);
        assert_eq!((receipt.id, receipt.status), (DELIVER_SM, 0));
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2601011200 done date:2601011200 stat:DELIVRD err:000 text:hello"
        );
        let length = u8::try_from(text.len()).unwrap();
        let expected = [
            &b"\0\x02\x01200\0\x01\x01100\0\x04\0\0\0\0\0\0\0\0"[..],
            &[length],
            text.as_bytes(),
            &[0, 0x1e, 0, u8::try_from(id.len() + 1).unwrap()],
            id.as_bytes(),
            &[0, 4, 0x27, 0, 1, 2],
        ]
        .concat();
        // The last TLV is 0x0427, message_state; the byte before ends the message's name.
        assert_eq!(receipt.body, expected);
        esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
        assert_eq!(esme.heard(), []);
        let message = esme.messages().remove(0);
        assert!(message.receipt_for.is_none() && message.receipt_sent.is_some());
        esme.wait(SECOND * 20);
        assert_eq!(esme.heard(), [], "once");
    });
}

#[test]
fn nobody_gets_a_receipt_who_has_not_asked_for_it() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.ask(&submit(2, "hello", 0));
        esme.ask(&submit(3, "only of failure", 2));
        esme.wait(SECOND * 20);
        assert_eq!(esme.heard(), []);
    });
    let mut fails = config();
    fails["smsc"] = json!({ "receipt_after": "1s", "state": "UNDELIV" });
    every_way(&fails, |esme| {
        esme.bind(TRANSCEIVER);
        esme.ask(&submit(3, "only of failure", 2));
        esme.wait(SECOND * 20);
        let receipt = esme.heard().remove(0);
        assert!(String::from_utf8_lossy(&receipt.body).contains("dlvrd:000"), "{receipt:?}");
        assert!(String::from_utf8_lossy(&receipt.body).contains("stat:UNDELIV"), "{receipt:?}");
    });
}

#[test]
fn a_transmitter_gets_none() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        esme.ask(&submit(2, "hello", 1));
        esme.wait(SECOND * 20);
        assert_eq!(esme.heard(), []);
        assert_eq!(esme.messages()[0].receipt_for.as_deref(), Some("acme"));
    });
}

#[test]
fn a_receipt_that_is_refused_for_now_is_sent_again() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.ask(&submit(2, "hello", 1));
        esme.wait(SECOND);
        let first = esme.heard().remove(0);
        esme.say(&answer(DELIVER_SM | RESP, RTHROTTLED, first.sequence, b"\0"));
        let mut again = Vec::new();
        for _ in 0..70 {
            esme.wait(SECOND);
            again.extend(esme.heard().into_iter().filter(|pdu| pdu.id == DELIVER_SM));
            esme.ask(&pdu(ENQUIRE_LINK, 9, &[]));
        }
        // Nobody has answered that one, so it stays the only one.
        assert_eq!(again.iter().map(|pdu| &pdu.body).collect::<Vec<_>>(), [&first.body]);
    });
}

#[test]
fn a_receipt_that_nobody_answers_ends_the_bind_and_is_free_for_the_next() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.ask(&submit(2, "hello", 1));
        esme.wait(SECOND);
        assert_eq!(esme.heard().len(), 1);
        assert!(esme.messages()[0].claimed_until > 0);
        esme.wait(SECOND * 30);
        assert_eq!(esme.heard().last().unwrap().id, UNBIND);
        assert!(esme.is_closed());
        let message = esme.messages().remove(0);
        assert_eq!((message.claimed_until, message.receipt_for.as_deref()), (0, Some("acme")));
    });
}

#[test]
fn receipts_wait_in_the_store_until_a_receiver_binds() {
    // A harness has one session: another one on the same store is the same, renewed.
    for seed in 0..20 {
        println!("seed {seed}");
        let mut esme = Esme::connect(&config(), seed, false, false);
        esme.bind(TRANSMITTER);
        let ids: Vec<String> = (2..27).map(|n| esme.ask(&submit(n, "hello", 1)).text()).collect();
        let session = esme.into_session().renew::<Smpp>(&config()).unwrap();
        let mut esme = Esme::of(session, &config());
        esme.wait(SECOND * 2);
        esme.bind_later(RECEIVER);
        let mut receipts = Vec::new();
        loop {
            let mut heard = esme.heard();
            heard.retain(|pdu| pdu.id == DELIVER_SM);
            if heard.is_empty() {
                break;
            }
            assert!(heard.len() <= 10, "the window is 10");
            for receipt in heard {
                receipts.push(String::from_utf8_lossy(&receipt.body).into_owned());
                esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
            }
        }
        assert_eq!(receipts.len(), ids.len());
        for id in &ids {
            assert_eq!(receipts.iter().filter(|text| text.contains(&format!("id:{id} "))).count(), 1);
        }
        esme.wait(SECOND * 10);
        assert_eq!(esme.heard(), []);
    }
}

/// From 100 to 200, with these times.
fn timed(sequence: u32, schedule: &str, validity: &str, tlvs: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01\x01100\0\x02\x01200\0\0\0\0".to_vec();
    body.extend(format!("{schedule}\0{validity}\0\x01\0\0\0\x02hi").bytes());
    body.extend(tlvs);
    pdu(SUBMIT_SM, sequence, &body)
}

#[test]
fn a_message_is_delivered_when_it_is_scheduled_and_expires_when_it_is_no_longer_valid() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        for (schedule, validity, tlvs, state, seconds) in [
            ("000000000010000R", "", &b""[..], "DELIVRD", 11),
            ("000000000010000R", "000000000020000R", b"", "DELIVRD", 11),
            ("000000000010000R", "000000000010000R", b"\0\x17\0\x04\0\0\0\x0b", "DELIVRD", 11),
        ] {
            assert_eq!(esme.ask(&timed(2, schedule, validity, tlvs)).status, 0);
            for _ in 0..seconds - 1 {
                esme.wait(SECOND);
            }
            assert_eq!(esme.heard(), []);
            esme.wait(SECOND * 2);
            let receipt = esme.heard().remove(0);
            assert!(String::from_utf8_lossy(&receipt.body).contains(&format!("stat:{state}")));
            esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
        }
    });
}

#[test]
fn what_cannot_be_delivered_in_time_expires() {
    let mut slow = config();
    slow["smsc"] = json!({ "receipt_after": "1h", "state": "DELIVRD" });
    every_way(&slow, |esme| {
        esme.bind(TRANSCEIVER);
        esme.ask(&timed(2, "", "000000000010000R", b""));
        // qos_time_to_live: 20 seconds.
        esme.ask(&timed(3, "", "000000000010000R", b"\0\x17\0\x04\0\0\0\x14"));
        for _ in 0..2 {
            esme.wait(SECOND * 9);
            assert_eq!(esme.heard(), []);
            esme.wait(SECOND);
            let receipt = esme.heard().remove(0);
            assert!(String::from_utf8_lossy(&receipt.body).contains("dlvrd:000"));
            assert!(String::from_utf8_lossy(&receipt.body).contains("stat:EXPIRED"));
            esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
        }
    });
}
