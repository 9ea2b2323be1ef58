//! ESMEs that are not ours stay bound through twenty versions of `smpp`: each `submit_sm` gets its one response, each message
//! its one receipt, and nobody unbinds them.

use std::time::Duration;

use support::{ACCOUNTS, Esmes, Smsc, settled};

const SWAPS: u32 = 21;
/// Before these, another ESME binds.
const LATE: [u32; 2] = [7, 14];
/// As esmes.js knows it.
const DELIVERED_AFTER: Duration = Duration::from_millis(500);
/// The transceiver, the transmitter with its receiver, the quiet one, and those that bind late.
const BINDS: u64 = 6;

#[test]
fn those_of_smpplib_are_carried() {
    through_swaps("carry", Esmes::of_smpplib);
}

#[test]
fn those_of_smpplib_stay_with_their_versions() {
    through_swaps("pin", Esmes::of_smpplib);
}

#[test]
fn those_of_node_smpp_are_carried() {
    through_swaps("carry", Esmes::of_node_smpp);
}

#[test]
fn those_of_node_smpp_stay_with_their_versions() {
    through_swaps("pin", Esmes::of_node_smpp);
}

fn through_swaps(policy: &str, start: impl Fn(u16, bool) -> Option<Esmes>) {
    let smsc = Smsc::start(policy, &ACCOUNTS, DELIVERED_AFTER);
    let Some(mut esmes) = start(smsc.port, false) else { return };
    let connections = smsc.swap_under(&mut esmes, SWAPS, &LATE);
    assert_eq!(connections.len() as u64, BINDS);
    let last = format!("1.0.{SWAPS}");
    let (sessions, mapped) = match policy {
        "carry" => (vec![(last, BINDS)], 1),
        // One version for those that have bound at the same time, and the newest, which has none.
        _ => (vec![("0.1.0".to_owned(), 4), ("1.0.6".to_owned(), 1), ("1.0.13".to_owned(), 1)], 4),
    };
    let sorted = |mut sessions: Vec<(String, u64)>| {
        sessions.sort();
        sessions
    };
    settled(sorted(sessions), || sorted(smsc.sessions()));
    settled(mapped, || smsc.gateway.maps().len());

    let report = esmes.finish();

    assert_eq!(report.unexpected, [""; 0]);
    let mut receipts: Vec<&str> = report.receipts.iter().map(String::as_str).collect();
    receipts.sort_unstable();
    assert!(receipts.iter().eq(&report.names()), "a receipt for each message, and for each but one");
    let stored = smsc.stored();
    assert_eq!(stored.len(), report.messages.len(), "what was taken is what was answered");
    for message in &report.messages {
        let row = &stored[&message.id];
        assert_eq!((&row.content, row.owed, row.receipted), (&message.content, false, true), "{}", message.id);
    }
    assert!(report.messages.len() > 20 * SWAPS as usize, "{} messages are no load", report.messages.len());
    assert!(report.enquired > 0 && report.enquiries_answered > 0, "both sides have asked whether the other is there");
    assert_eq!(smsc.binds(), 0, "all have unbound");
    settled(1, || smsc.gateway.maps().len());
    println!(
        "{policy}: {} messages and their receipts, {BINDS} binds, {SWAPS} swaps, enquire_link {} and {}",
        report.messages.len(),
        report.enquired,
        report.enquiries_answered
    );
}
