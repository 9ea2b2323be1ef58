//! What networks say of messages: once, twice, too early, of none.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tandem_component::StoreFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{Asked, Delivered, State, status};

use crate::support::*;

#[test]
fn the_first_receipt_counts_and_another_changes_nothing() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.receipt("smsc-a", "n1", State::Undeliverable), status::OK);
        assert_eq!(desk.told_receipt().state, State::Delivered);
        desk.thanks();
        assert_eq!(desk.receipt("smsc-a", "n1", State::Undeliverable), status::OK);
        desk.wait(SECOND * 70);
        assert!(desk.is_quiet());
        assert_eq!(desk.state(&id), State::Delivered);
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn two_at_once_are_one() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert!(desk.is_quiet());
        let one = desk.request("smsc-a", &Asked::Deliver(receipt("n1", State::Delivered)));
        let other = desk.request("smsc-a", &Asked::Deliver(receipt("n1", State::Undeliverable)));
        for id in [one, other] {
            assert_eq!(desk.session().response(id), Some(Delivered { status: status::OK }));
        }
        assert_eq!(desk.told_receipt().state, State::Delivered);
        desk.thanks();
        assert!(desk.is_quiet());
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn a_receipt_of_no_message_is_kept_for_a_while_and_changes_nothing() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n2", State::Delivered), status::OK);
        assert_eq!(desk.receipt("smsc-b", "n1", State::Delivered), status::OK, "another network's name");
        desk.wait(SECOND * 30);
        assert!(desk.is_quiet());
        assert_eq!(desk.messages()[0].state, State::Enroute);
        assert_eq!(desk.early(), [("smsc-a".to_owned(), "n2".to_owned()), ("smsc-b".to_owned(), "n1".to_owned())]);
        desk.wait(SECOND * 600);
        assert_eq!(desk.early(), []);
        assert_eq!(desk.messages()[0].state, State::Enroute);
    });
}

/// Only one of the names can have the place: the other is left with the network.
#[test]
fn receipts_of_no_message_are_bounded() {
    let (one, other) = same_place();
    every_way(&config(), |desk| {
        assert_eq!(desk.receipt("smsc-a", &one, State::Delivered), status::OK);
        assert_eq!(desk.receipt("smsc-a", &other, State::Delivered), status::LATER);
        assert_eq!(desk.receipt("smsc-b", &other, State::Delivered), status::OK);
        assert_eq!(desk.early().len(), 2);
        desk.wait(SECOND * 610);
        assert_eq!(desk.receipt("smsc-a", &other, State::Delivered), status::OK);
    });
}

/// The receipt is there long before the network says what it calls the message.
#[test]
fn a_receipt_that_comes_first_is_joined_to_the_answer() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        assert_eq!(desk.receipt("smsc-a", "n1", State::Undeliverable), status::OK);
        desk.wait(SECOND * 15);
        assert_eq!(desk.state(&id), State::Enroute);
        desk.take("n1");
        desk.until_called(SECOND * 6);
        assert_eq!(desk.told_receipt().state, State::Undeliverable);
        desk.thanks();
        assert_eq!((desk.state(&id), desk.early()), (State::Undeliverable, vec![]));
        assert_eq!(desk.totals(), Totals { accepted: 1, rejected: 1, ..Totals::default() });
    });
}

/// It is killed in the middle of that: the receipt is there until the message has ended.
#[test]
fn a_receipt_that_comes_first_outlives_a_kill() {
    for seed in 0..8 {
        let mut desk = Desk::open(&config(), seed, false);
        let id = desk.accepted(submit("hello"));
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.take("n1");
        desk.is_quiet();
        desk.restart(SECOND);
        desk.until_called(SECOND * 10);
        assert_eq!((desk.told_receipt().state, desk.state(&id)), (State::Delivered, State::Delivered));
    }
}

#[test]
fn what_a_network_says_in_between_changes_nothing() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        let mut deliver = receipt("n1", State::Accepted);
        deliver.receipt.as_mut().unwrap().intermediate = true;
        assert_eq!(desk.delivered("smsc-a", deliver), status::OK);
        assert_eq!(desk.receipt("smsc-a", "n1", State::Enroute), status::OK, "it does not say that it is in between");
        assert!(desk.is_quiet());
        assert_eq!((desk.messages()[0].phase, desk.messages()[0].state), (Phase::Sent, State::Enroute));
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.told_receipt().state, State::Delivered);
    });
}

#[test]
fn a_receipt_may_overtake_the_answer_that_names_the_message() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        let early = desk.request("smsc-a", &Asked::Deliver(receipt("n1", State::Delivered)));
        desk.wait(SECOND / 40);
        assert_eq!(desk.session().response::<Delivered>(early), None);
        desk.take("n1");
        for _ in 0..4 {
            desk.wait(SECOND / 2);
        }
        assert_eq!(desk.session().response(early), Some(Delivered { status: status::OK }));
        assert_eq!((desk.told_receipt().message_id.as_str(), desk.state(&id)), (&*id, State::Delivered));
    });
}

#[test]
fn a_receipt_that_cannot_be_written_down_is_asked_for_again() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        desk.session().calling();
        desk.session().fail_store(Some(StoreFailure::Unavailable));
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::LATER);
        desk.store(true);
        assert!(desk.is_quiet());
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!((desk.told_receipt().state, desk.state(&id)), (State::Delivered, State::Delivered));
    });
}

#[test]
fn of_whom_a_message_with_an_id_of_a_network_is_decides_the_network() {
    let mut config = config();
    config["routes"] = serde_json::json!([
        { "prefix": "49", "to": { "smsc-a": 1 } },
        { "prefix": "33", "to": { "smsc-b": 1 } },
    ]);
    every_way(&config, |desk| {
        let one = desk.accepted(submit("hello"));
        desk.take("n1");
        let mut to_33 = submit("hello");
        to_33.sms.destination.digits = "33".into();
        let other = desk.accepted(to_33);
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-b", "n1", State::Delivered), status::OK);
        assert_eq!((desk.state(&one), desk.state(&other)), (State::Enroute, State::Delivered));
    });
}

/// Two names that would have one place.
fn same_place() -> (String, String) {
    let place = |name: &str| Sha256::digest(name)[..2].to_vec();
    let mut names = (2..).map(|n| format!("n{n}"));
    let other = names.find(|name| place(name) == place("n1"));
    ("n1".to_owned(), other.expect("one in 65536 has it"))
}

#[test]
fn a_receipt_that_came_first_is_not_lost_where_the_gateway_was_away_for_long() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.take("n1");
        desk.wait(Duration::from_millis(400));
        assert_eq!(desk.parts().len(), 1, "it is written down");
        desk.restart(SECOND * 660);
        desk.wait(SECOND * 10);
        assert_eq!((desk.state(&id), desk.early()), (State::Delivered, vec![]));
    });
}
