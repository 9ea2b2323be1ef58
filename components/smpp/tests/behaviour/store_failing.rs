//! Nothing can be stored: the temporary error, and on it goes once it can.

use tandem_component::StoreFailure;

use crate::support::*;

#[test]
fn a_submission_is_refused_for_now_and_the_next_is_taken() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.session().fail_store(Some(StoreFailure::Unavailable));
        for n in 2..6 {
            assert_eq!(
                esme.ask(&submit(n, "hi", 1)),
                Pdu { id: SUBMIT_SM | RESP, status: RSYSERR, sequence: n, body: vec![] }
            );
        }
        assert_eq!(esme.ask(&query(6, "x", "100")).status, RSYSERR);
        assert_eq!(esme.ask(&pdu(ENQUIRE_LINK, 7, &[])).status, 0);
        esme.session().fail_store(None);
        assert_eq!(esme.ask(&submit(8, "hi", 0)).status, 0);
        assert_eq!(esme.messages().len(), 1);
    });
}

#[test]
fn a_bind_is_refused_for_now() {
    every_way(&config(), |esme| {
        esme.session().fail_store(Some(StoreFailure::Unavailable));
        assert_eq!(esme.ask(&bind(TRANSCEIVER, 1, "acme", "secret")).status, RSYSERR);
    });
}

#[test]
fn an_acknowledgement_is_written_down_later() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.ask(&submit(2, "hello", 1));
        esme.wait(SECOND);
        let receipt = esme.heard().remove(0);
        esme.session().fail_store(Some(StoreFailure::Unavailable));
        esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
        esme.wait(SECOND * 20);
        assert_eq!(esme.heard(), []);
        esme.session().fail_store(None);
        esme.wait(SECOND * 20);
        assert_eq!(esme.heard(), []);
        assert_eq!(esme.messages()[0].receipt_for, None);
    });
}
