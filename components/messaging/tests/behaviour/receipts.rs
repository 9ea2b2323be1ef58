//! What networks say of messages: once, twice, too early, of none.

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
fn a_receipt_of_no_message_is_not_wanted() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n2", State::Delivered), status::UNWANTED);
        assert_eq!(desk.receipt("smsc-b", "n1", State::Delivered), status::UNWANTED, "another network's name");
        assert!(desk.is_quiet());
        assert_eq!(desk.messages()[0].state, State::Enroute);
    });
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
        desk.wait(SECOND / 4);
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
