//! What networks take and refuse: windows, waits, and the next one.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::{State, status};

use crate::support::*;

/// Two networks for 49, one for 33.
fn three() -> Value {
    let mut config = config();
    config["routes"] = json!([
        { "prefix": "49", "to": { "smsc-a": 1, "smsc-b": 0 } },
        { "prefix": "+33", "to": { "smsc-c": 1 } },
    ]);
    config["networks"] = json!({ "smsc-a": { "window": 3 }, "smsc-b": { "window": 3 } });
    config
}

#[test]
fn what_is_refused_for_now_is_sent_again_later_and_by_the_next_network() {
    let hows: [fn(&mut Desk); 5] = [
        |desk| desk.refuse(status::TEMPORARY),
        |desk| desk.refuse(status::LATER),
        |desk| desk.fail(CallFailure::Down),
        |desk| desk.fail(CallFailure::Unknown),
        |desk| desk.fail(CallFailure::Full),
    ];
    for how in hows {
        every_way(&three(), |desk| {
            let id = desk.accepted(submit("hello"));
            let (mut waits, mut networks) = (Vec::new(), vec![desk.sent().0]);
            for _ in 0..5 {
                how(desk);
                assert!(desk.is_quiet());
                assert_eq!(desk.state(&id), State::Enroute);
                waits.push(desk.until_called(SECOND * 12).as_millis());
                networks.push(desk.sent().0);
            }
            assert_eq!(networks, ["smsc-a", "smsc-b", "smsc-a", "smsc-b", "smsc-a", "smsc-b"]);
            // From 1 s on twice as long each time, up to 8 s, a quarter of it by chance; and looked for once a second.
            for (wait, doubled) in waits.iter().zip([1000, 2000, 4000, 8000, 8000]) {
                assert!((doubled * 3 / 4..=doubled + 1500).contains(wait), "{waits:?}");
            }
            desk.take("n1");
            assert_eq!(desk.receipt("smsc-b", "n1", State::Delivered), status::OK);
            assert!(!desk.messages()[0].maybe_twice);
            assert_eq!(desk.told_receipt().state, State::Delivered);
        });
    }
}

#[test]
fn networks_have_their_shares() {
    let mut config = three();
    config["routes"][0]["to"] = json!({ "smsc-a": 3, "smsc-b": 1 });
    config["networks"] = json!({});
    let mut desk = Desk::open(&config, 0, false);
    let (mut a, mut b) = (0, 0);
    for n in 0..400 {
        desk.accepted(submit(&format!("{n}")));
        let network = desk.sent().0;
        *if network == "smsc-a" { &mut a } else { &mut b } += 1;
        desk.take(&format!("n{n}"));
    }
    assert!((250..350).contains(&a) && a + b == 400, "{a} and {b}");
}

#[test]
fn a_route_may_be_an_accounts_own() {
    let mut config = config();
    config["routes"] = json!([
        { "prefix": "49", "account": "other", "to": { "smsc-b": 1 } },
        { "prefix": "49", "to": { "smsc-a": 1 } },
    ]);
    every_way(&config, |desk| {
        desk.accepted(submit("hello"));
        assert_eq!(desk.sent().0, "smsc-a");
        desk.take("n1");
        desk.accepted(tandem_sms::Submit { account: "other".into(), ..submit("hello") });
        assert_eq!(desk.sent().0, "smsc-b");
    });
}

#[test]
fn a_message_whose_route_is_gone_expires() {
    every_way(&config(), |desk| {
        let mut submit = submit("hello");
        submit.sms.validity = "000000000130000R".into();
        let id = desk.accepted(submit);
        desk.refuse(status::THROTTLED);
        let mut other = config();
        other["routes"][0]["prefix"] = "33".into();
        desk.configure(&other);
        desk.wait(SECOND * 20);
        assert!(desk.is_quiet());
        assert_eq!(desk.state(&id), State::Enroute);
        desk.wait(SECOND * 75);
        assert_eq!((desk.state(&id), desk.told_receipt().state), (State::Expired, State::Expired));
        desk.thanks();
        assert_eq!(desk.totals(), Totals { accepted: 1, expired: 1, ..Totals::default() });
    });
}

#[test]
fn no_more_is_with_a_network_than_its_window_and_the_rest_follows() {
    let mut config = config();
    config["networks"]["smsc-a"]["window"] = 3.into();
    every_way(&config, |desk| {
        for n in 0..20 {
            desk.accepted(submit(&format!("{n}")));
        }
        desk.wait(SECOND * 3);
        let mut taken = Vec::new();
        while !desk.is_quiet() {
            let sending = desk.messages().iter().filter(|message| message.phase == Phase::Sending).count();
            assert!(sending <= 3, "{sending} are with a network whose window is 3");
            taken.push(desk.sent().1.sms.short_message);
            desk.take(&format!("n{}", taken.len()));
        }
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 20, "each once, and none waits for a timer");
        assert!(desk.messages().iter().all(|message| message.phase == Phase::Sent));
    });
}

/// There is room again, but not so much that others are looked for.
#[test]
fn what_waits_for_room_is_not_overtaken_by_what_comes_later() {
    let mut config = config();
    config["networks"]["smsc-a"]["window"] = 4.into();
    every_way(&config, |desk| {
        let accept = |desk: &mut Desk, n: u32| {
            desk.accepted(submit(&format!("{n}")));
            desk.wait(Duration::from_millis(1));
        };
        (0..5).for_each(|n| accept(desk, n));
        let mut sent = Vec::new();
        for n in 5..12 {
            sent.push(desk.sent().1.sms.short_message);
            desk.take(&format!("n{n}"));
            accept(desk, n);
        }
        while !desk.is_quiet() {
            sent.push(desk.sent().1.sms.short_message);
            desk.take(&format!("n{}", 5 + sent.len()));
        }
        let said: Vec<usize> = sent.iter().map(|said| str::from_utf8(said).unwrap().parse().unwrap()).collect();
        // Those that are looked for together go in any order.
        let overtaken = |(place, n): (usize, &usize)| place > n + 4;
        assert!(said.len() == 12 && !said.iter().enumerate().any(overtaken), "{said:?}");
    });
}

#[test]
fn a_network_whose_window_is_full_holds_nobody_else_up() {
    let mut config = three();
    config["networks"]["smsc-a"]["window"] = 1.into();
    config["routes"][0]["to"] = json!({ "smsc-a": 1 });
    config["networks"].as_object_mut().unwrap().remove("smsc-b");
    for seed in [0, 1] {
        let mut desk = Desk::open(&config, seed, false);
        for n in 0..260 {
            desk.accepted(submit(&format!("{n}")));
        }
        // One for the other network, whose time comes when there is a long queue for the first.
        let mut other = submit("other");
        other.sms.destination.digits = "33".into();
        other.sms.schedule = "000000000005000R".into();
        let id = desk.accepted(other);
        desk.wait(SECOND * 8);
        let phase = desk.messages().into_iter().find(|message| message.id == id).unwrap().phase;
        assert_eq!(phase, Phase::Sending, "seed {seed}");
    }
}
