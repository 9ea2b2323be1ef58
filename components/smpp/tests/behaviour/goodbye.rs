//! How a bind ends.

use crate::support::*;
use tandem_component::Stream;
use tandem_smpp::BINDS;

#[derive(serde::Deserialize)]
struct Lease {
    bound_until: i64,
}

fn held(esme: &mut Esme) -> usize {
    esme.session().rows::<Lease>(&BINDS).iter().filter(|lease| lease.bound_until > 0).count()
}

#[test]
fn an_unbind_is_answered_and_the_lease_given_back() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        assert_eq!(held(esme), 1);
        assert_eq!(esme.ask(&pdu(UNBIND, 2, &[])), Pdu { id: UNBIND | RESP, status: 0, sequence: 2, body: vec![] });
        assert!(esme.is_closed());
        assert_eq!(held(esme), 0);
    });
}

#[test]
fn what_came_before_an_unbind_is_answered_first() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let id = esme.ask(&submit(2, "hi", 0)).text();
        esme.say(&[query(3, &id, "100"), pdu(UNBIND, 4, &[])].concat());
        let order: Vec<u32> = esme.heard().iter().map(|pdu| pdu.sequence).collect();
        assert_eq!(order, [3, 4]);
    });
}

#[test]
fn a_drain_unbinds_and_waits_for_the_answer() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.session().drain(SECOND * 10);
        esme.carry();
        let unbind = esme.heard().remove(0);
        assert_eq!((unbind.id, unbind.status), (UNBIND, 0));
        assert_eq!(esme.ask(&submit(5, "late", 0)).status, RINVBNDSTS);
        assert!(!esme.is_closed());
        esme.say(&answer(UNBIND | RESP, 0, unbind.sequence, &[]));
        assert!(esme.is_closed());
    });
}

#[test]
fn a_drain_that_nobody_answers_ends_in_time() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.session().drain(SECOND * 10);
        esme.carry();
        esme.wait(SECOND * 9);
        assert!(!esme.is_closed());
        esme.wait(SECOND);
        assert!(esme.is_closed());
    });
}

#[test]
fn a_peer_that_has_finished_is_let_go() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.session().end(Stream::OWN);
        assert!(esme.is_closed());
        assert_eq!(held(esme), 0);
    });
}

#[test]
fn a_connection_that_breaks_gives_its_lease_back() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.session().break_off(Stream::OWN);
        assert_eq!(held(esme), 0);
    });
}
