//! Kannel stays bound through twenty versions of `smpp`: whatever is given to it over HTTP is taken, delivered and reported,
//! once, and it complains of nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{Kannel, Over, Reported, Smsc, Stored, eventually, libraries, settled};

const SWAPS: u32 = 21;
/// A transceiver, a transmitter and a receiver.
const BINDS: u64 = 3;
/// A receipt that overtakes the response, which goes to another bind, is one that Kannel cannot place.
const DELIVERED_AFTER: Duration = Duration::from_secs(2);
/// So many messages are not reported as delivered at most.
const OWED_MAX: usize = 600;
/// Between two messages, so that they do not come in bursts: there is traffic after each swap.
const PACE: Duration = Duration::from_millis(4);
const DELIVERED: u32 = 1;
const TAKEN: u32 = 8;

#[test]
fn it_is_carried() {
    through_swaps("carry");
}

#[test]
fn it_stays_with_its_version() {
    through_swaps("pin");
}

fn through_swaps(policy: &str) {
    let smsc = Smsc::start(policy, &["busy", "pair"], DELIVERED_AFTER);
    let Some(mut kannel) = Kannel::start(&smsc) else { return };
    let connections = smsc.connections();
    let over = AtomicBool::new(false);

    let sent = thread::scope(|scope| {
        let _over = Over(&over);
        let sender = scope.spawn(|| send(&kannel, &over));
        eventually("reports", || (delivered(&kannel) > 0).then_some(()));
        for swap in 1..=SWAPS {
            smsc.gateway.swap(&libraries().smpp, &format!("1.0.{swap}"));
            let before = delivered(&kannel);
            eventually("traffic after a swap", || (delivered(&kannel) > before).then_some(()));
        }
        over.store(true, Ordering::SeqCst);
        sender.join().expect("all is taken over HTTP")
    });

    assert_eq!(smsc.connections(), connections, "Kannel has not connected anew");
    let (serving, mapped) = if policy == "carry" { (format!("1.0.{SWAPS}"), 1) } else { ("0.1.0".to_owned(), 2) };
    settled(vec![(serving, BINDS)], || smsc.sessions());
    settled(mapped, || smsc.gateway.maps().len());
    settled(sent.len(), || delivered(&kannel));
    eventually("Kannel is asked whether it is there", || (kannel.got("enquire_link") > 0).then_some(()));
    eventually("Kannel asks itself", || (kannel.got("enquire_link_resp") > 0).then_some(()));
    assert_eq!(kannel.got("unbind"), 0);

    assert_eq!(kannel.complaints(), [""; 0]);

    kannel.stop();

    // Kannel tells several at a time, in whatever order they arrive.
    let mut reports: BTreeMap<u32, BTreeMap<u32, String>> = BTreeMap::new();
    for Reported { message, kind, id } in kannel.reports() {
        let twice = reports.entry(message).or_default().insert(kind, id);
        assert_eq!(twice, None, "{message} is reported once as {kind}");
    }
    let stored = smsc.stored();
    let mut names = BTreeSet::new();
    for (message, reports) in &reports {
        assert!(reports.keys().eq(&[DELIVERED, TAKEN]), "{message}: {reports:?}");
        let name = &reports[&TAKEN];
        assert!(reports[&DELIVERED] == *name && names.insert(name), "{message}: {reports:?}");
        assert!(stored[name].receipted, "{message}");
    }
    assert!(reports.keys().eq(sent.keys()), "each message was taken and delivered");
    // Kannel asks for the receipt of a message's last part alone.
    assert_eq!(stored.values().filter(|row| row.receipted).count(), sent.len());
    assert_eq!(stored.values().filter(|row| row.owed).count(), 0);
    let mut texts: Vec<String> = sent.into_values().map(|text| hexadecimal(&text)).collect();
    texts.sort_unstable();
    assert_eq!(whole(stored.values()), texts, "what is stored is what was sent");
    assert!(texts.len() > 10 * SWAPS as usize, "{} messages are no load", texts.len());
    assert_eq!(smsc.binds(), 0, "all have unbound");
    settled(1, || smsc.gateway.maps().len());
    println!("{policy}: {} messages in {} parts, {BINDS} binds, {SWAPS} swaps", texts.len(), stored.len());
}

/// Gives Kannel messages until it is over: their texts by their numbers.
fn send(kannel: &Kannel, over: &AtomicBool) -> BTreeMap<u32, String> {
    let mut sendsms = kannel.connect();
    let mut sent = BTreeMap::new();
    while !over.load(Ordering::SeqCst) {
        thread::sleep(PACE);
        if sent.len() >= delivered(kannel) + OWED_MAX {
            continue;
        }
        let number = u32::try_from(sent.len()).expect("there are fewer");
        let text = match number % 10 {
            0 => format!("message {number}") + &" grüßt 世界 🚀".repeat(12),
            5 => format!("message {number}") + &" is longer than one part".repeat(10),
            _ => format!("message {number}"),
        };
        let account = if number % 2 == 0 { "busy" } else { "pair" };
        let answer = sendsms.get(&kannel.sendsms(account, number, &text)).expect("smsbox answers");
        assert_eq!(answer.status, 202, "{}", answer.text());
        sent.insert(number, text);
    }
    sent
}

/// How many messages were reported as delivered.
fn delivered(kannel: &Kannel) -> usize {
    kannel.reports().iter().filter(|reported| reported.kind == DELIVERED).count()
}

/// The messages that are stored, each in one piece.
fn whole<'s>(stored: impl Iterator<Item = &'s Stored>) -> Vec<String> {
    let mut rows: Vec<&Stored> = stored.collect();
    // A reference comes again after 256 messages in parts, and by then all parts of the one before are there.
    rows.sort_by_key(|row| row.submitted_at);
    let mut parts: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut whole = Vec::new();
    for row in rows {
        // The header of a part: 05 00 03, a reference, how many parts there are, and which this is.
        let Some(part) = row.content.strip_prefix("050003") else {
            whole.push(row.content.clone());
            continue;
        };
        let (of, total, number, text) = (&part[..4], &part[2..4], &part[4..6], &part[6..]);
        let twice = parts.entry(of).or_default().insert(number, text);
        assert_eq!(twice, None, "a part is there once");
        if parts[of].len() == usize::from_str_radix(total, 16).expect("digits are hexadecimal") {
            whole.push(parts.remove(of).expect("it is there").into_values().collect());
        }
    }
    assert!(parts.is_empty(), "parts are missing: {parts:?}");
    whole.sort_unstable();
    whole
}

/// A text as Kannel submits it: in UTF-16 where it is not ASCII.
fn hexadecimal(text: &str) -> String {
    if text.is_ascii() {
        return text.bytes().map(|byte| format!("{byte:02x}")).collect();
    }
    text.encode_utf16().map(|unit| format!("{unit:04x}")).collect()
}
