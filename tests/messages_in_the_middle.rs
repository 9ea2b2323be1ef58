//! ESMEs that are not ours, `messaging` in the middle, and an SMSC that is not ours: each message is there once and each receipt
//! and reply comes once, while each component on the way is replaced at a rhythm of its own.

use std::collections::{BTreeMap, BTreeSet};

use support::{ACCOUNTS, Beyond, Esmes, Smsc, Sums, eventually, libraries, settled};

const SWAPS: u32 = 12;

#[test]
fn esmes_by_way_of_messaging_through_swaps_of_both() {
    let directory = tempfile::tempdir().unwrap();
    let Some(beyond) = Beyond::of_twisted(directory.path()) else { return };
    let smsc = Smsc::start_with_messaging("carry", &ACCOUNTS, beyond.port, "");
    eventually("the gateway has bound", || (beyond.happened().count("bound") == 1).then_some(()));
    let Some(mut esmes) = Esmes::of_node_smpp(smsc.port, true) else { return };
    esmes.until("receipts", |now| now.receipts > 0);
    let connections = smsc.connections();
    for swap in 1..=SWAPS {
        smsc.gateway.swap(&libraries().messaging, &format!("1.0.{swap}"));
        if swap % 3 == 0 {
            smsc.gateway.swap(&libraries().smpp, &format!("1.0.{swap}"));
        }
        let before = esmes.progress();
        assert!(smsc.gateway.ledger_in_all().accepted > 0, "it adds up under traffic");
        esmes.until("traffic after a swap", |now| now.answered > before.answered && now.receipts > before.receipts);
    }
    assert_eq!(smsc.connections(), connections, "nobody has connected anew");
    let report = esmes.finish();
    let happened = beyond.happened();
    assert_eq!((&report.unexpected, &happened.wrong), (&vec![], &vec![]));
    assert_eq!([happened.count("bound"), happened.count("unbound"), happened.count("closed")], [1, 0, 0]);

    let (stored, passed_on) = (smsc.stored(), smsc.passed_on());
    let taken: BTreeMap<&str, _> = happened.taken.iter().map(|message| (message.id.as_str(), message)).collect();
    assert_eq!(happened.taken.len(), report.messages.len(), "the SMSC has what was answered, and no more");
    let mut once = BTreeSet::new();
    for message in &report.messages {
        let (id, state) = &passed_on[&message.id];
        let there = taken[id.as_str()];
        assert_eq!((&there.source, &there.content), (&message.source, &message.content), "{}", message.id);
        assert_eq!(state, "DELIVRD", "{}", message.id);
        assert!(stored[&message.id].receipted, "{}", message.id);
        assert!(once.insert(&there.id), "{} is there once", message.id);
    }
    let sorted = |mut all: Vec<String>| {
        all.sort_unstable();
        all
    };
    assert!(sorted(report.receipts.clone()).iter().eq(&report.names()), "a receipt for each");
    assert_eq!(sorted(report.replies), sorted(happened.replied.into_iter().map(|it| it.0).collect()));
    let accepted = i64::try_from(report.messages.len()).unwrap();
    let all = Sums { accepted, delivered: accepted, ..Sums::default() };
    settled(all, || smsc.gateway.ledger_in_all());
    assert!(accepted > 20 * i64::from(SWAPS), "{accepted} messages are no load");
    println!("{accepted} messages by way of messaging, {SWAPS} swaps of it and {} of smpp", SWAPS / 3);
}
