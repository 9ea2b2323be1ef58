//! Networks that are given so many in a span, and those that say that they are given too much.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_messaging::message::Phase;
use tandem_sms::{Asked, State, Submitted, status};

use crate::support::*;

const STEP: Duration = Duration::from_millis(100);

/// Two networks, of which one has a throttle.
fn throttled(throttle: Value) -> Value {
    let mut config = config();
    config["routes"] = json!([{ "prefix": "49", "to": { "smsc-a": 1 } }, { "prefix": "33", "to": { "smsc-b": 1 } }]);
    config["networks"] = json!({ "smsc-a": { "throttle": throttle } });
    config
}

/// Takes all that the throttled network is asked for, and says how much that was.
fn take_all(desk: &mut Desk, taken: &mut Vec<String>) -> usize {
    let before = taken.len();
    while !desk.is_quiet() {
        let (network, submit) = desk.sent();
        assert_eq!(network, "smsc-a");
        taken.push(submit.id);
        desk.take(&format!("n{}", taken.len()));
    }
    taken.len() - before
}

#[test]
fn a_network_is_given_what_its_throttle_allows_and_the_rest_waits() {
    every_way(&throttled(json!({ "of": 5, "per": "1s", "burst": 3 })), |desk| {
        (0..30).for_each(|n| drop(desk.accepted(submit(&format!("{n}")))));
        let (mut taken, mut at) = (Vec::new(), Duration::ZERO);
        take_all(desk, &mut taken);
        assert!(!taken.is_empty() && taken.len() <= 3, "{} at once", taken.len());
        while taken.len() < 30 {
            desk.wait(STEP);
            at += STEP;
            take_all(desk, &mut taken);
            let allowed = 3 + at.as_millis() / 200;
            assert!(taken.len() as u128 <= allowed, "{} in {at:?}", taken.len());
            assert!(at < SECOND * 30, "{} in {at:?}", taken.len());
        }
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 30);
        assert!(desk.messages().iter().all(|message| message.phase == Phase::Sent && message.tries == 0));
    });
}

#[test]
fn a_throttle_is_held_closely() {
    for (throttle, count, takes) in [
        (json!("50/s"), 110, Duration::from_secs(2)),
        (json!({ "of": 20, "per": "1s", "burst": 1 }), 41, Duration::from_secs(2)),
    ] {
        let mut desk = Desk::open(&throttled(throttle.clone()), 0, false);
        (0..count).for_each(|n| drop(desk.accepted(submit(&format!("{n}")))));
        let (mut taken, mut at) = (Vec::new(), Duration::ZERO);
        while taken.len() < count {
            desk.session().advance(Duration::from_millis(5));
            at += Duration::from_millis(5);
            take_all(&mut desk, &mut taken);
        }
        assert!((takes..=takes * 103 / 100).contains(&at), "{throttle}: {at:?}");
    }
}

#[test]
fn what_is_used_is_used_for_whoever_comes_next() {
    every_way(&throttled(json!({ "of": 1, "per": "1h", "burst": 4 })), |desk| {
        (0..10).for_each(|n| drop(desk.accepted(submit(&format!("{n}")))));
        let mut taken = Vec::new();
        desk.wait(SECOND * 3);
        take_all(desk, &mut taken);
        assert_eq!(taken.len(), 4);
        // Another worker, a run after a crash, a version with another burst.
        let mut other = desk.another();
        other.wait(SECOND * 3);
        assert!(other.is_quiet());
        desk.restart(SECOND);
        desk.wait(SECOND * 3);
        assert!(desk.is_quiet());
        desk.configure(&throttled(json!({ "of": 1, "per": "1h", "burst": 6 })));
        desk.wait(SECOND * 3);
        take_all(desk, &mut taken);
        assert_eq!(taken.len(), 6);
        desk.configure(&throttled(Value::Null));
        desk.wait(SECOND * 3);
        take_all(desk, &mut taken);
        assert_eq!(taken.len(), 10);
    });
}

#[test]
fn a_throttled_network_holds_nobody_else_up_and_what_waits_can_be_cancelled_and_expires() {
    every_way(&throttled(json!("1/h")), |desk| {
        let mut short = submit("one");
        short.sms.validity = "000000000200000R".into();
        let ids: Vec<String> = (0..3).map(|_| desk.accepted(short.clone())).collect();
        desk.wait(SECOND * 2);
        desk.take("n1");
        let sent = desk.messages().into_iter().find(|message| message.phase == Phase::Sent).unwrap().id;
        let left: Vec<&String> = ids.iter().filter(|id| **id != sent).collect();
        let mut other = submit("other");
        other.sms.destination.digits = "33".into();
        desk.accepted(other);
        assert_eq!(desk.sent().0, "smsc-b");
        desk.take("m1");
        assert_eq!(desk.cancel("acme", left[0]), status::OK);
        assert_eq!(desk.told_receipt().state, State::Deleted);
        desk.thanks();
        desk.wait(SECOND * 125);
        assert_eq!(desk.state(left[1]), State::Expired);
    });
}

