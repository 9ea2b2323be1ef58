//! query_sm, cancel_sm, replace_sm.

use crate::support::*;

#[test]
fn a_query_says_the_state() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let id = esme.ask(&submit(2, "hello", 0)).text();
        let expected = |rest: &[u8]| [id.as_bytes(), b"\0", rest].concat();
        assert_eq!(
            esme.ask(&query(3, &id, "100")),
            Pdu { id: QUERY_SM | RESP, status: 0, sequence: 3, body: expected(b"\0\x01\0") }
        );
        esme.wait(SECOND);
        assert_eq!(esme.ask(&query(4, &id, "100")).body, expected(b"260101120001000+\0\x02\0"));
        assert_eq!(esme.ask(&query(5, &id, "101")).status, RQUERYFAIL);
        assert_eq!(esme.ask(&query(6, "none", "100")).status, RINVMSGID);
    });
}

#[test]
fn a_message_under_way_can_be_cancelled_and_its_receipt_says_so() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        let id = esme.ask(&submit(2, "hello", 1)).text();
        assert_eq!(esme.ask(&cancel(3, &id)), Pdu { id: CANCEL_SM | RESP, status: 0, sequence: 3, body: vec![] });
        assert_eq!(esme.ask(&cancel(4, &id)).status, RCANCELFAIL);
        esme.wait(SECOND);
        let receipt = esme.heard().remove(0);
        assert!(String::from_utf8_lossy(&receipt.body).contains("stat:DELETED"));
    });
}

#[test]
fn a_delivered_message_cannot_be_cancelled_or_replaced() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let id = esme.ask(&submit(2, "hello", 0)).text();
        esme.wait(SECOND);
        assert_eq!(esme.ask(&cancel(3, &id)).status, RCANCELFAIL);
        assert_eq!(esme.ask(&replace(4, &id, "other", 1)).status, RREPLACEFAIL);
        assert_eq!(esme.ask(&cancel(5, "none")).status, RINVMSGID);
    });
}

#[test]
fn all_messages_between_two_addresses_can_be_cancelled() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        for n in 2..5 {
            esme.ask(&submit(n, "hello", 0));
        }
        let other = esme.ask(&submit_to("300", 5, "hello", 0, &[])).text();
        assert_eq!(esme.ask(&cancel(6, "")).status, 0);
        assert_eq!(esme.ask(&cancel(7, "")).status, RCANCELFAIL);
        for message in esme.messages() {
            assert_eq!(message.state.word(), if message.id == other { "ENROUTE" } else { "DELETED" });
        }
    });
}

#[test]
fn a_message_under_way_can_be_replaced() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let id = esme.ask(&submit(2, "hello", 0)).text();
        assert_eq!(
            esme.ask(&replace(3, &id, "good day", 0)),
            Pdu { id: REPLACE_SM | RESP, status: 0, sequence: 3, body: vec![] }
        );
        assert_eq!(esme.messages()[0].short_message, b"good day");
    });
}

#[test]
fn what_is_replaced_owes_the_receipt_that_the_replacement_asks_for() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        let asked_later = esme.ask(&submit(2, "hello", 0)).text();
        let asked_no_more = esme.ask(&submit(3, "hello", 1)).text();
        assert_eq!(esme.ask(&replace(4, &asked_later, "good day", 1)).status, 0);
        assert_eq!(esme.ask(&replace(5, &asked_no_more, "good day", 0)).status, 0);
        assert_eq!(esme.ask(&replace(6, &asked_later, "good day", 3)).status, RINVREGDLVFLG);
        esme.wait(SECOND * 6);
        let receipts = esme.heard();
        assert_eq!(receipts.len(), 1, "{receipts:?}");
        let text = String::from_utf8_lossy(&receipts[0].body);
        assert!(text.contains(&format!("id:{asked_later} ")) && text.contains("text:good day"), "{text}");
    });
}

#[test]
fn a_replacement_says_whether_a_receipt_is_owed_and_until_when_the_message_is_valid() {
    let mut slow = config();
    slow["smsc"] = serde_json::json!({ "receipt_after": "1h", "state": "DELIVRD" });
    every_way(&slow, |esme| {
        esme.bind(TRANSCEIVER);
        let id = esme.ask(&submit(2, "hello", 0)).text();
        let with = |validity: &str, registered: u8| {
            let body = [format!("{id}\0\x01\x01100\0\0{validity}\0").into_bytes(), vec![registered, 0, 1, b'x']];
            pdu(REPLACE_SM, 3, &body.concat())
        };
        assert_eq!(esme.ask(&with("nonsense nonsen+", 1)).status, 0x62, "ESME_RINVEXPIRY");
        assert_eq!(esme.ask(&with("", 3)).status, 7, "ESME_RINVREGDLVFLG");
        assert_eq!(esme.ask(&with("000000000010000R", 1)).status, 0);
        esme.wait(SECOND * 12);
        let receipt = esme.heard().remove(0);
        assert!(String::from_utf8_lossy(&receipt.body).contains("stat:EXPIRED err:001 text:x"));
    });
}
