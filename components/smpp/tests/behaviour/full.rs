//! How much is kept for an account.

use serde_json::json;

use crate::support::*;

#[test]
fn whoever_does_not_take_its_receipts_can_ask_for_no_more() {
    let mut config = config();
    config["accounts"]["acme"]["queue"] = json!(3);
    every_way(&config, |esme| {
        esme.bind(TRANSCEIVER);
        for n in 2..5 {
            assert_eq!(esme.ask(&submit(n, "hi", 1)).status, 0);
        }
        assert_eq!(esme.ask(&submit(5, "hi", 1)).status, RMSGQFUL);
        assert_eq!(esme.ask(&submit(6, "no receipt", 0)).status, 0);
        esme.wait(SECOND);
        let receipts = esme.heard();
        assert_eq!(receipts.len(), 3);
        assert_eq!(esme.ask(&submit(7, "hi", 1)).status, RMSGQFUL);
        esme.say(&answer(DELIVER_SM | RESP, 0, receipts[0].sequence, b"\0"));
        assert_eq!(esme.ask(&submit(8, "hi", 1)).status, 0);
        assert_eq!(esme.ask(&submit(9, "hi", 1)).status, RMSGQFUL);
    });
}

#[test]
fn a_session_that_begins_knows_what_is_kept() {
    let mut config = config();
    config["accounts"]["acme"]["queue"] = json!(1);
    for seed in 0..20 {
        println!("seed {seed}");
        let mut esme = Esme::connect(&config, seed, false, false);
        esme.bind(TRANSMITTER);
        assert_eq!(esme.ask(&submit(2, "hi", 1)).status, 0);
        let session = esme.into_session().renew::<tandem_smpp::Smpp>(&config).unwrap();
        let mut esme = Esme::of(session, &config);
        esme.bind(TRANSMITTER);
        assert_eq!(esme.ask(&submit(2, "hi", 1)).status, RMSGQFUL);
    }
}

#[test]
fn messages_that_are_not_due_hide_no_receipt_behind_them() {
    for seed in [0, 1] {
        let mut esme = Esme::connect(&config(), seed, false, false);
        esme.bind(TRANSCEIVER);
        let mut later = b"\0\x01\x01100\0\x02\x01200\0\0\0\0".to_vec();
        later.extend(b"000001000000000R\0\0\x01\0\0\0\x02hi");
        for n in 0..450 {
            esme.ask(&pdu(SUBMIT_SM, n, &later));
        }
        // Its row comes behind theirs, since it is a second younger.
        esme.wait(SECOND * 2);
        esme.heard();
        esme.ask(&submit(999, "now", 1));
        esme.wait(SECOND);
        let receipt = esme.heard().remove(0);
        assert!(String::from_utf8_lossy(&receipt.body).ends_with("\u{4}'\0\u{1}\u{2}"));
    }
}
