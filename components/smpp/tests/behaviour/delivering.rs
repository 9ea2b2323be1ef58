//! What an SMSC's connector asks a service to deliver: it is a row when it is answered, and a receiver gets it.

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_smpp::Smpp;
use tandem_sms::State;
use tandem_sms::{Asked, Deliver, Delivered, Report, Submit, Submitted};

use crate::support::*;

fn gateway() -> Value {
    let mut config = config();
    config["submit_to"] = json!("smsc-a");
    config["accounts"] = json!({
        "acme": { "addresses": ["100", "49*"] },
        "other": { "addresses": ["4917*"], "queue": 2 },
    });
    config
}

/// Asks as the host does: by a session without a connection, on the same store.
fn ask(esme: &mut Esme, seed: u64, from: &str, asked: &Asked, before: impl Fn(&mut Harness<Smpp>)) -> u32 {
    let session = Harness::<Smpp>::start_as(&gateway(), Role::Server, Transport::Call).unwrap();
    let mut session = if seed == 0 { session } else { session.late(seed) };
    session.copy_rows(esme.session());
    // Chance is the same in each harness, so only the time tells their ids apart.
    session.advance(SECOND * u32::try_from(esme.messages().len()).unwrap());
    before(&mut session);
    let id = session.request(from, asked);
    let mut session = session.carry::<Smpp>(&gateway()).unwrap();
    let mut response = None;
    while response.is_none() {
        response = session.response::<Delivered>(id);
        session.advance(SECOND / 4);
    }
    let status = response.unwrap().status;
    assert_eq!(session.fault(), None);
    esme.session().copy_rows(&mut session);
    status
}

fn report(id: &str, state: State) -> Asked {
    let report = Report { message_id: id.to_owned(), state, error: "017".into(), intermediate: false };
    Asked::Deliver(Deliver { sms: sms("whatever"), receipt: Some(report), ..Deliver::default() })
}

fn each_way(test: impl Fn(&mut Esme, u64)) {
    for seed in 0..12 {
        for carries in [false, true] {
            println!("seed {seed}, carries {carries}");
            test(&mut Esme::connect(&gateway(), seed, carries, false), seed);
        }
    }
}

/// A message that the SMSC knows as `m1`.
fn submitted(esme: &mut Esme, registered: u8) -> String {
    esme.say(&submit_to("200", 2, "hello", registered, b"\x02\x04\0\x02\0\x07"));
    assert!(esme.session().calling().is_some());
    esme.session().reply(&Submitted { status: 0, message_id: "m1".into(), ..Submitted::default() });
    esme.carry();
    esme.heard()[0].text()
}

#[test]
fn a_receipt_finds_the_esme_under_the_id_that_it_knows() {
    each_way(|esme, seed| {
        esme.bind(TRANSCEIVER);
        let id = submitted(esme, 1);
        assert_eq!(ask(esme, seed, "smsc-a", &report("m1", State::Undeliverable), |_| {}), 0);
        esme.wait(SECOND * 5);
        let receipt = esme.heard().remove(0);
        let text = String::from_utf8_lossy(&receipt.body).into_owned();
        assert_eq!(receipt.id, DELIVER_SM);
        assert!(
            receipt.body.starts_with(b"\0\x02\x01200\0\x01\x01100\0\x04"),
            "from the destination, a receipt: {text:?}"
        );
        assert!(text.contains(&format!("id:{id} sub:001 dlvrd:000")), "{text:?}");
        assert!(text.contains("stat:UNDELIV err:017 text:hello"), "{text:?}");
        assert!(receipt.body.ends_with(b"\x02\x04\0\x02\0\x07"), "user_message_reference comes back");
        esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
        assert_eq!(ask(esme, seed, "smsc-a", &report("m1", State::Undeliverable), |_| {}), 0, "a second time");
        esme.wait(SECOND * 10);
        assert_eq!(esme.heard(), [], "once");
        assert_eq!(esme.ask(&query(9, &id, "100")).body.last_chunk(), Some(&[5, 0]));
    });
}

