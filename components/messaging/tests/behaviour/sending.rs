//! submit → row → answer → call to the network → taken → receipt → final state → the front is told.

use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{State, Submit, Submitted, status};

use crate::support::*;

#[test]
fn a_message_is_kept_answered_sent_and_followed_to_its_end() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        let message = desk.messages().remove(0);
        assert_eq!((message.id.as_str(), message.account.as_str(), message.front.as_str()), (&*id, "acme", "esme"));
        assert_eq!((message.phase, message.state, message.parts), (Phase::Sending, State::Enroute, 1));
        let (network, asked) = desk.sent();
        assert_eq!((network.as_str(), asked.account.as_str()), ("smsc-a", "acme"));
        assert_eq!(
            (asked.sms.short_message.as_slice(), asked.sms.destination.digits.as_str()),
            (&b"hello"[..], "4917")
        );
        assert_eq!(asked.sms.registered_delivery, 1);
        desk.take("n1");
        assert!(desk.is_quiet());
        assert_eq!((desk.messages()[0].phase, desk.state(&id)), (Phase::Sent, State::Enroute));
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        assert_eq!(desk.messages()[0].phase, Phase::Owing);
        let (front, told) = desk.told();
        let report = told.receipt.unwrap();
        assert_eq!((front.as_str(), told.account.as_str(), told.id.as_str()), ("esme", "acme", &*id));
        assert_eq!((report.message_id.as_str(), report.state, report.error.as_str()), (&*id, State::Delivered, "000"));
        assert_eq!((told.sms.source.digits.as_str(), told.sms.destination.digits.as_str()), ("4917", "100"));
        desk.thanks();
        desk.wait(SECOND * 100);
        assert!(desk.is_quiet());
        assert_eq!((desk.messages()[0].phase, desk.state(&id)), (Phase::Ended, State::Delivered));
        let records = desk.session().records();
        let records: Vec<serde_json::Value> = records.iter().map(|it| rmp_serde::from_slice(it).unwrap()).collect();
        let [record] = &records[..] else { panic!("one for each message: {records:?}") };
        let said = ["account", "outcome", "event", "message_id", "state", "network", "front"].map(|key| &record[key]);
        assert_eq!(said, ["acme", "done", "message", &*id, "DELIVRD", "smsc-a", "esme"]);
        assert_eq!((&record["parts"], &record["bytes_in"]), (&1.into(), &5.into()));
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn when_it_can_be_asked_after_no_more_nothing_is_left_of_it() {
    let mut config = config();
    config["keep"] = "1m".into();
    every_way(&config, |desk| {
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        desk.receipt("smsc-a", "n1", State::Delivered);
        desk.thanks();
        desk.wait(SECOND * 50);
        assert_eq!(desk.state(&id), State::Delivered);
        desk.wait(SECOND * 15);
        assert_eq!((desk.query("acme", &id), desk.messages().len(), desk.parts().len()), (None, 0, 0));
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn a_front_is_told_what_it_wants_to_know() {
    for (registered, state, told) in [
        (0, State::Undeliverable, false),
        (1, State::Delivered, true),
        (1, State::Undeliverable, true),
        (2, State::Delivered, false),
        (2, State::Undeliverable, true),
    ] {
        every_way(&config(), |desk| {
            let mut submit = submit("hello");
            submit.sms.registered_delivery = registered;
            let id = desk.accepted(submit);
            desk.take("n1");
            assert_eq!(desk.receipt("smsc-a", "n1", state), status::OK);
            assert_eq!(!desk.is_quiet(), told, "{registered} {state:?}");
            assert_eq!(desk.state(&id), state);
        });
    }
}

#[test]
fn what_cannot_be_sent_is_refused() {
    every_way(&config(), |desk| {
        let mut refused = |change: fn(&mut Submit)| {
            let mut submit = submit("hello");
            change(&mut submit);
            let Submitted { status, reason, message_id, .. } = desk.submit(submit);
            assert!(!reason.is_empty() && message_id.is_empty());
            status
        };
        assert_eq!(refused(|it| it.sms.destination.digits = "33".into()), status::DESTINATION, "no route");
        assert_eq!(refused(|it| it.sms.destination.digits.clear()), status::DESTINATION);
        assert_eq!(refused(|it| it.account.clear()), status::REFUSED);
        assert_eq!(refused(|it| it.sms.tlvs = b"\x02\x04\0\x09no".to_vec()), status::REFUSED);
        assert_eq!(refused(|it| it.sms.schedule = "tomorrow".into()), status::VALIDITY);
        assert_eq!(refused(|it| it.sms.validity = "261301000000000+".into()), status::VALIDITY);
        assert_eq!(refused(|it| it.sms.validity = "250101000000000+".into()), status::VALIDITY, "over already");
        assert_eq!(
            refused(|it| {
                it.sms.schedule = "000003000000000R".into();
                it.sms.validity = "000002000000000R".into();
            }),
            status::VALIDITY,
            "over before it begins"
        );
        assert_eq!((desk.messages(), desk.is_quiet()), (vec![], true));
        assert_eq!(desk.totals(), Totals::default());
    });
}

#[test]
fn a_destination_with_a_plus_goes_the_same_way() {
    every_way(&config(), |desk| {
        let mut submit = submit("hello");
        submit.sms.destination.digits = "+4917".into();
        desk.accepted(submit);
        assert_eq!(desk.sent().1.sms.destination.digits, "+4917");
    });
}

#[test]
fn what_a_network_refuses_for_good_is_rejected_and_the_front_is_told() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.refuse(status::SOURCE);
        let report = desk.told_receipt();
        assert_eq!((report.message_id.as_str(), report.state), (&*id, State::Rejected));
        assert!(report.error.contains("0xa"), "{report:?}");
        desk.thanks();
        desk.wait(SECOND * 100);
        assert!(desk.is_quiet());
        assert_eq!(desk.totals(), Totals { accepted: 1, rejected: 1, ..Totals::default() });
    });
}

