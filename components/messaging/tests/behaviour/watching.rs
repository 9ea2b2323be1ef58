//! What has become of messages, which there are, and not to send one.

use tandem_messaging::message::Phase;
use tandem_sms::{State, Submit, status};

use crate::support::*;

fn later(text: &str) -> Submit {
    let mut submit = submit(text);
    submit.sms.schedule = "000000000100000R".into();
    submit
}

#[test]
fn a_message_is_known_to_its_account() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        let known = desk.query("acme", &id).unwrap();
        assert_eq!((known.message_id.as_str(), known.state, known.parts), (&*id, State::Enroute, 1));
        assert_eq!((known.source.digits.as_str(), known.destination.digits.as_str()), ("100", "4917"));
        assert_eq!((known.submitted_at, known.ended_at), (1_767_268_800_000, None));
        assert_eq!((desk.query("other", &id), desk.query("acme", "x"), desk.query("", &id)), (None, None, None));
        desk.refuse(status::REFUSED);
        let known = desk.query("acme", &id).unwrap();
        assert_eq!((known.state, known.error.as_str()), (State::Rejected, "status 0x45"));
        assert!(known.ended_at >= Some(known.submitted_at));
    });
}

#[test]
fn the_youngest_is_listed_first_and_pages_follow() {
    every_way(&config(), |desk| {
        let mut ids = Vec::new();
        for n in 0..7 {
            ids.push(desk.accepted(later(&format!("{n}"))));
            desk.accepted(Submit { account: ["acm", "acme2", "bcme"][n % 3].into(), ..later("another's") });
            desk.wait(SECOND / 10);
        }
        // One with a key has another kind of name, and its place all the same.
        ids.insert(7, desk.accepted(Submit { key: Some("k".into()), ..later("keyed") }));
        desk.wait(SECOND / 10);
        ids.push(desk.accepted(later("last")));
        ids.reverse();
        let names = |listed: &tandem_sms::Listed| -> Vec<String> {
            listed.messages.iter().map(|known| known.message_id.clone()).collect()
        };
        let all = desk.list("acme", "", 0);
        assert_eq!((names(&all), all.more, all.status), (ids.clone(), false, status::OK));
        let (mut seen, mut before) = (Vec::new(), String::new());
        loop {
            let page = desk.list("acme", &before, 2);
            seen.extend(names(&page));
            before = seen.last().cloned().unwrap_or_default();
            if !page.more {
                break;
            }
            assert_eq!(page.messages.len(), 2);
        }
        assert_eq!(seen, ids);
        assert_eq!(desk.list("acme", "x", 2).status, status::NO_MESSAGE);
        assert_eq!(desk.list("other", &ids[0], 2).status, status::NO_MESSAGE, "another's");
        assert_eq!(desk.list("nobody", "", 2).messages, []);
    });
}

#[test]
fn what_waits_is_cancelled_and_the_front_is_told() {
    every_way(&config(), |desk| {
        let id = desk.accepted(later("hello"));
        assert_eq!(desk.cancel("other", &id), status::NO_MESSAGE);
        assert_eq!(desk.cancel("acme", "x"), status::NO_MESSAGE);
        assert_eq!(desk.state(&id), State::Enroute);
        assert_eq!(desk.cancel("acme", &id), status::OK);
        assert_eq!((desk.state(&id), desk.told_receipt().state), (State::Deleted, State::Deleted));
        desk.thanks();
        assert_eq!(desk.cancel("acme", &id), status::OK, "who asks twice is told the same");
        desk.wait(SECOND * 90);
        assert!(desk.is_quiet());
        assert_eq!(desk.totals(), Totals { accepted: 1, cancelled: 1, ..Totals::default() });
    });
}

#[test]
fn what_a_network_has_is_not_cancelled() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        assert_eq!((desk.messages()[0].phase, desk.cancel("acme", &id)), (Phase::Sending, status::NOT_CANCELLED));
        desk.take("n1");
        assert_eq!((desk.messages()[0].phase, desk.cancel("acme", &id)), (Phase::Sent, status::NOT_CANCELLED));
        desk.receipt("smsc-a", "n1", State::Delivered);
        assert_eq!((desk.messages()[0].phase, desk.cancel("acme", &id)), (Phase::Owing, status::NOT_CANCELLED));
        desk.thanks();
        assert_eq!((desk.messages()[0].phase, desk.cancel("acme", &id)), (Phase::Ended, status::NOT_CANCELLED));
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn nobody_is_told_what_cannot_be_known() {
    use tandem_sms::{Asked, Query};
    every_way(&config(), |desk| {
        let id = desk.accepted(later("hello"));
        desk.store(false);
        assert_eq!(desk.cancel("acme", &id), status::TEMPORARY);
        assert_eq!(desk.list("acme", "", 0).status, status::TEMPORARY);
        let (account, message_id) = ("acme".to_owned(), id.clone());
        let queried: tandem_sms::Queried = desk.ask("rest", &Asked::Query(Query { account, message_id }));
        assert_eq!(queried.status, status::TEMPORARY);
        desk.store(true);
        assert_eq!(desk.state(&id), State::Enroute);
    });
}

#[test]
fn what_nobody_knows_how_to_answer_is_refused() {
    every_way(&config(), |desk| {
        let id = desk.session().request("esme", &serde_json::json!({ "improve": { "message_id": "x" } }));
        let answer: tandem_sms::Delivered = desk.session().response(id).unwrap();
        assert_eq!(answer.status, status::UNKNOWN_COMMAND);
    });
}

#[test]
fn what_was_refused_for_now_can_be_cancelled_and_is_told_without_delay() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        for _ in 0..4 {
            desk.refuse(status::THROTTLED);
            desk.until_called(SECOND * 20);
        }
        desk.refuse(status::THROTTLED);
        assert!(desk.is_quiet());
        assert_eq!(desk.cancel("acme", &id), status::OK);
        assert_eq!(desk.told_receipt().state, State::Deleted);
        desk.refuse(status::LATER);
        assert!(desk.until_called(SECOND * 4) <= SECOND * 2, "its front was not asked before");
    });
}
