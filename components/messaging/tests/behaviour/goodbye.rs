//! A session that is to end does what it has begun, and begins nothing.

use tandem_component::Stream;
use tandem_component::harness::Ending;
use tandem_messaging::message::Phase;
use tandem_sms::{State, status};

use crate::support::*;

#[test]
fn one_with_nothing_under_way_ends_at_once() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert!(desk.is_quiet());
        desk.session().drain(SECOND * 10);
        assert_eq!(desk.session().ending(Stream::OWN), Some(Ending::Closed));
        assert_eq!(desk.messages()[0].phase, Phase::Sent);
    });
}

#[test]
fn answers_are_waited_for_and_written_down() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.accepted(submit("told"));
        assert!(desk.session().serving());
        desk.session().drain(SECOND * 10);
        assert!(!desk.session().serving());
        assert_eq!(desk.session().ending(Stream::OWN), None);
        desk.take("n1");
        assert_eq!(desk.session().ending(Stream::OWN), None);
        desk.take("n2");
        assert_eq!(desk.session().ending(Stream::OWN), Some(Ending::Closed));
        assert!(desk.messages().iter().all(|message| message.phase == Phase::Sent));
    });
}

#[test]
fn a_front_that_is_told_something_is_waited_for_as_well() {
    every_way(&config(), |desk| {
        desk.accepted(submit("hello"));
        desk.take("n1");
        assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
        desk.session().drain(SECOND * 10);
        assert_eq!(desk.session().ending(Stream::OWN), None);
        desk.thanks();
        assert_eq!(desk.session().ending(Stream::OWN), Some(Ending::Closed));
        assert_eq!(desk.messages()[0].phase, Phase::Ended);
    });
}

#[test]
fn what_waits_is_left_to_others() {
    let mut config = config();
    config["networks"]["smsc-a"]["window"] = 2.into();
    every_way(&config, |desk| {
        for n in 0..10 {
            desk.accepted(submit(&format!("{n}")));
        }
        desk.session().drain(SECOND * 10);
        desk.wait(SECOND * 2);
        let mut taken = 0;
        while !desk.is_quiet() {
            taken += 1;
            desk.take(&format!("n{taken}"));
        }
        assert_eq!(taken, 2);
        assert_eq!(desk.session().ending(Stream::OWN), Some(Ending::Closed));
        assert_eq!(desk.messages().iter().filter(|message| message.phase == Phase::Queued).count(), 8);
    });
}