#[test]
fn what_a_network_without_receipts_has_taken_is_delivered() {
    let mut config = config();
    config["networks"]["smsc-a"]["receipts"] = false.into();
    every_way(&config, |desk| {
        let id = desk.accepted(submit("hello"));
        // It gives no names either.
        desk.take("");
        let report = desk.told_receipt();
        assert_eq!((report.message_id.as_str(), report.state), (&*id, State::Delivered));
        desk.thanks();
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}

#[test]
fn a_front_that_is_away_is_told_later_and_one_that_refuses_is_not() {
    every_way(&config(), |desk| {
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        desk.receipt("smsc-a", "n1", State::Delivered);
        for n in 0..6 {
            assert_eq!(desk.told_receipt().message_id, id, "{n}");
            match n % 3 {
                0 => desk.fail(CallFailure::Down),
                1 => desk.refuse(status::LATER),
                _ => desk.wait(SECOND * 30),
            }
            assert!(desk.until_called(SECOND * 10) >= SECOND / 2);
        }
        desk.refuse(status::UNWANTED);
        desk.wait(SECOND * 100);
        assert!(desk.is_quiet());
        assert_eq!(desk.messages()[0].phase, Phase::Ended);
    });
}

#[test]
fn a_session_that_is_opened_for_one_request_keeps_it_for_a_resident() {
    for seed in 0..8 {
        for carries in [false, true] {
            let mut called = Desk::open_as(tandem_component::Transport::Call, &config(), seed, carries);
            let id = called.accepted(submit("hello"));
            assert!(called.is_quiet());
            let mut resident = Desk::open(&config(), seed, carries);
            resident.follow(&mut called);
            assert!(resident.until_called(SECOND * 2) <= SECOND);
            resident.take("n1");
            // So does one that is opened for the receipt.
            let mut called = Desk::open_as(tandem_component::Transport::Call, &config(), seed, carries);
            called.follow(&mut resident);
            assert_eq!(called.receipt("smsc-a", "n1", State::Delivered), status::OK);
            assert!(called.is_quiet());
            resident.follow(&mut called);
            assert!(resident.until_called(SECOND * 2) <= SECOND, "a receipt is not late because nobody served");
            assert_eq!(resident.told_receipt().message_id, id);
            resident.thanks();
            assert_eq!(resident.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
        }
    }
}

#[test]
fn a_front_that_never_comes_back_is_given_up() {
    let mut config = config();
    config["keep"] = "1m".into();
    every_way(&config, |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        desk.receipt("smsc-a", "n1", State::Delivered);
        for second in 0..140 {
            if !desk.is_quiet() {
                assert!(second < 75, "after {second} s it is still told");
                desk.fail(CallFailure::Unknown);
            }
            desk.wait(SECOND);
        }
        assert_eq!((desk.messages(), desk.parts()), (vec![], vec![]));
        assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
    });
}
