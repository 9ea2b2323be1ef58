//! Messages of phones: kept for their account, handed to its front.

use tandem_component::CallFailure;
use tandem_sms::{Asked, Delivered, status};

use crate::support::*;

#[test]
fn a_message_goes_to_the_front_of_the_account_whose_address_fits_best() {
    for (to, account, front) in
        [("100", "acme", "esme"), ("2001", "acme", "esme"), ("20055", "other", "web"), ("+20055", "other", "web")]
    {
        every_way(&config(), |desk| {
            let id = desk.request("smsc-a", &Asked::Deliver(from_a_phone(to, "stop")));
            // It is kept before that is answered.
            assert_eq!(desk.session().response(id), Some(Delivered { status: status::OK }));
            assert_eq!(desk.incoming()[0].account, account);
            let (service, told) = desk.told();
            assert_eq!((service.as_str(), told.account.as_str(), told.receipt), (front, account, None));
            assert_eq!((told.sms.short_message.as_slice(), told.sms.destination.digits.as_str()), (&b"stop"[..], to));
            desk.thanks();
            assert_eq!(desk.incoming(), []);
            desk.wait(SECOND * 70);
            assert!(desk.is_quiet());
        });
    }
}

#[test]
fn a_message_for_nobodys_address_is_not_wanted() {
    every_way(&config(), |desk| {
        assert_eq!(desk.delivered("smsc-a", from_a_phone("1000", "stop")), status::UNWANTED);
        assert_eq!((desk.incoming(), desk.is_quiet()), (vec![], true));
    });
}

#[test]
fn it_is_kept_until_its_front_is_there_and_has_one_name() {
    every_way(&config(), |desk| {
        assert_eq!(desk.delivered("smsc-a", from_a_phone("100", "stop")), status::OK);
        let name = desk.told().1.id;
        assert!(!name.is_empty());
        for n in 0..6 {
            assert_eq!(desk.told().1.id, name);
            match n % 3 {
                0 => desk.fail(CallFailure::Down),
                1 => desk.refuse(status::FULL),
                _ => desk.wait(SECOND * 30),
            }
            assert!(desk.until_called(SECOND * 10) >= SECOND / 2);
            assert_eq!(desk.incoming().len(), 1);
        }
        desk.thanks();
        assert_eq!(desk.incoming(), []);
    });
}

#[test]
fn what_its_front_refuses_for_good_is_dropped() {
    every_way(&config(), |desk| {
        assert_eq!(desk.delivered("smsc-a", from_a_phone("100", "stop")), status::OK);
        desk.refuse(status::UNWANTED);
        assert_eq!((desk.incoming(), desk.is_quiet()), (vec![], true));
    });
}

#[test]
fn what_cannot_be_kept_is_refused_for_now() {
    every_way(&config(), |desk| {
        desk.store(false);
        assert_eq!(desk.delivered("smsc-a", from_a_phone("100", "stop")), status::LATER);
        desk.store(true);
        assert_eq!((desk.incoming(), desk.is_quiet()), (vec![], true));
    });
}

#[test]
fn many_that_wait_for_one_front_are_all_handed_on() {
    for seed in [0, 1] {
        let mut desk = Desk::open(&config(), seed, false);
        for n in 0..150 {
            assert_eq!(desk.delivered("smsc-a", from_a_phone("100", &format!("{n}"))), status::OK);
        }
        for _ in 0..150 {
            desk.fail(CallFailure::Down);
        }
        desk.wait(SECOND * 4);
        while !desk.is_quiet() {
            desk.thanks();
        }
        assert_eq!(desk.incoming().len(), 0);
    }
}

#[test]
fn a_session_that_is_opened_for_it_keeps_it_for_a_resident() {
    for seed in 0..8 {
        let mut called = Desk::open_as(tandem_component::Transport::Call, &config(), seed, true);
        assert_eq!(called.delivered("smsc-a", from_a_phone("100", "stop")), status::OK);
        assert!(called.is_quiet());
        let mut resident = Desk::open(&config(), seed, true);
        resident.follow(&mut called);
        resident.until_called(SECOND * 2);
        assert_eq!(resident.told().1.sms.short_message, b"stop");
    }
}

#[test]
fn what_a_front_never_takes_is_dropped_in_the_end() {
    let mut config = config();
    config["keep"] = "1m".into();
    every_way(&config, |desk| {
        assert_eq!(desk.delivered("smsc-a", from_a_phone("100", "stop")), status::OK);
        for second in 0..80 {
            if !desk.is_quiet() {
                desk.fail(CallFailure::Unknown);
            }
            assert!(second > 55 || desk.incoming().len() == 1);
            desk.wait(SECOND);
        }
        assert_eq!((desk.incoming(), desk.is_quiet()), (vec![], true));
    });
}
