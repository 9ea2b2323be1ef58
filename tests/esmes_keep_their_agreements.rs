//! What an ESME may submit, and how often it may bind, is counted by the host: an ESME that is not ours is told so in SMPP's own words, and
//! no version of `smpp` that is put under its bind, newer or older, gives it anything again.

use serde_json::json;
use support::told::{Told, message, status};
use support::{Esme, Network, Smsc, eventually, libraries};

const THROTTLED: u32 = 0x58;
const QUEUE_FULL: u32 = 0x14;
const SOURCE: u32 = 0x0a;
const BIND_FAILED: u32 = 0x0d;
const SUBMIT_FAILED: u32 = 0x45;

#[test]
fn neither_a_quota_nor_a_rate_begins_again_with_a_swap_or_the_way_back() {
    for policy in ["carry", "pin"] {
        let place = start(
            policy,
            "[agreement.gold]\naccounts = [\"acme\"]\nservices = [\"esme\"]\nquota = { month = 60 }\n\
             [agreement.slow]\naccounts = [\"other\"]\nservices = [\"esme\"]\nrate = { of = 1, per = \"1h\", burst = 40 }\n",
        );
        let (Some(mut acme), Some(mut other)) = (Told::connect(place.port), Told::connect(place.port)) else { return };
        assert_eq!((acme.bind("acme"), other.bind("other")), (0, 0));
        assert_eq!((acme.submit(25, "100"), other.submit(15, "100")), (vec![(0, 25)], vec![(0, 15)]));
        place.gateway.swap(&libraries().smpp, "2.0.0");
        assert_eq!((acme.submit(25, "100"), other.submit(15, "100")), (vec![(0, 25)], vec![(0, 15)]));
        // The way back to an older number.
        place.gateway.swap(&libraries().smpp, "1.9.0");
        assert_eq!(acme.submit(25, "100"), [(0, 10), (QUEUE_FULL, 15)]);
        assert_eq!(other.submit(25, "100"), [(0, 10), (THROTTLED, 15)]);
        place.gateway.swap(&libraries().smpp, "2.1.0");
        assert_eq!((acme.submit(5, "100"), other.submit(5, "100")), (vec![(QUEUE_FULL, 5)], vec![(THROTTLED, 5)]));
        // Nor with another bind, which the newest version has.
        assert_eq!((acme.bind("acme"), other.bind("other")), (0, 0));
        assert_eq!((acme.submit(5, "100"), other.submit(5, "100")), (vec![(QUEUE_FULL, 5)], vec![(THROTTLED, 5)]));
        assert_eq!(place.stored().len(), 60 + 40);
        let said = place.gateway.status().notice("agreement-refused").unwrap().to_owned();
        assert!(said.starts_with("service.esme: account \""), "{said}");
    }
}

#[test]
fn a_submission_counts_its_destinations_and_has_an_address_that_is_allowed() {
    let place = start("carry", "[agreement.gold]\naccounts = [\"acme\"]\nsenders = [\"10*\"]\nquota = { month = 3 }\n");
    let Some(mut acme) = Told::connect(place.port) else { return };
    acme.bind("acme");
    assert_eq!(acme.submit(1, "200"), [(SOURCE, 1)]);
    let to = |address: &str| json!({ "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": address });
    let multi =
        |to: &[serde_json::Value]| json!({ "source_addr": "100", "dest_address": to, "short_message": "hello" });
    let (two, three) = (multi(&[to("200"), to("201")]), multi(&[to("200"), to("201"), to("202")]));
    let asked = [("submit_multi", two.clone()), ("submit_multi", three), ("submit_multi", two)];
    assert_eq!(acme.statuses(&asked), [0, QUEUE_FULL, QUEUE_FULL]);
    let data = json!({ "source_addr": "100", "destination_addr": "200", "message_payload": { "message": "hello" } });
    assert_eq!(acme.statuses(&[("data_sm", data.clone()), ("data_sm", data)]), [0, QUEUE_FULL]);
    assert_eq!(place.stored().len(), 3);
}

