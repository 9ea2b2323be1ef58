//! An ESME that is not ours asks after messages that `messaging` has, cancels them and replaces them, through swaps of both components:
//! as long as no network has a message it is the ESME's, and what it was told is so is what the network gets.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::told::{Told, message, status};
use support::{Network, Smsc, eventually, libraries, settled};

const NO_MESSAGE: u32 = 0x0c;
const NOT_CANCELLED: u32 = 0x11;
const NOT_REPLACED: u32 = 0x13;
const NOT_QUERIED: u32 = 0x67;
/// `message_state` (section 5.2.28).
const ENROUTE: u64 = 1;
const DELIVERED: u64 = 2;
const DELETED: u64 = 4;

#[test]
fn what_no_network_has_is_queried_cancelled_and_replaced() {
    let mut network = Network::down();
    let place = Smsc::start_with_messaging("carry", &["acme", "other"], network.port, "");
    let (Some(mut acme), Some(mut other)) = (Told::connect(place.port), Told::connect(place.port)) else { return };
    assert_eq!((acme.bind("acme"), other.bind("other")), (0, 0));
    let mut receipted = message("100");
    receipted["registered_delivery"] = json!(1);
    let ids: Vec<String> = acme.ask(&vec![("submit_sm", receipted); 3]).iter().map(id).collect();
    let [first, second, third] = &ids[..] else { panic!("{ids:?}") };
    // `messaging` waits for the network, which is down.
    let told = acme.ask(&[query(first, "100"), query(second, "100"), query("none", "100"), query(first, "101")]);
    assert_eq!(told.iter().map(status).collect::<Vec<_>>(), [0, 0, NO_MESSAGE, NOT_QUERIED]);
    assert_eq!((state(&told[0]), id(&told[1])), (ENROUTE, second.clone()));
    // Nobody else's, and from nowhere else.
    assert_eq!(
        other.statuses(&[query(first, "100"), cancel(first, "100"), replace(first, "100", "x")]),
        [NO_MESSAGE; 3]
    );
    assert_eq!(acme.statuses(&[cancel(first, "101"), replace(first, "101", "x")]), [NOT_CANCELLED, NOT_REPLACED]);

    // Also while a network is being tried: it is so once that has failed.
    let until_done = |acme: &mut Told, request: (&str, Value), failure: u32| {
        eventually("no network is being tried", || match acme.statuses(std::slice::from_ref(&request))[0] {
            0 => Some(()),
            status => {
                assert!(status == failure || status == 8, "{status:#x}");
                None
            }
        });
    };
    until_done(&mut acme, replace(first, "100", "replaced"), NOT_REPLACED);
    place.gateway.swap(&libraries().messaging, "2.0.0");
    place.gateway.swap(&libraries().smpp, "2.0.0");
    until_done(&mut acme, replace(first, "100", "replaced again"), NOT_REPLACED);
    until_done(&mut acme, cancel(second, "100"), NOT_CANCELLED);
    let told = acme.ask(&[query(second, "100")]);
    assert_eq!(state(&told[0]), DELETED, "{told:?}");
    assert_eq!(acme.statuses(&[replace(second, "100", "x")]), [NOT_REPLACED]);

    network.come_up();
    let mut line = network.bound();
    let mut taken = Vec::new();
    for name in ["n1", "n2"] {
        let submitted = line.submitted();
        line.name(&submitted, name);
        taken.push(submitted.body);
    }
    let texts: BTreeSet<&str> = taken.iter().map(|body| text(body)).collect();
    assert_eq!(texts, ["hello", "replaced again"].into(), "and not the one that was cancelled");
    // It is the network's now.
    eventually("it is written down that the network has it", || {
        (acme.statuses(&[cancel(third, "100")]) == [NOT_CANCELLED]).then_some(())
    });
    place.gateway.swap(&libraries().messaging, "1.9.0");
    assert_eq!(acme.statuses(&[cancel(first, "100"), replace(first, "100", "x")]), [NOT_CANCELLED, NOT_REPLACED]);
    for name in ["n1", "n2"] {
        let asked = line.tell(name, "DELIVRD");
        assert_eq!(line.answered(asked), 0);
    }
    // Each has its receipt, also the cancelled one.
    let mut receipts = Vec::new();
    settled(3, || {
        receipts.extend(acme.ask(&[("receipts", Value::Null)])[0]["receipts"].as_array().unwrap().clone());
        receipts.len()
    });
    for (id, expected) in [(first, DELIVERED), (second, DELETED), (third, DELIVERED)] {
        let receipt = receipts.iter().find(|receipt| receipt["id"] == **id).unwrap();
        assert_eq!(receipt["state"], expected, "{receipts:?}");
    }
    let told = acme.ask(&[query(first, "100"), query(second, "100")]);
    assert_eq!((state(&told[0]), state(&told[1])), (DELIVERED, DELETED));
}

fn query(id: &str, from: &str) -> (&'static str, Value) {
    ("query_sm", json!({ "message_id": id, "source_addr": from }))
}

fn cancel(id: &str, from: &str) -> (&'static str, Value) {
    ("cancel_sm", json!({ "message_id": id, "source_addr": from, "destination_addr": "200" }))
}

fn replace(id: &str, from: &str, text: &str) -> (&'static str, Value) {
    let parameters = json!({ "message_id": id, "source_addr": from, "registered_delivery": 1, "short_message": text });
    ("replace_sm", parameters)
}

fn id(answer: &Value) -> String {
    answer["message_id"].as_str().unwrap_or_else(|| panic!("no name: {answer}")).to_owned()
}

fn state(answer: &Value) -> u64 {
    answer["message_state"].as_u64().unwrap_or_else(|| panic!("no state: {answer}"))
}

/// The text at the end of a `submit_sm`.
fn text(body: &[u8]) -> &str {
    let words = ["hello", "replaced again", "replaced"];
    words.into_iter().find(|word| body.ends_with(word.as_bytes())).unwrap_or_else(|| panic!("{body:?}"))
}
