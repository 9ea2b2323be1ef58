//! Whether the other side is still there.

use serde_json::json;

use crate::support::*;

#[test]
fn an_enquiry_is_answered_bound_or_not() {
    every_way(&config(), |esme| {
        let expected = Pdu { id: ENQUIRE_LINK | RESP, status: 0, sequence: 5, body: vec![] };
        assert_eq!(esme.ask(&pdu(ENQUIRE_LINK, 5, &[])), expected);
        esme.bind(RECEIVER);
        assert_eq!(esme.ask(&pdu(ENQUIRE_LINK, 5, &[])), expected);
    });
}

#[test]
fn a_silent_peer_is_asked_and_whoever_answers_stays() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        for _ in 0..3 {
            esme.wait(SECOND * 59);
            assert_eq!(esme.heard(), []);
            esme.wait(SECOND);
            let enquiry = esme.heard().remove(0);
            assert_eq!(enquiry.id, ENQUIRE_LINK);
            esme.say(&answer(ENQUIRE_LINK | RESP, 0, enquiry.sequence, &[]));
        }
        assert!(!esme.is_closed());
    });
}

#[test]
fn half_a_pdu_and_silence_ends_in_an_unbind() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        esme.say(&submit(2, "never whole", 0)[..20]);
        esme.wait(SECOND * 60);
        assert_eq!(esme.heard()[0].id, ENQUIRE_LINK);
        esme.wait(SECOND * 29);
        assert!(!esme.is_closed());
        esme.wait(SECOND);
        assert_eq!(esme.heard()[0].id, UNBIND);
        assert!(esme.is_closed());
    });
}

#[test]
fn whoever_only_enquires_is_unbound_where_inactivity_is_limited() {
    let mut config = config();
    config["timers"] = json!({ "inactivity": "100s" });
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        esme.wait(SECOND * 50);
        esme.ask(&pdu(ENQUIRE_LINK, 2, &[]));
        esme.wait(SECOND * 49);
        assert_eq!(esme.heard(), []);
        esme.wait(SECOND);
        assert_eq!(esme.heard()[0].id, UNBIND);
    });
}
