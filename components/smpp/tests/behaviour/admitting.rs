//! What agreements admit, and what an ESME is told of what they do not.

use std::time::Duration;

use serde_json::json;
use tandem_component::Limit;
use tandem_component::harness::Admitted;
use tandem_sms::Submitted;

use crate::support::*;

const LIMITS: [(Limit, u32); 10] = [
    (Limit::Rate, RTHROTTLED),
    (Limit::Concurrent, RTHROTTLED),
    (Limit::TimeOfDay, RTHROTTLED),
    (Limit::Other, RTHROTTLED),
    (Limit::Minute, RMSGQFUL),
    (Limit::Hour, RMSGQFUL),
    (Limit::Day, RMSGQFUL),
    (Limit::Month, RMSGQFUL),
    (Limit::Sender, RINVSRCADR),
    (Limit::Suspended, RSUBMITFAIL),
];

fn shown(admitted: &Admitted) -> (&str, Option<&str>, u64, bool, bool) {
    let Admitted { account, sender, units, session, held, .. } = admitted;
    (account, sender.as_deref(), *units, *session, *held)
}

fn held(esme: &mut Esme) -> usize {
    esme.session().admitted().iter().filter(|admitted| admitted.held).count()
}

/// To 200 and 201, and to nobody.
fn multi(sequence: u32) -> Vec<u8> {
    let head = b"\0\x01\x01100\0\x03\x01\0\x00200\0\x01\x01\x01201\0\x02list\0\0\0\0".to_vec();
    pdu(SUBMIT_MULTI, sequence, &[head, b"\0\0\0\0\0\0\x02hi".to_vec()].concat())
}

fn data(sequence: u32) -> Vec<u8> {
    pdu(DATA_SM, sequence, b"\0\x01\x01100\0\x01\x01200\0\0\0\0\x04\x24\0\x02hi")
}

#[test]
fn a_bind_is_a_session_and_each_submission_counts_its_messages() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        assert_eq!(esme.session().admitted().iter().map(shown).collect::<Vec<_>>(), [("acme", None, 0, true, true)]);
        for request in [submit(2, "hi", 0), multi(3), data(4)] {
            assert_eq!(esme.ask(&request).status, 0);
        }
        let asked: Vec<_> = esme.session().admitted().iter().skip(1).map(shown).collect();
        let each = |units| ("acme", Some("100"), units, false, false);
        assert_eq!(asked, [each(1), each(2), each(1)]);
        assert_eq!(esme.messages().len(), 4);
        esme.say(&pdu(UNBIND, 5, &[]));
        assert_eq!(held(esme), 0);
    });
}

#[test]
fn each_limit_has_its_status_and_nothing_is_kept() {
    for (limit, status) in LIMITS {
        every_way(&config(), |esme| {
            esme.bind(TRANSCEIVER);
            esme.session().refuse_admissions(Some((limit, Some(Duration::from_secs(7)))));
            for (n, request) in [submit(2, "hi", 1), multi(3), data(4)].iter().enumerate() {
                let answer = esme.ask(request);
                assert_eq!((answer.status, answer.sequence, answer.body.len()), (status, 2 + n as u32, 0), "{limit}");
            }
            assert_eq!(esme.messages(), []);
            esme.session().refuse_admissions(None);
            assert_eq!(esme.ask(&submit(5, "hi", 0)).status, 0, "the bind stands, and its window is open");
            assert_eq!(held(esme), 1);
        });
    }
}

#[test]
fn a_limit_that_another_service_has_found_has_the_same_status() {
    let mut config = config();
    config["submit_to"] = json!("messages");
    let answer = |limit: &str, status| Submitted { status, limit: limit.to_owned(), ..Submitted::default() };
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        for (limit, expected) in LIMITS.into_iter().filter(|(limit, _)| *limit != Limit::Other) {
            esme.say(&submit(2, "hi", 0));
            esme.session().reply(&answer(limit.word(), RTHROTTLED));
            assert_eq!(esme.heard()[0].status, expected, "{limit}");
        }
        // One that is not known here, and none.
        for limit in ["week", ""] {
            esme.say(&submit(2, "hi", 0));
            esme.session().reply(&answer(limit, RSYSERR));
            assert_eq!(esme.heard()[0].status, RSYSERR);
        }
    });
}

