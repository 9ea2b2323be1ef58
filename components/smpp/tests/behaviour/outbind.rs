//! An SMSC asks for a bind (section 2.2.1), from either end.

use serde_json::{Value, json};
use tandem_component::prelude::Role;

use crate::support::*;

fn answers() -> Value {
    let mut config = connector();
    config["outbind"] = json!("answer");
    config
}

#[test]
fn an_smsc_that_we_know_is_bound_to_as_a_receiver() {
    every_way(&answers(), |smsc| {
        let bind = smsc.ask(&pdu(OUTBIND, 4, b"acme\0secret\0"));
        assert_eq!((bind.id, bind.sequence), (RECEIVER, 1));
        assert!(bind.body.starts_with(b"tandem\0sesame\0"));
        smsc.say(&answer(RECEIVER | RESP, 0, 1, b"acme\0"));
        smsc.say(&deliver(5, 0, "waited for you", &[]));
        assert!(smsc.session().calling().is_some());
        assert!(!smsc.session().serving());
    });
}

#[test]
fn an_smsc_that_we_do_not_know_is_left() {
    for body in [&b"acme\0wrong\0"[..], b"nobody\0secret\0"] {
        every_way(&answers(), |smsc| {
            smsc.say(&pdu(OUTBIND, 4, body));
            assert_eq!(smsc.heard(), []);
            assert!(smsc.is_closed());
        });
    }
}

#[test]
fn an_outbind_where_none_is_expected_is_nacked() {
    every_way(&config(), |smsc| assert_eq!(smsc.ask(&pdu(OUTBIND, 4, b"acme\0secret\0")).status, RINVCMDID));
    every_way(&answers(), |smsc| {
        assert_eq!(smsc.ask(&pdu(OUTBIND, 4, b"acme")).status, RINVCMDLEN);
        assert!(smsc.is_closed());
    });
    every_way_out(&answers(), |smsc| {
        smsc.welcome();
        assert_eq!(smsc.ask(&pdu(OUTBIND, 4, b"acme\0secret\0")).status, RINVBNDSTS);
    });
}

#[test]
fn we_ask_an_esme_to_bind_and_serve_it() {
    let mut config = config();
    config["outbind"] = json!("send");
    config["password"] = json!("sesame");
    for seed in 0..12 {
        for carries in [false, true] {
            let mut esme = Esme::connect_as(Role::Client, &config, seed, carries, false);
            let body = b"tandem\0sesame\0".to_vec();
            assert_eq!(esme.heard(), [Pdu { id: OUTBIND, status: 0, sequence: 1, body }]);
            esme.bind(RECEIVER);
            assert!(!esme.session().serving());
            assert_eq!(esme.ask(&pdu(UNBIND, 2, &[])).status, 0);
        }
    }
    let mut esme = Esme::connect_as(Role::Client, &config, 0, false, false);
    esme.wait(SECOND * 30);
    assert!(esme.is_closed(), "an ESME that does not bind");
}
