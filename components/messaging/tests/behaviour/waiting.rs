//! How many messages wait, and that more are refused.

use serde_json::{Value, json};
use tandem_sms::{State, Submit, Submitted, status};

use crate::nobody::Change;
use crate::support::*;

fn three() -> Value {
    let mut config = config();
    config["waiting"] = json!({ "account": 3, "all": 5 });
    config["accounts"]["other"]["waiting"] = 4.into();
    config
}

fn full(desk: &mut Desk, submit: Submit) -> String {
    let Submitted { status, reason, .. } = desk.submit(submit);
    assert_eq!(status, status::FULL, "{reason}");
    reason
}

fn keyed(n: u32) -> Submit {
    Submit { key: n.is_multiple_of(2).then(|| format!("k{n}")), ..submit(&format!("{n}")) }
}

#[test]
fn no_more_of_an_account_wait_than_may_and_one_that_has_ended_makes_room() {
    every_way(&three(), |desk| {
        for n in 0..3 {
            desk.accepted(keyed(n));
        }
        assert_eq!(desk.waiting(), 3);
        for n in [3, 4] {
            let reason = full(desk, keyed(n));
            assert!(reason.starts_with("3 messages of the account `acme` wait, which are as many as may"), "{reason}");
        }
        assert_eq!((desk.messages().len(), desk.totals().accepted, desk.waiting()), (3, 3, 3), "nothing is stored");
        // One with a key that is there already is no other one.
        desk.accepted(keyed(2));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.waiting(), 2);
        desk.accepted(keyed(4));
        full(desk, keyed(5));
    });
}

#[test]
fn nor_of_all_and_each_account_may_have_a_number_of_its_own() {
    every_way(&three(), |desk| {
        for n in 0..4 {
            desk.accepted(Submit { account: "other".into(), ..submit(&n.to_string()) });
        }
        let reason = full(desk, Submit { account: "other".into(), ..submit("4") });
        assert!(reason.contains("4 messages of the account `other`"), "{reason}");
        desk.accepted(submit("hello"));
        let reason = full(desk, submit("hello"));
        assert!(reason.starts_with("5 messages wait, of all accounts"), "{reason}");
    });
}

#[test]
fn the_count_outlives_a_restart() {
    for seed in 0..8 {
        let mut desk = Desk::open(&three(), seed, false);
        (0..3).for_each(|n| drop(desk.accepted(keyed(n))));
        desk.is_quiet();
        desk.restart(SECOND);
        full(&mut desk, keyed(3));
        desk.wait(SECOND * 3);
        assert_eq!(desk.waiting(), 3);
    }
}

/// Of messages that a version has taken which did not count, and of those that such a one has ended.
#[test]
fn what_another_version_does_without_counting_neither_frees_too_much_nor_too_little() {
    every_way(&three(), |desk| {
        let first = desk.accepted(submit("one"));
        let second = desk.accepted(submit("two"));
        desk.change(&Change::Uncounted { id: first });
        desk.take("n1");
        desk.take("n2");
        assert_eq!(desk.waiting(), 1);
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.waiting(), 1, "what was not counted is not taken off");
        desk.thanks();
        desk.change(&Change::Ended { id: second });
        assert_eq!(desk.waiting(), 1);
        desk.wait(SECOND * 2);
        assert_eq!(desk.waiting(), 0, "it goes, and is taken off then");
        desk.wait(SECOND * 2);
        assert_eq!(desk.waiting(), 0);
    });
}
