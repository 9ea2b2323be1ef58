//! Of two messages of an account with one key there is only one.

use tandem_component::Transport;
use tandem_sms::{Asked, State, Submit, Submitted, status};

use crate::support::*;

fn keyed(account: &str, key: &str) -> Submit {
    Submit { account: account.into(), key: Some(key.into()), ..submit("hello") }
}

#[test]
fn the_second_is_answered_as_the_first_was() {
    every_way(&config(), |desk| {
        let id = desk.accepted(keyed("acme", "k"));
        assert_eq!(desk.accepted(keyed("acme", "k")), id);
        desk.take("n1");
        assert!(desk.is_quiet());
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.thanks();
        assert_eq!(desk.accepted(keyed("acme", "k")), id, "also after it has ended");
        desk.wait(SECOND * 70);
        assert!(desk.is_quiet());
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn also_where_both_come_at_once() {
    every_way(&config(), |desk| {
        let ids = [(); 3].map(|()| desk.request("esme", &Asked::Submit(keyed("acme", "k"))));
        let answers = ids.map(|id| desk.session().response::<Submitted>(id).unwrap());
        assert!(answers.iter().all(|answer| *answer == answers[0] && answer.status == 0), "{answers:?}");
        desk.take("n1");
        desk.wait(SECOND * 70);
        assert!(desk.is_quiet());
        assert_eq!((desk.messages().len(), desk.totals().accepted), (1, 1));
    });
}

#[test]
fn a_key_is_an_accounts_own() {
    every_way(&config(), |desk| {
        let one = desk.accepted(keyed("acme", "k"));
        let other = desk.accepted(keyed("other", "k"));
        assert_ne!(one, other);
        assert_ne!(desk.accepted(keyed("acme", "kk")), one);
        assert_eq!(desk.messages().len(), 3);
    });
}

#[test]
fn a_message_with_a_key_waits_for_its_time_as_well() {
    every_way(&config(), |desk| {
        let mut submit = keyed("acme", "k");
        submit.sms.schedule = "000000000200000R".into();
        desk.accepted(submit);
        desk.wait(SECOND * 115);
        assert!(desk.is_quiet());
        desk.wait(SECOND * 6);
        assert_eq!(desk.sent().1.sms.short_message, b"hello");
    });
}

/// It is looked for what is due just when the row is there and its acceptance is on its way.
#[test]
fn it_is_sent_once_whoever_finds_its_row() {
    for seed in 1..200 {
        let mut desk = Desk::open(&config(), seed, false);
        desk.session().advance(SECOND * 999 / 1000);
        let id = desk.session().request("esme", &Asked::Submit(keyed("acme", "k")));
        for _ in 0..5 {
            desk.session().advance(SECOND / 500);
        }
        assert_eq!(desk.session().response::<Submitted>(id).unwrap().status, 0);
        desk.take("n1");
        assert!(desk.is_quiet(), "seed {seed}");
        assert_eq!((desk.parts().len(), desk.totals().accepted), (1, 1));
    }
}

#[test]
fn a_session_that_is_opened_for_one_request_takes_it_once_as_well() {
    for seed in 0..8 {
        let mut called = Desk::open_as(Transport::Call, &config(), seed, true);
        let id = called.accepted(keyed("acme", "k"));
        assert_eq!(called.accepted(keyed("acme", "k")), id);
        let mut resident = Desk::open(&config(), seed, true);
        resident.follow(&mut called);
        resident.until_called(SECOND * 2);
        resident.take("n1");
        assert!(resident.is_quiet());
        assert_eq!(resident.totals().accepted, 1);
    }
}

/// The store fails between the row and its acceptance, or the gateway is killed there.
#[test]
fn what_was_interrupted_is_sent_and_counted_once() {
    let mut interrupted = 0;
    for seed in 1..100 {
        for killed in [false, true] {
            let mut desk = Desk::open(&config(), seed, false);
            let mut submit = keyed("acme", "k");
            submit.sms.schedule = "260101120200000+".into();
            let asked = desk.session().request("esme", &Asked::Submit(submit.clone()));
            // What comes late by now cannot be stored.
            desk.store(false);
            let answer: Option<Submitted> = desk.session().response(asked);
            interrupted += usize::from(answer.is_none_or(|answer| answer.status != 0));
            if killed {
                desk.restart(SECOND);
            }
            desk.store(true);
            desk.wait(SECOND * 30);
            let id = desk.accepted(submit);
            desk.wait(SECOND * 70);
            assert!(desk.is_quiet(), "it is not its time, seed {seed}");
            desk.wait(SECOND * 22);
            assert_eq!(desk.sent().1.id, format!("{id}/1"), "seed {seed}");
            desk.take("n1");
            assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
            desk.thanks();
            assert!(desk.is_quiet());
            assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() }, "seed {seed}");
        }
    }
    assert!(interrupted > 8);
}
