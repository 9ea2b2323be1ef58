//! What is sent in the place of a message.

use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{Replace, State, status};

use crate::support::*;

fn with(text: &str) -> Replace {
    Replace { short_message: text.as_bytes().to_vec(), registered_delivery: 1, ..Replace::default() }
}

#[test]
fn what_no_network_has_yet_is_sent_as_it_is_last() {
    every_way(&config(), |desk| {
        let mut later = submit("one");
        later.sms.schedule = "000000000010000R".into();
        let id = desk.accepted(later);
        assert_eq!(desk.replace("acme", &id, with("two")), status::OK);
        assert_eq!(desk.replace("acme", &id, Replace { registered_delivery: 0, ..with("three") }), status::OK);
        assert!(desk.is_quiet());
        desk.wait(SECOND * 12);
        assert_eq!(desk.sent().1.sms.short_message, b"three");
        assert_eq!(desk.replace("acme", &id, with("four")), status::NOT_REPLACED, "a network is asked");
        desk.take("n1");
        assert_eq!(desk.replace("acme", &id, with("four")), status::NOT_REPLACED);
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.replace("acme", &id, with("four")), status::NOT_REPLACED);
        assert!(desk.is_quiet(), "no receipt is wanted any more");
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn so_is_one_that_a_network_has_refused_and_none_may_have() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("one"));
        desk.fail(CallFailure::Down);
        assert!(desk.is_quiet(), "what it has said is written down");
        assert_eq!(desk.replace("acme", &id, with("two")), status::OK);
        desk.until_called(SECOND * 4);
        assert_eq!(desk.sent().1.sms.short_message, b"two");
        desk.fail(CallFailure::TimedOut);
        assert_eq!(desk.replace("acme", &id, with("three")), status::NOT_REPLACED, "a network may have it");
    });
}

#[test]
fn its_times_are_replaced_where_they_are_said() {
    every_way(&config(), |desk| {
        let mut later = submit("one");
        later.sms.schedule = "000000000010000R".into();
        let id = desk.accepted(later);
        let replace = |schedule: &str, validity: &str| Replace {
            schedule: schedule.into(),
            validity: validity.into(),
            ..with("two")
        };
        assert_eq!(desk.replace("acme", &id, replace("", "000000000005000R")), status::VALIDITY);
        assert_eq!(desk.replace("acme", &id, replace("nonsense", "")), status::VALIDITY);
        assert_eq!(desk.replace("acme", &id, replace("000000000030000R", "000000000100000R")), status::OK);
        desk.wait(SECOND * 20);
        assert!(desk.is_quiet());
        desk.wait(SECOND * 12);
        assert_eq!(desk.sent().1.sms.short_message, b"two");
        desk.fail(CallFailure::Down);
        for _ in 0..40 {
            desk.wait(SECOND);
            if let Some((_, Told::Submit(_))) = desk.called() {
                desk.fail(CallFailure::Down);
            }
        }
        assert_eq!(desk.state(&id), State::Expired);
    });
}

#[test]
fn only_its_account_may_and_there_has_to_be_one() {
    every_way(&config(), |desk| {
        let mut later = submit("one");
        later.sms.schedule = "000000000010000R".into();
        let id = desk.accepted(later);
        assert_eq!(desk.replace("other", &id, with("two")), status::NO_MESSAGE);
        assert_eq!(desk.replace("acme", "none", with("two")), status::NO_MESSAGE);
        assert_eq!(desk.replace("acme", &id, Replace { tlvs: vec![4, 0x24, 0], ..with("") }), status::REFUSED);
        assert_eq!(desk.cancel("acme", &id), status::OK);
        assert_eq!(desk.replace("acme", &id, with("two")), status::NOT_REPLACED);
        assert_eq!(desk.messages()[0].sms.short_message, b"one");
    });
}

#[test]
fn where_nothing_can_be_stored_it_is_not_replaced_now() {
    every_way(&config(), |desk| {
        let mut later = submit("one");
        later.sms.schedule = "000000000010000R".into();
        let id = desk.accepted(later);
        desk.store(false);
        assert_eq!(desk.replace("acme", &id, with("two")), status::TEMPORARY);
        desk.store(true);
        assert_eq!(desk.messages()[0].phase, Phase::Queued);
        assert_eq!(desk.replace("acme", &id, with("two")), status::OK);
    });
}

/// Whoever has read it as it was, and stands still, finds it changed when it claims it.
#[test]
fn what_was_read_before_is_not_sent_after_it_was_replaced() {
    for seed in 1..60 {
        let mut desk = Desk::open(&config(), seed, false);
        let mut later = submit("one");
        later.sms.schedule = "000000000003000R".into();
        let id = desk.accepted(later);
        // Answers come late: the look for what is due and the replacement are under way at a time.
        desk.session().advance(SECOND * 3);
        let asked =
            tandem_sms::Asked::Replace(Replace { account: "acme".into(), message_id: id.clone(), ..with("two") });
        let request = desk.request("esme", &asked);
        desk.session().advance(SECOND);
        let replaced: Option<tandem_sms::Replaced> = desk.session().response(request);
        desk.wait(SECOND * 3);
        let replaced = replaced.expect("it is answered").status;
        let sent = desk.sent().1.sms.short_message;
        let expected: &[u8] = if replaced == status::OK { b"two" } else { b"one" };
        assert_eq!(sent, expected, "seed {seed}: {replaced:#x}");
        assert!(replaced == status::OK || replaced == status::NOT_REPLACED, "seed {seed}: {replaced:#x}");
        desk.take("n1");
        assert!(desk.is_quiet(), "seed {seed}");
    }
}
