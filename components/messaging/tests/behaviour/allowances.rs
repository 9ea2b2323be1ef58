//! What is left of an account's agreement is told to the front that asks.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::{Left, Submit, Submitted, status};

use crate::support::*;

fn day(left: u64, frees_at: Time) -> Allowance {
    let per = Some(Duration::from_secs(86_400));
    Allowance { of: 5, per, left, frees_at: Some(frees_at), ..Allowance::none_of(Limit::Day) }
}

#[test]
fn what_is_left_goes_with_the_answer_and_a_refusal_says_when_it_frees() {
    every_way(&config(), |desk| {
        let concurrent = Allowance { of: 99, left: 99, ..Allowance::none_of(Limit::Concurrent) };
        let frees_at = Time::from_nanos(4_000_000_000_000_000_000);
        desk.session().allow(&[concurrent, day(3, frees_at)]);
        let takes = [(submit("one"), 2), (Submit { key: Some("k".into()), ..submit("two") }, 1), (submit("three"), 0)];
        for (submit, left) in takes {
            let told = desk.submit(submit);
            assert_eq!((told.status, told.limit.as_str()), (status::OK, ""), "{told:?}");
            assert_eq!((told.left.len(), &told.left[1].limit[..], told.left[1].left), (2, "day", left), "{told:?}");
            assert_eq!((told.left[1].of, told.left[1].per), (5, 86_400_000));
        }
        // One that is there already has taken nothing, and says nothing.
        let told = desk.submit(Submit { key: Some("k".into()), ..submit("two") });
        assert_eq!((told.status, told.left), (status::OK, vec![]));

        let told = desk.submit(submit("four"));
        assert_eq!((told.status, told.limit.as_str()), (status::THROTTLED, "day"));
        let Left { limit, left, frees_in, .. } = &told.left[0];
        assert_eq!((limit.as_str(), *left, *frees_in), ("day", 0, told.retry_after));
        assert!(told.retry_after.is_some_and(|it| it > 0), "{told:?}");
    });
}

#[test]
fn a_queue_that_is_full_is_a_limit_too() {
    let mut config = config();
    config["waiting"] = serde_json::json!({ "account": 1 });
    every_way(&config, |desk| {
        desk.accepted(submit("one"));
        let told = desk.submit(submit("two"));
        let queue = Left { limit: "queue".into(), of: 1, ..Left::default() };
        let Submitted { status, limit, left, .. } = told;
        assert_eq!((status, limit.as_str(), left), (status::FULL, "queue", vec![queue]));
    });
}

#[test]
fn what_no_agreement_counts_is_not_told() {
    every_way(&config(), |desk| {
        desk.session().refuse_admissions(Some((Limit::Sender, None)));
        let told = desk.submit(submit("one"));
        assert_eq!((told.status, told.left), (status::SOURCE, vec![]));
    });
}
