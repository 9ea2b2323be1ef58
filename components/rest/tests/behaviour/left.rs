//! What is left of an account's limits is told with what becomes of its messages.

use serde_json::json;
use tandem_sms::{Left, Submitted, status};

use crate::support::*;

const DAY: u64 = 86_400_000;

/// So much is left of a day's thousand, which ends in an hour, and all of a rate.
fn left(day: u64) -> Vec<Left> {
    let rate = Left { limit: "rate".into(), of: 20, per: 2_000, left: 20, frees_in: None };
    vec![Left { limit: "day".into(), of: 1_000, per: DAY, left: day, frees_in: Some(3_600_000) }, rate]
}

fn taken(day: u64) -> Submitted {
    Submitted { message_id: format!("m{day}"), parts: 1, left: left(day), ..Submitted::default() }
}

fn refused(limit: &str, retry_after: Option<u64>) -> Submitted {
    let left = match limit {
        "day" => left(0),
        limit => [&[Left { limit: limit.into(), frees_in: retry_after, ..Left::default() }], &left(7)[..]].concat(),
    };
    Submitted { status: status::THROTTLED, retry_after, limit: limit.into(), left, ..Submitted::default() }
}

/// The fields that say it, in this order.
fn fields(heard: &Heard) -> Vec<&str> {
    let names = ["ratelimit-policy", "ratelimit", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    names.into_iter().filter_map(|name| heard.field(name)).collect()
}

const POLICIES: &str = "\"day\";q=1000;w=86400, \"rate\";q=20;w=2";

#[test]
fn what_is_left_falls_with_each_message_and_is_said_in_both_ways() {
    every_way(&config(), |client| {
        for day in [17, 16] {
            client.say(&post(&hello()));
            client.reply(&taken(day));
            let (heard, day) = (client.one(), day.to_string());
            assert_eq!(heard.status, 202);
            let limits = format!("\"day\";r={day};t=3600, \"rate\";r=20");
            assert_eq!(fields(&heard), [POLICIES, &limits, "1000", &day, "3600"]);
        }
        // Of several recipients what was told last holds, and one that has refused is first.
        client.say(&post(&json!({ "from": "1", "to": ["1", "2", "3"], "text": "hi" })));
        for day in [9, 8] {
            client.reply(&taken(day));
        }
        client.reply(&refused("day", Some(3_600_000)));
        let heard = client.one();
        assert_eq!((heard.status, heard.field("retry-after")), (202, None));
        assert_eq!(fields(&heard), [POLICIES, "\"day\";r=0;t=3600, \"rate\";r=20", "1000", "0", "3600"]);
    });
}

#[test]
fn a_refusal_says_of_the_limit_that_it_is_and_of_no_other() {
    every_way(&config(), |client| {
        client.say(&post(&hello()));
        client.reply(&refused("day", Some(3_600_000)));
        let heard = client.one();
        assert_eq!((heard.status, heard.field("retry-after")), (429, Some("3600")));
        assert_eq!(fields(&heard), [POLICIES, "\"day\";r=0;t=3600", "1000", "0", "3600"]);

        client.say(&post(&hello()));
        client.reply(&refused("hours", Some(59_001)));
        let heard = client.one();
        assert_eq!((heard.status, heard.field("retry-after")), (429, Some("60")));
        assert_eq!(fields(&heard), [POLICIES, "\"hours\";r=0;t=60"]);
    });
}

#[test]
fn an_answer_that_is_told_again_says_nothing_of_now() {
    every_way(&config(), |client| {
        let body = hello().to_string();
        client.say(&post_with("Idempotency-Key: k1\r\n", &body));
        client.reply(&taken(17));
        assert_eq!(fields(&client.one()).len(), 5);
        let heard = client.ask(&post_with("Idempotency-Key: k1\r\n", &body));
        assert_eq!((heard.status, fields(&heard)), (202, vec![]));
    });
}

#[test]
fn a_service_that_says_nothing_of_it_is_passed_on_as_before() {
    /// As it was before.
    #[derive(serde::Serialize)]
    struct Earlier {
        status: u32,
        message_id: &'static str,
        retry_after: Option<u64>,
        limit: &'static str,
    }
    every_way(&config(), |client| {
        client.say(&post(&hello()));
        client.reply(&Earlier { status: 0, message_id: "m1", retry_after: None, limit: "" });
        let heard = client.one();
        assert_eq!((heard.status, fields(&heard)), (202, vec![]));
        client.say(&post(&hello()));
        client.reply(&Earlier { status: status::THROTTLED, message_id: "", retry_after: Some(2_000), limit: "day" });
        let heard = client.one();
        assert_eq!((heard.status, heard.field("retry-after"), fields(&heard)), (429, Some("2"), vec![]));
    });
}