#[test]
fn nobody_gets_a_receipt_who_has_not_asked_for_it() {
    for (registered, state) in [(0, State::Delivered), (2, State::Delivered), (0x10, State::Delivered)] {
        each_way(|esme, seed| {
            esme.bind(TRANSCEIVER);
            submitted(esme, registered);
            assert_eq!(ask(esme, seed, "smsc-a", &report("m1", state), |_| {}), 0);
            esme.wait(SECOND * 10);
            assert_eq!(esme.heard(), []);
            assert_eq!(esme.messages()[0].state, state);
        });
    }
}

#[test]
fn a_receipt_of_no_message_is_refused_for_good() {
    each_way(|esme, seed| {
        esme.bind(TRANSCEIVER);
        submitted(esme, 1);
        assert_eq!(ask(esme, seed, "smsc-a", &report("m2", State::Delivered), |_| {}), RX_P_APPN);
        assert_eq!(ask(esme, seed, "smsc-b", &report("m1", State::Delivered), |_| {}), RX_P_APPN, "another SMSC's");
    });
}

#[test]
fn a_receipt_that_overtakes_the_commit_is_looked_for_again() {
    each_way(|esme, seed| {
        esme.bind(TRANSCEIVER);
        let session = Harness::<Smpp>::start_as(&gateway(), Role::Server, Transport::Call).unwrap();
        let mut session = if seed == 0 { session } else { session.late(seed) };
        let asked = session.request("smsc-a", &report("m1", State::Delivered));
        session.advance(SECOND / 2);
        assert_eq!(session.response::<Delivered>(asked), None);
        submitted(esme, 1);
        session.copy_rows(esme.session());
        session.advance(SECOND);
        assert_eq!(session.response::<Delivered>(asked).unwrap().status, 0);
    });
}

#[test]
fn a_message_under_way_stays_so() {
    each_way(|esme, seed| {
        esme.bind(TRANSCEIVER);
        submitted(esme, 1);
        let report =
            Report { message_id: "m1".into(), state: State::Enroute, error: String::new(), intermediate: true };
        let asked = Asked::Deliver(Deliver { sms: sms(""), receipt: Some(report), ..Deliver::default() });
        assert_eq!(ask(esme, seed, "smsc-a", &asked, |_| {}), 0);
        assert_eq!(esme.messages()[0].state, State::Enroute);
    });
}

#[test]
fn whoever_asks_for_intermediate_notifications_gets_them() {
    each_way(|esme, seed| {
        esme.bind(TRANSCEIVER);
        let id = submitted(esme, 0x11);
        let report = Report { message_id: "m1".into(), state: State::Enroute, error: "020".into(), intermediate: true };
        let asked = Asked::Deliver(Deliver { sms: sms(""), receipt: Some(report), ..Deliver::default() });
        assert_eq!(ask(esme, seed, "smsc-a", &asked, |_| {}), 0);
        esme.wait(SECOND * 10);
        let notification = esme.heard().remove(0);
        let text = String::from_utf8_lossy(&notification.body).into_owned();
        assert!(notification.body.starts_with(b"\0\x02\x01200\0\x01\x01100\0\x20"), "{text:?}");
        assert!(
            text.contains(&format!("id:{id} sub:001 dlvrd:000")) && text.contains("stat:ENROUTE err:020"),
            "{text:?}"
        );
        esme.say(&answer(DELIVER_SM | RESP, 0, notification.sequence, b"\0"));
        assert_eq!(ask(esme, seed, "smsc-a", &self::report("m1", State::Delivered), |_| {}), 0);
        esme.wait(SECOND * 10);
        assert_eq!(esme.heard().len(), 1, "the receipt");
    });
}

