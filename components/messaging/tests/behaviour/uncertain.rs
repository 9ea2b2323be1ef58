//! Nobody knows whether a network has a message.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{State, Submitted, status};

use crate::support::*;

fn hows() -> [fn(&mut Desk); 5] {
    [
        |desk| desk.fail(CallFailure::TimedOut),
        |desk| desk.fail(CallFailure::Ended),
        |desk| desk.reply(&"nonsense"),
        |desk| desk.wait(SECOND * 30),
        |desk| desk.reply(&Submitted { status: status::TEMPORARY, uncertain: true, ..Submitted::default() }),
    ]
}

fn hold() -> Value {
    let mut config = config();
    config["on_uncertain"] = "hold".into();
    config
}

#[test]
fn what_a_network_may_have_is_sent_again_and_is_marked() {
    for how in hows() {
        every_way(&config(), |desk| {
            let id = desk.accepted(submit("hello"));
            how(desk);
            assert!(desk.is_quiet());
            let known = desk.query("acme", &id).unwrap();
            assert!(known.uncertain && !known.maybe_twice);
            let mut waits = vec![desk.until_called(SECOND * 3)];
            for _ in 0..3 {
                how(desk);
                waits.push(desk.until_called(SECOND * 10));
            }
            // Who has not answered is asked again later and later.
            let grows = |pair: &[Duration]| pair[1] > pair[0];
            assert!(waits[1] <= SECOND * 4 && waits[1..].windows(2).all(grows), "{waits:?}");
            assert_eq!(desk.sent().1.sms.short_message, b"hello");
            assert!(desk.query("acme", &id).unwrap().maybe_twice);
            desk.take("n1");
            assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
            assert_eq!(desk.told_receipt().state, State::Delivered);
            desk.thanks();
            assert!(desk.query("acme", &id).unwrap().maybe_twice);
        });
    }
}

#[test]
fn or_it_is_held_until_its_validity_is_over() {
    for how in hows() {
        every_way(&hold(), |desk| {
            let mut submit = submit("hello");
            submit.sms.validity = "000000000400000R".into();
            let id = desk.accepted(submit);
            how(desk);
            desk.wait(SECOND * 200);
            assert!(desk.is_quiet(), "it is not sent again");
            let message = desk.messages().remove(0);
            assert_eq!((message.phase, message.uncertain, message.maybe_twice), (Phase::Sent, true, false));
            let known = desk.query("acme", &id).unwrap();
            assert_eq!((known.state, known.uncertain), (State::Enroute, true));
            desk.wait(SECOND * 100);
            let known = desk.query("acme", &id).unwrap();
            assert_eq!(
                (known.state, known.uncertain, desk.told_receipt().state),
                (State::Unknown, false, State::Unknown)
            );
        });
    }
}

#[test]
fn what_is_surely_not_with_a_network_is_not_held() {
    every_way(&hold(), |desk| {
        desk.accepted(submit("hello"));
        desk.fail(CallFailure::Down);
        desk.until_called(SECOND * 3);
        assert_eq!(desk.sent().1.sms.short_message, b"hello");
    });
}

#[test]
fn the_next_network_is_asked_then() {
    let mut config = config();
    config["routes"][0]["to"] = json!({ "smsc-a": 1, "smsc-b": 0 });
    every_way(&config, |desk| {
        desk.accepted(submit("hello"));
        desk.fail(CallFailure::TimedOut);
        desk.until_called(SECOND * 45);
        assert_eq!(desk.sent().0, "smsc-b");
    });
}

/// The second time it was surely not taken; the first time it may have been.
#[test]
fn what_a_network_may_have_does_not_expire_as_if_it_had_not() {
    every_way(&config(), |desk| {
        let mut submit = submit("hello");
        submit.sms.validity = "000000000100000R".into();
        let id = desk.accepted(submit);
        desk.fail(CallFailure::TimedOut);
        desk.until_called(SECOND * 45);
        while desk.state(&id) == State::Enroute {
            if !desk.is_quiet() {
                desk.refuse(status::THROTTLED);
            }
            desk.wait(SECOND);
        }
        assert_eq!((desk.state(&id), desk.told_receipt().state), (State::Unknown, State::Unknown));
    });
}
