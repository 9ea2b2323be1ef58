//! submit_sm, submit_multi, data_sm: written down, then answered.

use crate::support::*;

#[test]
fn a_message_is_in_the_store_when_it_is_answered() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        // user_message_reference, and a TLV that nobody knows.
        let tlvs = b"\x02\x04\0\x02\0\x07\x14\x00\0\x03abc";
        let answer = esme.ask(&submit_to("200", 2, "hello", 1, tlvs));
        assert_eq!((answer.id, answer.status, answer.sequence), (SUBMIT_SM | RESP, 0, 2));
        let message = esme.messages().remove(0);
        assert_eq!((message.message_id, message.id, message.system_id), (answer.text(), answer.text(), "acme".into()));
        assert_eq!((message.source_ton, message.source_npi, message.source.as_str()), (1, 1, "100"));
        assert_eq!((message.destination_ton, message.destination_npi, message.destination.as_str()), (2, 1, "200"));
        assert_eq!((message.short_message, message.tlvs), (b"hello".to_vec(), tlvs.to_vec()));
    });
}

#[test]
fn a_message_without_a_receipt_can_be_forgotten() {
    let mut config = config();
    config["messages"] = serde_json::json!("receipts");
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        let id = esme.ask(&submit(2, "hello", 0)).text();
        assert_eq!(esme.messages(), []);
        assert_eq!(esme.ask(&query(3, &id, "100")).status, RINVMSGID);
        assert_eq!(esme.ask(&submit(4, "hello", 1)).status, 0);
        assert_eq!(esme.messages().len(), 1);
    });
}

#[test]
fn what_cannot_be_is_refused() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        assert_eq!(esme.ask(&submit_to("", 2, "hi", 0, &[])).status, RINVDSTADR);
        assert_eq!(esme.ask(&submit(3, "hi", 3)).status, 7, "ESME_RINVREGDLVFLG");
        let flagged = b"\0\0\x00100\0\0\x00200\0\0\0\0\0\0\0\x02\0\0\0".to_vec();
        assert_eq!(esme.ask(&pdu(SUBMIT_SM, 3, &flagged)).status, 0x54, "ESME_RINVREPFLAG");
        let fields = |priority: u8, schedule: &str, validity: &str| {
            let head = b"\0\0\x00100\0\0\x00200\0\0\0".to_vec();
            let rest = format!("{schedule}\0{validity}\0\0\0\0\0\0");
            pdu(SUBMIT_SM, 4, &[head, vec![priority], rest.into_bytes()].concat())
        };
        assert_eq!(esme.ask(&fields(4, "", "")).status, 6, "ESME_RINVPRTFLG");
        assert_eq!(esme.ask(&fields(0, "aaaabbccddeeffgg", "")).status, 0x61, "ESME_RINVSCHED");
        assert_eq!(esme.ask(&fields(0, "261301000000000+", "")).status, 0x61, "no such month");
        assert_eq!(esme.ask(&fields(0, "", "aaaabbccddeeffgg")).status, 0x62, "ESME_RINVEXPIRY");
        assert_eq!(esme.ask(&fields(0, "", "250101000000000+")).status, 0x62, "over already");
        assert_eq!(esme.ask(&fields(0, "000003000000000R", "000002000000000R")).status, 0x62, "over before it begins");
        let cut = submit_to("200", 5, "hi", 0, b"\x02\x04\0\x09no");
        assert_eq!(esme.ask(&cut).status, RINVTLVSTREAM);
        assert_eq!(esme.messages().len(), 0);
        assert_eq!(esme.ask(&fields(3, "000002000000000R", "260104000000000+")).status, 0);
    });
}

#[test]
fn data_is_a_message_as_well() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let tlvs = b"\x04\x24\0\x05hello";
        let body = [&b"\0\x01\x01100\0\x02\x01200\0\0\0\0"[..], tlvs].concat();
        let answer = esme.ask(&pdu(DATA_SM, 2, &body));
        assert_eq!((answer.id, answer.status), (DATA_SM | RESP, 0));
        assert_eq!(esme.messages()[0].tlvs, tlvs);
    });
}

#[test]
fn a_message_to_many_is_a_row_for_each() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let head = b"\0\x01\x01100\0\x04\x01\0\x00200\0\x01\x01\x01201\0\x02list\0\x01\0\0\0".to_vec();
        let body = [head, b"\0\0\0\0\0\0\0\0\0\x02hi".to_vec()].concat();
        let answer = esme.ask(&pdu(SUBMIT_MULTI, 2, &body));
        assert_eq!((answer.id, answer.status), (SUBMIT_MULTI | RESP, 0));
        let id = answer.text();
        // Two are refused: a distribution list, and an address that is empty.
        let refused = b"\0\x02\0\0list\0\0\0\0\x34\0\0\0\0\0\0\x0b";
        assert_eq!(answer.body, [id.as_bytes(), refused].concat());
        let messages: Vec<_> = esme.messages().into_iter().map(|it| (it.id, it.message_id, it.destination)).collect();
        let expected = [(id.clone(), id.clone(), "200".into()), (format!("{id}.1"), id.clone(), "201".into())];
        assert_eq!(messages, expected);
    });
}

#[test]
fn a_message_to_nobody_is_refused() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let body = b"\0\x01\x01100\0\0\0\0\0\0\0\0\0\0\0\x02hi";
        assert_eq!(esme.ask(&pdu(SUBMIT_MULTI, 2, body)).status, 0x33, "ESME_RINVNUMDESTS");
    });
}
