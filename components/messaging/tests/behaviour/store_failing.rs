//! Nothing can be stored for a while: nothing is lost, and nothing is told that is not stored.

use tandem_messaging::message::Phase;
use tandem_sms::{State, Submit, Submitted, status};

use crate::nobody::Change;
use crate::support::*;

#[test]
fn a_submission_is_refused_for_now() {
    for key in [None, Some("k".to_owned())] {
        every_way(&config(), |desk| {
            let submit = || Submit { key: key.clone(), ..submit("hello") };
            desk.store(false);
            let Submitted { status, message_id, .. } = desk.submit(submit());
            assert_eq!((status, message_id.as_str()), (status::TEMPORARY, ""));
            assert!(desk.is_quiet());
            desk.store(true);
            assert_eq!((desk.messages(), desk.totals()), (vec![], Totals::default()));
            desk.accepted(submit());
            assert_eq!(desk.sent().1.sms.short_message, b"hello");
        });
    }
}

/// What cannot be written down at each step of a message's life, for as long as that lasts.
#[test]
fn no_step_is_lost() {
    for step in [Step::Taken, Step::Receipt, Step::Thanks] {
        for failing in [1, 20, 90] {
            every_way(&config(), |desk| {
                let through = |desk: &mut Desk, at: Step, what: &dyn Fn(&mut Desk)| {
                    assert_eq!(desk.session().fault(), None);
                    desk.store(at != step);
                    what(desk);
                    if at == step {
                        desk.wait(SECOND * failing);
                        desk.store(true);
                    }
                };
                let id = desk.accepted(submit("hello"));
                through(desk, Step::Taken, &|desk| desk.take("n1"));
                for _ in 0..45 {
                    desk.wait(SECOND);
                    // It may have to be sent again, since nobody knows that it was taken.
                    if !desk.is_quiet() {
                        desk.take("n1");
                    }
                }
                let message = desk.messages().remove(0);
                assert_eq!((message.phase, message.state), (Phase::Sent, State::Enroute));
                // Unless nobody could write it down in all the time that there was for that.
                assert_eq!(message.maybe_twice, step == Step::Taken && failing == 90);
                through(desk, Step::Receipt, &|desk| {
                    let expected = if step == Step::Receipt { status::LATER } else { status::OK };
                    assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), expected);
                });
                assert_eq!(desk.receipt("smsc-a", "n1", State::Delivered), status::OK);
                assert_eq!(desk.told_receipt().message_id, id);
                through(desk, Step::Thanks, &Desk::thanks);
                for _ in 0..70 {
                    if !desk.is_quiet() {
                        assert_eq!((desk.told_receipt().message_id.as_str(), step), (&*id, Step::Thanks));
                        desk.thanks();
                    }
                    desk.wait(SECOND);
                }
                assert_eq!((desk.messages()[0].phase, desk.state(&id)), (Phase::Ended, State::Delivered));
                assert_eq!(desk.totals(), Totals { accepted: 1, delivered: 1, ..Totals::default() });
            });
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Taken,
    Receipt,
    Thanks,
}

/// That the network has all of it, is written down later.
#[test]
fn a_session_goes_on_through_all_of_it() {
    for seed in 1..128 {
        let mut desk = Desk::open(&config(), seed, false);
        let id = desk.accepted(submit("hello"));
        let (network, network_id) = ("smsc-a".to_owned(), "n1".to_owned());
        let part = Part { network, network_id, id: id.clone(), part: 1, state: State::Enroute, error: String::new() };
        desk.fail(tandem_component::CallFailure::TimedOut);
        assert!(desk.is_quiet());
        desk.change(&Change::Part(part));
        // Its lease runs out about now.
        desk.wait(SECOND * 39);
        for _ in 0..seed % 16 {
            desk.session().advance(SECOND / 5);
            desk.elapsed += SECOND / 5;
        }
        desk.store(false);
        desk.wait(SECOND * 5);
        assert_eq!(desk.session().fault(), None, "seed {seed}");
        desk.store(true);
        desk.wait(SECOND * 90);
        assert_eq!(desk.messages()[0].phase, Phase::Sent, "seed {seed}");
    }
}