#[test]
fn a_message_of_a_phone_is_for_the_account_with_the_address_that_fits_best() {
    each_way(|esme, seed| {
        for (to, account) in [("100", Some("acme")), ("4930", Some("acme")), ("49171", Some("other")), ("1", None)] {
            let mut sms = sms("\x05\0\x03\x07\x02\x01hello");
            (sms.destination.digits, sms.esm_class, sms.data_coding) = (to.into(), 0x40, 8);
            sms.tlvs = b"\x14\x00\0\x03abc".to_vec();
            let asked = Asked::Deliver(Deliver { sms, receipt: None, ..Deliver::default() });
            let status = ask(esme, seed, "smsc-a", &asked, |_| {});
            assert_eq!(status, if account.is_some() { 0 } else { RX_P_APPN }, "{to}");
        }
        let messages = esme.messages();
        assert_eq!(messages.iter().filter(|it| it.receipt_for.as_deref() == Some("acme")).count(), 2);
        assert_eq!(messages.iter().filter(|it| it.receipt_for.as_deref() == Some("other")).count(), 1);
        esme.wait(SECOND * 10);
        esme.bind_later(RECEIVER);
        let mut heard = esme.heard();
        heard.retain(|pdu| pdu.id == DELIVER_SM);
        heard.sort_by(|one, other| one.body.cmp(&other.body));
        assert_eq!(heard.len(), 2);
        let expected =
            b"\0\x01\x01100\0\x02\x01100\0\x40\0\0\0\0\0\0\x08\0\x0b\x05\0\x03\x07\x02\x01hello\x14\x00\0\x03abc";
        assert_eq!(heard[0].body, expected, "as it came");
        // What is the account's to receive is not the account's to ask after.
        let id = esme.messages()[0].message_id.clone();
        esme.say(&query(9, &id, "100"));
        assert_ne!(esme.heard()[0].status, 0);
    });
}

#[test]
fn what_cannot_be_written_down_is_left_with_the_smsc() {
    each_way(|esme, seed| {
        esme.bind(TRANSCEIVER);
        submitted(esme, 1);
        let fails = |session: &mut Harness<Smpp>| session.fail_store(Some(StoreFailure::Unavailable));
        let mut message = sms("hi");
        message.destination.digits = "100".into();
        let message = Asked::Deliver(Deliver { sms: message, receipt: None, ..Deliver::default() });
        assert_eq!(ask(esme, seed, "smsc-a", &message, fails), RX_T_APPN);
        assert_eq!(ask(esme, seed, "smsc-a", &report("m1", State::Delivered), fails), RX_T_APPN);
        assert_eq!(esme.messages().len(), 1);
    });
}

#[test]
fn what_is_no_delivery_is_refused() {
    let session = || Harness::<Smpp>::start_as(&gateway(), Role::Server, Transport::Call).unwrap();
    let mut asked = session();
    let id = asked.request("smsc-a", &"nonsense");
    assert_eq!(asked.response::<Delivered>(id).unwrap().status, RINVCMDID);
    let mut asked = session();
    let id = asked.request("smsc-a", &Asked::Submit(Submit::default()));
    assert_eq!(asked.response::<Submitted>(id).unwrap().status, RINVCMDID);
}

#[test]
fn what_is_too_much_for_an_account_is_left_with_the_smsc() {
    each_way(|esme, seed| {
        let mut message = sms("hi");
        message.destination.digits = "49171".into();
        let message = Asked::Deliver(Deliver { sms: message, receipt: None, ..Deliver::default() });
        for status in [0, 0, RMSGQFUL] {
            assert_eq!(ask(esme, seed, "smsc-a", &message, |_| {}), status);
        }
        esme.wait(SECOND * 20);
        esme.say(&bind(RECEIVER, 1, "other", "hidden"));
        let mut heard = esme.heard();
        heard.retain(|pdu| pdu.id == DELIVER_SM);
        assert_eq!(heard.len(), 2);
        esme.say(&answer(DELIVER_SM | RESP, 0, heard[0].sequence, b"\0"));
        assert_eq!(esme.heard(), []);
        assert_eq!(ask(esme, seed, "smsc-a", &message, |_| {}), 0);
    });
}
