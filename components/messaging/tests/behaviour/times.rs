//! When a message is sent, and until when.

use tandem_component::CallFailure;
use tandem_messaging::message::Phase;
use tandem_sms::State;

use crate::support::*;

#[test]
fn a_message_is_sent_when_its_time_has_come() {
    every_way(&config(), |desk| {
        let mut submit = submit("hello");
        submit.sms.schedule = "000000000100000R".into();
        let id = desk.accepted(submit);
        assert_eq!((desk.is_quiet(), desk.messages()[0].phase), (true, Phase::Queued));
        desk.wait(SECOND * 59);
        assert!(desk.is_quiet());
        desk.wait(SECOND * 2);
        // The network is not to wait as well.
        assert_eq!(desk.sent().1.sms.schedule, "");
        assert_eq!(desk.state(&id), State::Enroute);
    });
}

#[test]
fn what_no_network_has_taken_in_time_has_expired() {
    for (validity, seconds) in [("", 60), ("000000000130000R", 90)] {
        let mut config = config();
        config["validity"] = "1m".into();
        every_way(&config, |desk| {
            let mut submit = submit("hello");
            submit.sms.validity = validity.into();
            let id = desk.accepted(submit);
            for _ in 0..seconds - 1 {
                if !desk.is_quiet() {
                    desk.fail(CallFailure::Down);
                }
                assert_eq!(desk.state(&id), State::Enroute);
                desk.wait(SECOND);
            }
            if !desk.is_quiet() {
                desk.fail(CallFailure::Down);
            }
            desk.wait(SECOND * 3);
            let report = desk.told_receipt();
            assert_eq!((report.state, report.error.as_str()), (State::Expired, "Down"));
            desk.thanks();
            desk.wait(SECOND * 10);
            assert!(desk.is_quiet());
            assert_eq!(desk.totals(), Totals { accepted: 1, expired: 1, ..Totals::default() });
        });
    }
}

#[test]
fn what_a_network_never_tells_of_has_expired_an_hour_later() {
    let mut config = config();
    config["validity"] = "1m".into();
    for seed in [0, 1, 2] {
        let mut desk = Desk::open(&config, seed, false);
        let id = desk.accepted(submit("hello"));
        desk.take("n1");
        desk.wait(SECOND * 3650);
        assert_eq!((desk.is_quiet(), desk.state(&id)), (true, State::Enroute));
        desk.wait(SECOND * 20);
        assert_eq!((desk.told_receipt().state, desk.state(&id)), (State::Expired, State::Expired));
        desk.thanks();
        // It comes after all.
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), 0);
        assert_eq!((desk.is_quiet(), desk.state(&id)), (true, State::Expired));
        assert_eq!(desk.totals(), Totals { accepted: 1, expired: 1, ..Totals::default() });
    }
}
