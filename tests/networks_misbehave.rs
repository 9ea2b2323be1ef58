//! An SMSC that is down, refuses for now, answers late, twice, never, or of what never was: each message ends once and as it should,
//! what may be there twice is marked, and the bind stays.

use std::time::Duration;

use serde_json::{Value, json};
use support::esme::{GENERIC_NACK, RESPONSE, SUBMIT_SM};
use support::{Applications, Network, Pdu, Setup, eventually, libraries, settled};

const RSYSERR: u32 = 0x08;
const RINVDSTADR: u32 = 0x0b;
const RMSGQFUL: u32 = 0x14;
const RTHROTTLED: u32 = 0x58;

#[test]
fn what_is_sent_while_it_is_down_is_there_once_when_it_is_up() {
    let mut network = Network::down();
    let place = Applications::start(network.port, Setup::default());
    let ids: Vec<String> = (0..5).map(|n| place.send(&format!("message {n}"))).collect();
    eventually("it was tried", || (tries(&place) > 5).then_some(()));
    for id in &ids {
        assert_eq!(said(&place, id), ("ENROUTE".to_owned(), Value::Null, Value::Null));
    }
    network.come_up();
    let mut line = network.bound();
    let mut texts = Vec::new();
    for n in 0..5 {
        let submitted = line.submitted();
        texts.push(text(&submitted));
        line.name(&submitted, &format!("n{n}"));
        line.tell(&format!("n{n}"), "DELIVRD");
    }
    texts.sort();
    assert_eq!(texts, (0..5).map(|n| format!("message {n}")).collect::<Vec<_>>(), "each once");
    settled(5, || place.events().len());
    for id in &ids {
        assert_eq!(said(&place, id), ("DELIVRD".to_owned(), Value::Null, Value::Null));
    }
    settled([5, 5, 0, 0, 0], || totals(&place));
}

#[test]
fn what_it_refuses_for_now_it_is_asked_again_and_what_for_good_is_not() {
    let network = Network::up();
    let place = Applications::start(network.port, Setup::default());
    let mut line = network.bound();
    let id = place.send("patience");
    for status in [RTHROTTLED, RMSGQFUL, RSYSERR, RTHROTTLED] {
        let submitted = line.submitted();
        line.respond(&submitted, status, b"").unwrap();
        // It was refused: nobody has it, so nothing is uncertain.
        assert_eq!(said(&place, &id), ("ENROUTE".to_owned(), Value::Null, Value::Null), "{status:#x}");
    }
    let submitted = line.submitted();
    line.name(&submitted, "n1");
    assert_eq!(line.tell_and_hear("n1", "DELIVRD"), 0);
    settled("DELIVRD".to_owned(), || said(&place, &id).0);
    assert_eq!(said(&place, &id).1, Value::Null, "it is there once");

    let id = place.send("nowhere");
    let submitted = line.submitted();
    line.respond(&submitted, RINVDSTADR, b"").unwrap();
    settled("REJECTD".to_owned(), || said(&place, &id).0);
    assert_eq!(place.message(&id)["error"], "status 0xb");
    settled([2, 1, 1, 0, 0], || totals(&place));
}

#[test]
fn an_answer_that_is_late_counts_and_one_that_is_too_late_does_not() {
    let network = Network::up();
    let setup = Setup { smsc: "timers.response = \"2s\"", ..Setup::default() };
    let place = Applications::start(network.port, setup);
    let mut line = network.bound();
    let id = place.send("late");
    let submitted = line.submitted();
    std::thread::sleep(Duration::from_millis(300)); // Within its time, of which there are two seconds.
    line.name(&submitted, "n1");
    line.tell("n1", "DELIVRD");
    settled("DELIVRD".to_owned(), || said(&place, &id).0);

    let id = place.send("too late");
    let first = line.submitted();
    // Its time is over: it is sent again, and that is said.
    let second = line.submitted();
    assert_eq!((text(&first), text(&second)), ("too late".to_owned(), "too late".to_owned()));
    assert_ne!(first.sequence, second.sequence);
    assert_eq!(said(&place, &id), ("ENROUTE".to_owned(), json!(true), json!(true)));
    line.name(&first, "n2");
    line.name(&second, "n3");
    // Of the first nobody knows the name; that of the second counts.
    line.tell("n2", "UNDELIV");
    line.tell("n3", "DELIVRD");
    settled(("DELIVRD".to_owned(), json!(true), Value::Null), || said(&place, &id));
    settled([2, 2, 0, 0, 0], || totals(&place));
    settled(2, || place.events().len());
}

#[test]
fn a_second_answer_changes_nothing_and_neither_does_one_to_what_was_never_asked() {
    let network = Network::up();
    let place = Applications::start(network.port, Setup::default());
    let mut line = network.bound();
    let id = place.send("once");
    let submitted = line.submitted();
    line.name(&submitted, "n1");
    line.name(&submitted, "n2");
    line.respond(&submitted, RSYSERR, b"").unwrap();
    for (command, sequence) in [(SUBMIT_SM | RESPONSE, 4711), (GENERIC_NACK, 4711), (GENERIC_NACK, 0), (0x8000_0005, 3)]
    {
        line.send(&Pdu { command, status: 0, sequence, body: b"n3\0".to_vec() }.bytes()).unwrap();
    }
    // It is the first answer that names it.
    assert_eq!(line.tell_and_hear("n1", "DELIVRD"), 0);
    assert_eq!(line.tell_and_hear("n1", "UNDELIV"), 0, "another receipt changes nothing");
    settled("DELIVRD".to_owned(), || said(&place, &id).0);
    // Of what never was it is no use to send it again.
    assert_eq!(line.tell_and_hear("never", "DELIVRD"), 0);
    assert_eq!(place.count("SELECT count(*) FROM \"messaging.early\""), 1);
    // The bind has seen all of that, and goes on.
    let id = place.send("next");
    let submitted = line.submitted();
    line.name(&submitted, "n4");
    assert_eq!(line.tell_and_hear("n4", "EXPIRED"), 0);
    settled("EXPIRED".to_owned(), || said(&place, &id).0);
    settled([2, 1, 0, 1, 0], || totals(&place));
    settled(2, || place.events().len());
}

