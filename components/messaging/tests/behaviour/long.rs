//! Messages of several parts.

use serde_json::{Value, json};
use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{State, Submit, status};

use crate::support::*;

/// Of two parts.
fn long() -> Submit {
    let mut submit = submit("");
    submit.sms.short_message.clear();
    Submit { text: Some("Twice as long as it may be. ".repeat(9)), ..submit }
}

fn config() -> Value {
    let mut config = crate::support::config();
    config["routes"][0]["to"] = json!({ "smsc-a": 1, "smsc-b": 0 });
    config
}

/// Which part the network is asked to take, and which network.
fn part(desk: &mut Desk) -> (String, String) {
    let (network, asked) = desk.sent();
    (network, asked.id.rsplit_once('/').unwrap().1.to_owned())
}

fn is(network: &str, part: &str) -> (String, String) {
    (network.to_owned(), part.to_owned())
}

#[test]
fn all_parts_go_at_once_and_the_message_has_ended_when_all_have() {
    for (one, other, whole) in [
        (State::Delivered, State::Delivered, State::Delivered),
        (State::Undeliverable, State::Delivered, State::Undeliverable),
        (State::Delivered, State::Expired, State::Expired),
    ] {
        every_way(&config(), |desk| {
            let submitted = desk.submit(long());
            assert_eq!((submitted.status, submitted.parts), (status::OK, 2));
            assert_eq!(part(desk), is("smsc-a", "1"));
            desk.take("n1");
            assert_eq!(desk.messages()[0].phase, Phase::Sending);
            assert_eq!(part(desk), is("smsc-a", "2"));
            desk.take("n2");
            assert!(desk.is_quiet());
            assert_eq!(desk.messages()[0].phase, Phase::Sent);
            assert_eq!(desk.receipt("smsc-a", "n1", one), status::OK);
            assert!(desk.is_quiet());
            assert_eq!(desk.state(&submitted.message_id), State::Enroute);
            assert_eq!(desk.receipt("smsc-a", "n2", other), status::OK);
            assert_eq!(desk.told_receipt().state, whole);
            desk.thanks();
            assert!(desk.is_quiet(), "there is one receipt");
            let totals = desk.totals();
            assert_eq!(
                (totals.accepted, totals.delivered, totals.ended()),
                (1, i64::from(whole == State::Delivered), 1)
            );
        });
    }
}

#[test]
fn what_a_network_has_of_it_is_not_sent_again() {
    let hows: [fn(&mut Desk); 3] = [
        |desk| desk.refuse(status::THROTTLED),
        |desk| desk.fail(CallFailure::Down),
        |desk| desk.fail(CallFailure::TimedOut),
    ];
    for how in hows {
        every_way(&config(), |desk| {
            let id = desk.accepted(long());
            desk.take("n1");
            assert!(!desk.is_quiet());
            how(desk);
            desk.until_called(SECOND * 45);
            assert_eq!(part(desk), is("smsc-b", "2"));
            desk.take("n1");
            assert!(desk.is_quiet());
            assert_eq!(desk.receipt("smsc-b", "n1", State::Delivered), status::OK);
            assert_eq!(desk.state(&id), State::Enroute);
            assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
            assert_eq!(desk.told_receipt().state, State::Delivered);
        });
    }
}

#[test]
fn a_part_that_is_refused_for_good_is_the_end_of_it() {
    every_way(&config(), |desk| {
        let id = desk.accepted(long());
        desk.take("n1");
        desk.refuse(status::REFUSED);
        assert_eq!((desk.told_receipt().state, desk.state(&id)), (State::Rejected, State::Rejected));
        desk.thanks();
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.wait(SECOND * 70);
        assert!(desk.is_quiet());
        assert_eq!(desk.totals(), Totals { accepted: 1, rejected: 1, ..Totals::default() });
    });
}

/// Also where other messages are split otherwise by now.
#[test]
fn a_message_is_split_as_it_was_when_it_was_taken() {
    every_way(&config(), |desk| {
        let id = desk.accepted(long());
        let parts: Vec<_> = [(); 2]
            .map(|()| {
                let sms = desk.sent().1.sms;
                desk.refuse(status::THROTTLED);
                sms
            })
            .into();
        let mut other = config();
        other["long"] = "payload".into();
        desk.configure(&other);
        desk.until_called(SECOND * 5);
        for (n, sms) in parts.iter().enumerate() {
            assert_eq!(desk.sent().1.sms, *sms);
            desk.take(&format!("n{n}"));
        }
        assert_eq!(desk.receipt("smsc-b", "n0", State::Delivered), status::OK);
        assert_eq!(desk.receipt("smsc-b", "n1", State::Delivered), status::OK);
        assert_eq!((desk.told_receipt().state, desk.state(&id)), (State::Delivered, State::Delivered));
    });
}

#[test]
fn one_of_more_parts_than_a_window_goes_alone() {
    let mut config = config();
    config["networks"] = json!({ "smsc-a": { "window": 1 } });
    config["routes"][0]["to"] = json!({ "smsc-a": 1 });
    every_way(&config, |desk| {
        desk.accepted(submit("hello"));
        desk.accepted(long());
        assert_eq!(part(desk), is("smsc-a", "1"));
        desk.take("n0");
        for n in ["1", "2"] {
            desk.until_called(SECOND * 3);
            assert_eq!(part(desk), is("smsc-a", n));
            desk.take(n);
        }
    });
}
