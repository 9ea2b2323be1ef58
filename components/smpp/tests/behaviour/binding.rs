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
fn whoever_is_unknown_or_has_a_wrong_password_is_refused_alike_and_sent_away() {
    for (system_id, password) in [("acme", "wrong"), ("acme", ""), ("nobody", "secret"), ("", "")] {
        let status = RINVPASWD;
        every_way(&config(), |esme| {
            let answer = esme.ask(&bind(TRANSCEIVER, 3, system_id, password));
            assert_eq!(answer, Pdu { id: TRANSCEIVER | RESP, status, sequence: 3, body: vec![] });
            assert!(esme.is_closed());
        });
    }
}

#[test]
fn whoever_is_suspended_or_has_tried_too_often_is_told_so_and_sent_away() {
    every_way(&config(), |esme| {
        esme.session().suspend("acme");
        assert_eq!(esme.ask(&bind(TRANSCEIVER, 3, "acme", "secret")).status, RBINDFAIL);
        assert!(esme.is_closed());
    });
    every_way(&config(), |esme| {
        esme.session().put_off("acme", std::time::Duration::from_secs(60));
        assert_eq!(esme.ask(&bind(TRANSMITTER, 3, "acme", "secret")).status, RTHROTTLED);
        assert!(esme.is_closed());
    });
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

#[test]
fn an_account_may_bind_as_its_configuration_says() {
    let mut config = config();
    config["accounts"]["acme"]["binds"] = serde_json::json!(["receiver"]);
    every_way(&config, |esme| {
        assert_eq!(esme.ask(&bind(TRANSCEIVER, 3, "acme", "secret")).status, RBINDFAIL);
        assert!(esme.is_closed());
    });
    every_way(&config, |esme| esme.bind(RECEIVER));
    every_way(&config, |esme| {
        let answer = esme.ask(&bind(TRANSMITTER, 1, "other", "hidden"));
        assert_eq!(answer.status, 0, "an account that is not named may all");
    });
}

#[test]
fn as_many_may_bind_as_the_configuration_says_and_a_lease_that_ran_out_is_free() {
    // A harness has one session: others on the same store are the same, renewed. One that is gone has not given back its lease.
    for seed in 0..20 {
        println!("seed {seed}");
        let mut esme = Esme::connect(&config(), seed, false, false);
        esme.bind(TRANSMITTER);
        for _ in 0..2 {
            let session = esme.into_session().renew::<tandem_smpp::Smpp>(&config()).unwrap();
            esme = Esme::of(session, &config());
            esme.bind_later(RECEIVER);
        }
        assert_eq!(esme.heard().last().unwrap().status, RALYBND);
        assert!(esme.is_closed());
    }
    let mut patient = config();
    patient["timers"] = serde_json::json!({ "bind": "1000s" });
    patient["accounts"]["acme"]["max_binds"] = serde_json::json!(1);
    for seed in 0..20 {
        println!("seed {seed}");
        let mut esme = Esme::connect(&patient, seed, false, false);
        for _ in 0..4 {
            esme.bind(RECEIVER);
            let session = esme.into_session().renew::<tandem_smpp::Smpp>(&patient).unwrap();
            esme = Esme::of(session, &patient);
            esme.wait(SECOND * 90);
        }
    }
}

#[test]
fn a_bind_holds_its_lease_for_as_long_as_it_lasts() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        for _ in 0..5 {
            esme.wait(SECOND * 50);
            esme.ask(&pdu(ENQUIRE_LINK, 2, &[]));
        }
        assert!(!esme.is_closed());
    });
}

#[test]
fn accounts_that_cannot_be_read_are_a_temporary_error() {
    every_way(&config(), |esme| {
        esme.session().fail_store(Some(tandem_component::StoreFailure::Unavailable));
        let answer = esme.ask(&bind(TRANSCEIVER, 3, "acme", "secret"));
        assert_eq!(answer, Pdu { id: TRANSCEIVER | RESP, status: RSYSERR, sequence: 3, body: vec![] });
    });
}