#[test]
fn a_message_of_more_parts_than_the_burst_goes_all_the_same() {
    every_way(&throttled(json!({ "of": 1, "per": "1s", "burst": 2 })), |desk| {
        let mut long = submit("");
        long.text = Some("a long text ".repeat(60));
        desk.accepted(long);
        desk.accepted(submit("short"));
        desk.wait(SECOND * 2);
        let mut parts = 0;
        while !desk.is_quiet() {
            parts += 1;
            desk.take(&format!("n{parts}"));
        }
        assert_eq!(parts, 5);
        desk.wait(SECOND);
        assert!(desk.is_quiet(), "what it took beyond the burst is missing");
        desk.wait(SECOND * 4);
        assert_eq!(desk.sent().1.sms.short_message, b"short");
    });
}

#[test]
fn a_network_that_has_too_much_to_do_is_left_alone_for_longer_each_time_and_goes_on_little_by_little() {
    for too_much in [status::THROTTLED, status::FULL] {
        every_way(&throttled(Value::Null), |desk| {
            (0..20).for_each(|n| drop(desk.accepted(submit(&format!("{n}")))));
            let mut waits = Vec::new();
            for round in 0..4 {
                let mut asked = 0;
                while !desk.is_quiet() {
                    asked += 1;
                    desk.refuse(too_much);
                }
                // At first all of them, which were on their way; then one, to see.
                assert_eq!(asked, if round == 0 { 20 } else { 1 });
                // Others go on.
                let mut other = submit("other");
                other.sms.destination.digits = "33".into();
                desk.accepted(other);
                assert_eq!(desk.sent().0, "smsc-b");
                desk.take(&format!("m{round}"));
                waits.push(desk.until_called(SECOND * 12).as_millis());
            }
            for (wait, doubled) in waits.iter().zip([1000, 2000, 4000, 8000]) {
                assert!((doubled * 3 / 4..=doubled + 2000).contains(wait), "{waits:?}");
            }
            // Nothing is lost: each goes on once there is room, which there is twice as much of with each round.
            let mut taken = Vec::new();
            for _ in 0..40 {
                take_all(desk, &mut taken);
                desk.wait(SECOND);
            }
            taken.sort();
            taken.dedup();
            assert_eq!(taken.len(), 20);
        });
    }
}

#[test]
fn what_has_just_come_takes_nothing_from_those_that_wait() {
    every_way(&throttled(json!({ "of": 5, "per": "1s", "burst": 3 })), |desk| {
        let texts = |from: usize, to: usize| (from..to).map(|n| format!("{n:03}")).collect::<Vec<_>>();
        texts(0, 30).iter().for_each(|text| drop(desk.accepted(submit(text))));
        let mut sent = Vec::new();
        for text in texts(30, 300).chunks(8) {
            for text in text {
                desk.request("esme", &Asked::Submit(submit(text)));
            }
            while !desk.is_quiet() {
                sent.push(String::from_utf8(desk.sent().1.sms.short_message).unwrap());
                desk.take(&format!("n{}", sent.len()));
            }
            desk.wait(Duration::from_millis(100));
        }
        // All of them are among the first: those that came before the next look passed by.
        assert!(sent.len() >= 15, "{sent:?}");
        assert!(sent.iter().all(|text| text.as_str() < "050"), "{sent:?}");
    });
}

#[test]
fn a_network_that_takes_some_each_time_is_not_left_alone_for_longer_and_longer() {
    every_way(&throttled(Value::Null), |desk| {
        (0..60).for_each(|n| drop(desk.accepted(submit(&format!("{n}")))));
        // It takes ten, and refuses what comes with them, each time.
        let (mut taken, mut waits) = (0, Vec::new());
        while taken < 60 {
            let mut now = 0;
            while !desk.is_quiet() {
                if now < 10 {
                    (now, taken) = (now + 1, taken + 1);
                    desk.take(&format!("n{taken}"));
                } else {
                    desk.refuse(status::THROTTLED);
                }
            }
            if taken < 60 {
                waits.push(desk.until_called(SECOND * 12).as_millis());
            }
        }
        assert!(waits.iter().all(|wait| *wait <= 3000), "{waits:?}");
    });
}

#[test]
fn a_queue_that_is_ours_and_full_is_no_sign_of_the_network() {
    every_way(&throttled(Value::Null), |desk| {
        desk.accepted(submit("one"));
        desk.reply(&Submitted { status: status::FULL, limit: "queue".into(), ..Submitted::default() });
        desk.accepted(submit("two"));
        assert_eq!(desk.sent().1.sms.short_message, b"two", "it goes at once");
        desk.take("n2");
        desk.until_called(SECOND * 3);
        assert_eq!(desk.sent().1.sms.short_message, b"one");
    });
}
