//! Two residents on the same rows.

use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{State, status};

use crate::support::*;

/// One has given a message to a network and stands still for longer than it may; the other has done the same meanwhile.
fn both_have_sent(desk: &mut Desk, id: &str) -> Desk {
    let mut other = desk.another();
    assert!(other.is_quiet(), "it is another's");
    other.wait(SECOND * 45);
    assert_eq!(other.sent().1.id, format!("{id}/1"));
    desk.follow(&mut other);
    other
}

fn config() -> serde_json::Value {
    let mut config = crate::support::config();
    config["keep"] = "1m".into();
    config
}

/// Nothing is left to be done, and nothing is left.
fn ends(mut desk: Desk, totals: Totals) {
    desk.wait(SECOND * 240);
    assert!(desk.is_quiet());
    assert_eq!((desk.messages(), desk.parts()), (vec![], vec![]));
    assert_eq!(desk.totals(), totals);
}

const DELIVERED: Totals = Totals { accepted: 1, delivered: 1, rejected: 0, expired: 0, cancelled: 0 };

#[test]
fn what_one_does_is_left_to_it_and_taken_over_when_it_is_gone() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        let mut other = both_have_sent(desk, &id);
        assert!(other.query("acme", &id).unwrap().maybe_twice);
        other.take("n2");
        assert_eq!(other.receipt("smsc-a", "n2", State::Delivered), status::OK);
        assert_eq!(other.told_receipt().message_id, id);
        other.thanks();
        ends(other.another(), DELIVERED);
    });
}

#[test]
fn what_is_due_is_taken_by_one_of_them() {
    every_way(&config(), |desk| {
        let mut other = desk.another();
        for _ in 0..10 {
            let mut later = submit("later");
            later.sms.schedule = "000000000005000R".into();
            desk.accepted(later);
        }
        other.follow(desk);
        other.wait(SECOND * 6);
        desk.follow(&mut other);
        desk.wait(SECOND * 6);
        assert!(desk.is_quiet());
        other.follow(desk);
        for n in 0..10 {
            other.take(&format!("n{n}"));
        }
        assert!(other.is_quiet());
        assert_eq!(other.parts().len(), 10);
    });
}

#[test]
fn what_ended_meanwhile_stays_so_whatever_a_network_answers() {
    let hows: [fn(&mut Desk); 4] = [
        |desk| desk.take("n2"),
        |desk| desk.refuse(status::THROTTLED),
        |desk| desk.refuse(status::REFUSED),
        |desk| desk.fail(CallFailure::TimedOut),
    ];
    for how in hows {
        every_way(&config(), |desk| {
            let id = desk.accepted(submit("hello"));
            let mut other = both_have_sent(desk, &id);
            desk.take("n1");
            assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
            assert_eq!(desk.told_receipt().state, State::Delivered);
            desk.thanks();
            other.follow(desk);
            how(&mut other);
            assert_eq!((other.state(&id), other.messages()[0].phase), (State::Delivered, Phase::Ended));
            ends(other, DELIVERED);
        });
    }
}

#[test]
fn an_answer_that_is_too_late_leaves_the_message_to_the_other() {
    let hows: [fn(&mut Desk); 3] =
        [|desk| desk.refuse(status::THROTTLED), |desk| desk.refuse(status::REFUSED), |desk| desk.take("n1")];
    for how in hows {
        every_way(&config(), |desk| {
            let id = desk.accepted(submit("hello"));
            let mut other = both_have_sent(desk, &id);
            how(desk);
            assert!(desk.is_quiet());
            assert_eq!((desk.state(&id), desk.messages()[0].phase), (State::Enroute, Phase::Sending));
            other.follow(desk);
            other.take("n2");
            assert_eq!(other.receipt("smsc-a", "n2", State::Delivered), status::OK);
            assert_eq!(other.told_receipt().message_id, id);
            other.thanks();
            ends(other, DELIVERED);
        });
    }
}

/// It has ended; whoever counts it stands still for longer than it may, and the other has counted it meanwhile.
#[test]
fn an_end_is_counted_once() {
    for seed in 1..60 {
        let mut desk = Desk::open(&config(), seed, false);
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert!(desk.is_quiet());
        let asked = tandem_sms::Asked::Deliver(receipt("n1", State::Delivered));
        desk.request("smsc-a", &asked);
        // Answers come in between, some of them a minute late.
        for _ in 0..8 {
            desk.session().advance(SECOND * 61);
        }
        desk.elapsed += SECOND * 61 * 8;
        for _ in 0..130 {
            desk.wait(SECOND);
            if !desk.is_quiet() {
                desk.thanks();
            }
        }
        let totals = desk.totals();
        assert_eq!((totals.accepted, totals.delivered), (1, 1), "seed {seed}");
    }
}