#[test]
fn what_is_wrong_is_said_before_it_is_counted() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        assert_eq!(esme.ask(&submit_to("", 2, "hi", 0, &[])).status, RINVDSTADR);
        assert_eq!(esme.ask(&submit(3, "hi", 3)).status, RINVREGDLVFLG);
        assert_eq!(esme.session().admitted().len(), 1);
    });
}

#[test]
fn a_bind_that_is_not_admitted_fails() {
    for limit in [Limit::Suspended, Limit::Sessions, Limit::TimeOfDay, Limit::Other] {
        every_way(&config(), |esme| {
            esme.session().refuse_admissions(Some((limit, None)));
            let answer = esme.ask(&bind(TRANSCEIVER, 3, "acme", "secret"));
            assert_eq!(answer, Pdu { id: TRANSCEIVER | RESP, status: RBINDFAIL, sequence: 3, body: vec![] });
            assert!(esme.is_closed());
        });
    }
}

#[test]
fn a_bind_that_is_refused_after_it_was_admitted_holds_nothing() {
    let mut config = config();
    config["accounts"]["acme"]["max_binds"] = json!(1);
    every_way(&config, |esme| {
        esme.session().fail_store(Some(tandem_component::StoreFailure::Unavailable));
        assert_eq!(esme.ask(&bind(TRANSCEIVER, 3, "acme", "secret")).status, RSYSERR);
        assert_eq!((esme.session().admitted().len(), held(esme)), (1, 0));
    });
}

#[test]
fn who_is_suspended_while_it_is_bound_submits_nothing_more_and_stays_bound() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        let id = esme.ask(&submit(2, "hi", 0)).text();
        esme.session().suspend("acme");
        assert_eq!(esme.ask(&submit(3, "hi", 0)).status, RSUBMITFAIL);
        assert_eq!(esme.ask(&query(4, &id, "100")).status, 0, "what it has submitted is still its own");
        assert_eq!(esme.ask(&pdu(ENQUIRE_LINK, 5, &[])).status, 0);
        assert_eq!(esme.ask(&pdu(UNBIND, 6, &[])).status, 0);
        assert_eq!(held(esme), 0);
    });
}

#[test]
fn what_another_service_has_is_held_until_the_esme_is_answered() {
    let mut config = config();
    config["submit_to"] = json!("smsc-a");
    every_way(&config, |esme| {
        esme.bind(TRANSMITTER);
        esme.say(&submit(2, "hi", 0));
        esme.say(&multi(3));
        assert_eq!(held(esme), 3);
        esme.session().reply(&Submitted { message_id: "m1".into(), ..Submitted::default() });
        assert_eq!(esme.heard().len(), 1);
        assert_eq!(held(esme), 2);
        esme.session().reply(&Submitted { message_id: "m2".into(), ..Submitted::default() });
        assert_eq!((esme.heard().len(), held(esme)), (0, 2), "one destination of two");
        esme.session().fail_call(tandem_component::CallFailure::Down);
        assert_eq!((esme.heard().len(), held(esme)), (1, 1));
    });
}

#[test]
fn a_session_that_ends_gives_all_back() {
    let mut config = config();
    config["submit_to"] = json!("smsc-a");
    // The connection ends, we say goodbye and have no response, and there is none to what we ask.
    let ends: [fn(&mut Esme); 3] = [
        |esme| esme.session().end(tandem_component::Stream::OWN),
        |esme| {
            esme.session().drain(SECOND);
            assert_eq!(esme.heard().len(), 1);
            esme.wait(SECOND * 2);
        },
        |esme| {
            // Nobody answers: first not the service, then not the ESME, which is asked whether it is there.
            for _ in 0..5 {
                esme.wait(SECOND * 31);
                esme.heard();
            }
        },
    ];
    for end in ends {
        every_way(&config, |esme| {
            esme.bind(TRANSMITTER);
            esme.say(&submit(2, "one", 0));
            esme.say(&submit(3, "two", 0));
            assert_eq!(held(esme), 3);
            end(esme);
            assert_eq!(held(esme), 0);
        });
    }
}