#[test]
fn a_bind_is_one_of_the_accounts_sessions_for_as_long_as_it_is_there() {
    let place = start("carry", "[agreement.gold]\naccounts = [\"acme\"]\nsessions = 2\n");
    let Some(mut acme) = Told::connect(place.port) else { return };
    assert_eq!((acme.bind("acme"), acme.bind("acme"), acme.bind("acme")), (0, 0, BIND_FAILED));
    place.gateway.swap(&libraries().smpp, "2.0.0");
    assert_eq!(acme.bind("acme"), BIND_FAILED, "those that were carried count");
    let sessions = || place.gateway.status().agreements[0].sessions.0;
    assert_eq!(sessions(), 2);
    // All its connections end with it.
    drop(acme);
    eventually("its sessions count no more", || (sessions() == 0).then_some(()));
    let Some(mut acme) = Told::connect(place.port) else { return };
    assert_eq!(acme.bind("acme"), 0);
    assert_eq!(acme.statuses(&[("unbind", json!({}))]), [0]);
    eventually("a bind that was unbound counts no more", || (sessions() == 0).then_some(()));
}

#[test]
fn who_is_suspended_or_removed_stays_bound_and_submits_nothing() {
    let place = start("carry", "");
    let Some(mut acme) = Told::connect(place.port) else { return };
    acme.bind("acme");
    assert_eq!(acme.submit(1, "100"), [(0, 1)]);
    let configure = |from: &str, to: &str| {
        place.gateway.configure(|text| text.replace(from, to));
        assert!(place.gateway.reload().ok);
    };
    configure("[account.acme]\n", "[account.acme]\nsuspended = true\n");
    assert_eq!(acme.submit(2, "100"), [(SUBMIT_FAILED, 2)]);
    assert_eq!(acme.statuses(&[("enquire_link", json!({}))]), [0]);
    assert_eq!(Esme::connect(place.port).bind("acme", "secret").unwrap(), BIND_FAILED);
    configure("suspended = true\n", "");
    assert_eq!(acme.submit(1, "100"), [(0, 1)]);
    configure("[account.acme]\n", "[account.somebody]\n");
    assert_eq!(acme.submit(1, "100"), [(SUBMIT_FAILED, 1)]);
    assert_eq!(place.stored().len(), 2);
}

#[test]
fn what_another_service_has_counts_until_the_esme_is_answered_also_over_a_swap() {
    let network = Network::up();
    let more = format!(
        "submit_to = \"smsc-a\"\n[service.smsc-a]\ncomponent = \"smpp\"\nconnect = [\"tcp://127.0.0.1:{}\"]\n\
         [agreement.gold]\naccounts = [\"acme\"]\nservices = [\"esme\"]\nconcurrent = 3\n",
        network.port
    );
    let place = start("carry", &more);
    let mut smsc = network.bound();
    let Some(mut acme) = Told::connect(place.port) else { return };
    assert_eq!(acme.bind("acme"), 0);
    acme.say(&vec![("submit_sm", message("100")); 3]);
    let submitted: Vec<_> = (0..3).map(|_| smsc.submitted()).collect();
    let Some(mut another) = Told::connect(place.port) else { return };
    another.bind("acme");
    assert_eq!(another.submit(2, "100"), [(THROTTLED, 2)]);
    place.gateway.swap(&libraries().smpp, "2.0.0");
    assert_eq!(another.submit(2, "100"), [(THROTTLED, 2)]);
    smsc.name(&submitted[0], "m0");
    let concurrent = || place.gateway.status().agreements[0].concurrent.0;
    eventually("one is answered", || (concurrent() == 2).then_some(()));
    another.say(&[("submit_sm", message("100"))]);
    let taken = smsc.submitted();
    smsc.name(&taken, "m3");
    assert_eq!(another.hear().iter().map(status).collect::<Vec<_>>(), [0]);
    // Who is gone holds nothing.
    drop(acme);
    eventually("nothing is held", || (concurrent() == 0).then_some(()));
    another.say(&vec![("submit_sm", message("100")); 3]);
    for name in ["m4", "m5", "m6"] {
        let taken = smsc.submitted();
        smsc.name(&taken, name);
    }
    assert_eq!(another.hear().iter().map(status).collect::<Vec<_>>(), [0; 3]);
}

fn start(policy: &str, more: &str) -> Smsc {
    Smsc::start_under(policy, &["acme", "other"], more)
}
