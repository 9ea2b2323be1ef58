//! Who may bind, as what, and how often.

use crate::support::*;

#[test]
fn each_kind_of_bind_is_answered_in_its_kind() {
    every_way(&config(), |esme| esme.bind(TRANSMITTER));
    every_way(&config(), |esme| esme.bind(RECEIVER));
    every_way(&config(), |esme| {
        let answer = esme.ask(&bind(TRANSCEIVER, 7, "acme", "secret"));
        // The gateway's name, then sc_interface_version.
        assert_eq!(
            answer,
            Pdu { id: TRANSCEIVER | RESP, status: 0, sequence: 7, body: b"tandem\0\x02\x10\0\x01\x34".to_vec() }
        );
    });
}

#[test]
fn whoever_is_unknown_or_has_a_wrong_password_is_refused_and_sent_away() {
    for (system_id, password, status) in
        [("acme", "wrong", RINVPASWD), ("acme", "", RINVPASWD), ("nobody", "secret", RINVSYSID), ("", "", RINVSYSID)]
    {
        every_way(&config(), |esme| {
            let answer = esme.ask(&bind(TRANSCEIVER, 3, system_id, password));
            assert_eq!(answer, Pdu { id: TRANSCEIVER | RESP, status, sequence: 3, body: vec![] });
            assert!(esme.is_closed());
        });
    }
}

#[test]
fn a_second_bind_on_a_connection_is_refused_and_the_first_goes_on() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        assert_eq!(esme.ask(&bind(RECEIVER, 2, "acme", "secret")).status, RALYBND);
        assert_eq!(esme.ask(&submit(3, "hi", 0)).status, 0);
    });
}

#[test]
fn what_needs_a_bind_is_refused_without_one() {
    every_way(&config(), |esme| {
        for (n, request) in [submit(1, "hi", 0), query(1, "x", "100"), pdu(UNBIND, 1, &[])].iter().enumerate() {
            assert_eq!(esme.ask(request).status, RINVBNDSTS, "{n}");
        }
        esme.bind(RECEIVER);
        assert_eq!(
            esme.ask(&submit(2, "hi", 0)),
            Pdu { id: SUBMIT_SM | RESP, status: RINVBNDSTS, sequence: 2, body: vec![] }
        );
    });
}

#[test]
fn a_bind_with_a_bad_body_is_refused() {
    every_way(&config(), |esme| {
        assert_eq!(esme.ask(&pdu(TRANSMITTER, 1, b"acme")).status, RINVCMDLEN);
        assert!(esme.is_closed());
    });
}

#[test]
fn whoever_does_not_bind_is_sent_away() {
    every_way(&config(), |esme| {
        esme.say(&bind(TRANSMITTER, 1, "acme", "secret")[..20]);
        esme.wait(SECOND * 29);
        assert!(!esme.is_closed());
        esme.wait(SECOND);
        assert!(esme.is_closed());
    });
}