#[test]
fn a_receipt_may_come_before_the_answer_that_names_its_message() {
    let network = Network::up();
    let place = Applications::start(network.port, Setup::default());
    let mut line = network.bound();
    let id = place.send("early");
    let submitted = line.submitted();
    assert_eq!(line.tell_and_hear("n1", "DELIVRD"), 0);
    assert_eq!(said(&place, &id).0, "ENROUTE");
    line.name(&submitted, "n1");
    settled("DELIVRD".to_owned(), || said(&place, &id).0);
    settled(0, || place.count("SELECT count(*) FROM \"messaging.early\""));
    settled([1, 1, 0, 0, 0], || totals(&place));
}

#[test]
fn what_it_had_when_it_broke_off_is_sent_again_and_marked() {
    let network = Network::up();
    let place = Applications::start(network.port, Setup::default());
    let mut line = network.bound();
    let id = place.send("perhaps");
    line.submitted();
    drop(line);
    let mut line = network.bound();
    let submitted = line.submitted();
    assert_eq!((text(&submitted), said(&place, &id).1), ("perhaps".to_owned(), json!(true)));
    line.name(&submitted, "n1");
    assert_eq!(line.tell_and_hear("n1", "DELIVRD"), 0);
    settled(("DELIVRD".to_owned(), json!(true), Value::Null), || said(&place, &id));
}

#[test]
fn or_it_is_held_and_ends_as_unknown() {
    let network = Network::up();
    let place = Applications::start(network.port, Setup { messages: "on_uncertain = \"hold\"", ..Setup::default() });
    let mut line = network.bound();
    let answer = place.post(&json!({ "from": "100", "to": "200", "text": "perhaps", "validity": 4 }));
    let id = answer.json()["messages"][0]["id"].as_str().unwrap().to_owned();
    line.submitted();
    drop(line);
    let mut line = network.bound();
    settled(("ENROUTE".to_owned(), Value::Null, json!(true)), || said(&place, &id));
    // One that was refused is not held.
    let other = place.send("surely not");
    let submitted = line.submitted();
    assert_eq!(text(&submitted), "surely not");
    line.respond(&submitted, RSYSERR, b"").unwrap();
    let submitted = line.submitted();
    assert_eq!(text(&submitted), "surely not");
    line.name(&submitted, "n1");
    assert_eq!(line.tell_and_hear("n1", "DELIVRD"), 0);
    settled(("UNKNOWN".to_owned(), Value::Null, Value::Null), || said(&place, &id));
    settled("DELIVRD".to_owned(), || said(&place, &other).0);
    settled(2, || place.events().len());
    assert_eq!(place.message(&id)["error"], "nobody knows whether its network has it");
}

#[test]
fn a_receipt_counts_for_the_version_that_has_taken_the_message_also_when_that_is_gone() {
    let network = Network::up();
    let place = Applications::start(
        network.port,
        Setup { more: "[component.messaging]\nversions = { keep = 0 }", ..Setup::default() },
    );
    let mut line = network.bound();
    let id = place.send("patience");
    let submitted = line.submitted();
    line.name(&submitted, "n1");
    settled(1, || place.count("SELECT count(*) FROM \"messaging.sent\""));
    for version in ["1.0.1", "1.0.2"] {
        place.gateway.swap(&libraries().messaging, version);
    }
    eventually("the version that has taken it is gone", || {
        let status = place.gateway.status();
        let versions =
            status.versions.iter().filter(|version| version.component == "messaging" && version.sessions > 0);
        versions.map(|version| version.number.as_str()).eq(["1.0.2"]).then_some(())
    });
    assert_eq!(line.tell_and_hear("n1", "DELIVRD"), 0);
    settled("DELIVRD".to_owned(), || said(&place, &id).0);
    let of_the_first = "SELECT delivered FROM \"messaging.totals\" WHERE version LIKE '%0.1.0%'";
    settled(1, || place.count(of_the_first));
}

/// A message's state, whether it may be there twice, and whether that is uncertain now.
fn said(place: &Applications, id: &str) -> (String, Value, Value) {
    let message = place.message(id);
    let state = message["state"].as_str().unwrap().to_owned();
    (state, message["maybe_twice"].clone(), message["uncertain"].clone())
}

fn totals(place: &Applications) -> [i64; 5] {
    ["accepted", "delivered", "rejected", "expired", "cancelled"]
        .map(|column| place.count(&format!("SELECT coalesce(sum({column}), 0) FROM \"messaging.totals\"")))
}

/// How often networks were asked in vain.
fn tries(place: &Applications) -> i64 {
    place.count("SELECT sum(tries) FROM \"messaging.messages\"")
}

/// What a `submit_sm` says, to its end.
fn text(submitted: &Pdu) -> String {
    let at = submitted.body.iter().rposition(|byte| *byte < b' ').unwrap();
    // The last byte below a space is the text's length, which is that of a short word.
    String::from_utf8_lossy(&submitted.body[at + 1..]).into_owned()
}
