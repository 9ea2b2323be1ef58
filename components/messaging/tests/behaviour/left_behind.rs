//! The gateway is killed, and another goes on with the rows.

use tandem_messaging::message::{Message, Phase};
use tandem_sms::{Asked, State, Submit, status};

use crate::nobody::Change;
use crate::support::*;

#[test]
fn what_was_with_a_network_is_sent_again_at_once_and_marked() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.restart(SECOND);
        assert_eq!(desk.sent().1.id, format!("{id}/1"));
        assert!(desk.query("acme", &id).unwrap().maybe_twice);
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.thanks();
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn or_it_is_held() {
    let mut config = config();
    config["on_uncertain"] = "hold".into();
    every_way(&config, |desk| {
        desk.accepted(submit("hello"));
        desk.restart(SECOND);
        desk.wait(SECOND * 100);
        assert!(desk.is_quiet());
        let message = desk.messages().remove(0);
        assert_eq!((message.phase, message.uncertain), (Phase::Sent, true));
    });
}

#[test]
fn what_waited_waits_on() {
    every_way(&config(), |desk| {
        let mut later = submit("later");
        later.sms.schedule = "000000000300000R".into();
        desk.accepted(later);
        desk.restart(SECOND);
        desk.wait(SECOND * 100);
        assert_eq!((desk.is_quiet(), desk.messages()[0].phase), (true, Phase::Queued));
    });
}

#[test]
fn what_a_network_has_is_followed_further() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        desk.session().calling();
        desk.restart(SECOND * 100);
        assert!(desk.is_quiet());
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.told_receipt().message_id, id);
    });
}

#[test]
fn a_front_that_may_not_have_been_told_is_told_at_once() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.restart(SECOND);
        assert_eq!((desk.told_receipt().message_id.as_str(), desk.messages()[0].phase), (&*id, Phase::Owing));
        desk.thanks();
        desk.session().calling();
        desk.restart(SECOND);
        desk.wait(SECOND * 70);
        assert!(desk.is_quiet());
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn so_is_one_whose_message_of_a_phone_it_may_not_have() {
    every_way(&config(), |desk| {
        assert_eq!(desk.delivered("smsc-a", from_a_phone("100", "stop")), status::OK);
        let name = desk.told().1.id;
        desk.restart(SECOND * 60);
        desk.until_called(SECOND * 2);
        assert_eq!(desk.told().1.id, name);
        desk.thanks();
        assert_eq!(desk.incoming(), []);
    });
}

/// Wherever the end of a message is interrupted, it is counted once, and told.
#[test]
fn an_end_that_was_interrupted_is_gone_on_with() {
    let mut phases = std::collections::BTreeSet::new();
    for seed in 1..100 {
        for how in 0..3 {
            let mut desk = Desk::open(&config(), seed, false);
            let mut submit = submit("hello");
            if how == 2 {
                submit.sms.schedule = "000000000100000R".into();
            }
            let id = desk.accepted(submit);
            if how != 2 {
                desk.take("n1");
                assert!(desk.is_quiet());
            }
            let (account, message_id) = ("acme".to_owned(), id.clone());
            match how {
                0 => drop(desk.request("smsc-a", &Asked::Deliver(receipt("n1", State::Delivered)))),
                1 => drop(desk.request("smsc-a", &Asked::Deliver(receipt("n1", State::Undeliverable)))),
                _ => drop(desk.request("rest", &Asked::Cancel(tandem_sms::Cancel { account, message_id }))),
            }
            desk.restart(SECOND);
            phases.insert(format!("{:?}", desk.messages()[0].phase));
            match how {
                0 => assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK),
                1 => assert_eq!(desk.receipt("smsc-a", "n1", State::Undeliverable), status::OK),
                _ => assert_eq!(desk.cancel("acme", &id), status::OK),
            }
            assert_eq!(desk.told_receipt().message_id, id);
            desk.thanks();
            desk.wait(SECOND * 70);
            assert!(desk.is_quiet());
            let totals = desk.totals();
            assert_eq!((totals.accepted, totals.ended()), (1, 1), "seed {seed} {how}: {totals:?}");
        }
    }
    assert!(phases.len() > 2, "{phases:?}");
}

/// That the network has all of it is written down even where that takes a while.
#[test]
fn what_a_network_has_already_is_not_sent_again() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        let (network, network_id) = ("smsc-a".to_owned(), "n1".to_owned());
        let part = Part { network, network_id, id: id.clone(), part: 1, state: State::Enroute, error: String::new() };
        desk.change(&Change::Part(part));
        desk.restart(SECOND);
        assert!(desk.is_quiet());
        assert_eq!(desk.messages()[0].phase, Phase::Sent);
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.told_receipt().message_id, id);
    });
}

#[test]
fn many_are_all_found() {
    for seed in [0, 1] {
        let mut desk = Desk::open(&config(), seed, false);
        for n in 0..150 {
            desk.accepted(Submit { id: format!("{n}"), ..submit("hello") });
        }
        desk.restart(SECOND);
        for n in 0..150 {
            desk.until_called(SECOND * 2);
            desk.take(&format!("n{n}"));
        }
        assert!(desk.messages().iter().all(|message| message.phase == Phase::Sent && message.maybe_twice));
    }
}

#[test]
fn what_this_run_has_taken_on_is_left_to_whoever_has() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        desk.accepted(submit("sent"));
        desk.session().calling();
        // What was taken on in the run before …
        desk.restart(SECOND);
        desk.take("n2");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.receipt("smsc-a", "n2", State::Delivered), status::OK);
        assert!(!desk.is_quiet());
        // … is ours now.
        let mut other = desk.another();
        other.wait(SECOND * 5);
        assert!(other.is_quiet(), "{:?}", other.called());
    });
}

#[test]
fn nothing_is_left_of_a_message_that_goes_wherever_that_is_interrupted() {
    let mut config = config();
    config["keep"] = "1m".into();
    for seed in 1..160 {
        let mut desk = Desk::open(&config, seed, false);
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.thanks();
        assert!(desk.is_quiet());
        desk.wait(SECOND * 59);
        // It goes about now.
        for _ in 0..seed % 16 {
            desk.session().advance(SECOND / 5);
            desk.elapsed += SECOND / 5;
        }
        if seed % 2 == 0 {
            desk.restart(SECOND);
        } else {
            desk.store(false);
            desk.wait(SECOND);
            desk.store(true);
        }
        desk.wait(SECOND * 130);
        assert_eq!((desk.messages().len(), desk.parts().len()), (0, 0), "seed {seed}");
    }
}

#[test]
fn what_a_later_version_has_to_do_is_left_to_it_and_hides_nothing() {
    every_way(&config(), |desk| {
        let theirs = desk.accepted(submit("theirs"));
        desk.session().calling();
        let ours = desk.accepted(submit("ours"));
        desk.session().calling();
        desk.change(&Change::Phase { id: theirs.clone(), phase: "translating".into() });
        desk.restart(SECOND * 100);
        // The one is sent again; of the other nothing is touched, though both are due.
        assert_eq!(desk.sent().1.id, format!("{ours}/1"));
        desk.take("n2");
        assert_eq!(desk.receipt("smsc-a", "n2", State::Delivered), status::OK);
        desk.thanks();
        desk.wait(SECOND * 100);
        assert!(desk.is_quiet());
        let phase = |id: &str, messages: &[Message]| messages.iter().find(|it| it.id == id).unwrap().phase;
        let messages = desk.messages();
        assert_eq!((phase(&theirs, &messages), phase(&ours, &messages)), (Phase::Other, Phase::Ended));
    });
}
