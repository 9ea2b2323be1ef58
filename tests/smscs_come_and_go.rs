//! The SMSC beyond the gateway is killed and comes back: the gateway binds again, the ESMEs stay bound, they are told to try
//! again where it cannot be known that a message was taken, and what they were answered for is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::Duration;

use support::esme::{DELIVER_SM, RESPONSE, SUBMIT_SM};
use support::{Beyond, Chance, Esme, Smsc, eventually, kills, libraries};

const WINDOW: usize = 10;
const ROK: u32 = 0;
const RSYSERR: u32 = 0x08;
/// To the SMSC, for the receipt of a message that no ESME was answered for.
const RX_P_APPN: u32 = 0x65;

/// An ESME's side of it, by the texts of its messages.
#[derive(Default)]
struct Seen {
    /// How often each was refused for now, and submitted again.
    refused: BTreeMap<String, usize>,
    /// What each was called when it was taken.
    taken: BTreeMap<String, String>,
    receipts: Vec<String>,
}

#[test]
fn what_an_esme_was_answered_for_is_at_one_of_node_smpp_whenever_that_was_killed() {
    through_kills(Beyond::of_node_smpp);
}

#[test]
fn what_an_esme_was_answered_for_is_at_one_of_twisted_whenever_that_was_killed() {
    through_kills(Beyond::of_twisted);
}

fn through_kills(start: impl Fn(&Path) -> Option<Beyond>) {
    let (kills, mut chance) = (kills(), Chance::new());
    let directory = tempfile::tempdir().unwrap();
    let Some(mut beyond) = start(directory.path()) else { return };
    let smsc = Smsc::start_before("carry", &["acme"], beyond.port, "");
    bound(&beyond, 1);
    let mut esme = Esme::bound(smsc.port, "acme");
    let connection = smsc.connections();
    let mut seen = Seen::default();

    for kill in 0..kills {
        let round = |phase: &str| format!("{kill} {phase}");
        let until = Duration::from_millis(20 + chance.draw() % 300);
        let down = Duration::from_millis(chance.draw() % 300);
        thread::scope(|scope| {
            let submitting = scope.spawn(|| {
                // Until each was taken, which is after it has come back.
                (0..20).for_each(|n| submit(&mut esme, &format!("{} {n}", round("through")), &mut seen));
            });
            thread::sleep(until);
            beyond.kill();
            thread::sleep(down);
            // A swap between two connections, and one on each.
            smsc.gateway.swap(&libraries().smpp, &format!("1.{kill}.0"));
            beyond.start_again();
            bound(&beyond, kill as usize + 2);
            submitting.join().unwrap();
        });
        submit(&mut esme, &round("after"), &mut seen);
    }

    assert_eq!(smsc.connections(), connection, "the ESME has stayed bound");
    let owed_nothing = || smsc.stored().values().all(|row| row.receipted);
    esme.take_receipts(&mut seen.receipts, owed_nothing).unwrap();
    let submitted = smsc.submitted();
    let receipted = eventually("the SMSC has sent a receipt of each", || {
        let happened = beyond.happened();
        (happened.receipted.len() == happened.taken.len()).then_some(happened.receipted)
    });
    let happened = beyond.happened();
    assert_eq!(happened.wrong, [""; 0]);
    let names: BTreeSet<&String> = seen.taken.values().collect();
    assert!(names.len() == seen.taken.len() && names.into_iter().eq(submitted.keys()), "each was answered for once");
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    let ours: BTreeSet<&String> = submitted.values().collect();
    let mut lost = BTreeSet::new();
    for message in &happened.taken {
        let text = text(&message.content);
        assert!(seen.taken.contains_key(&text), "{text}");
        if !ours.contains(&message.id) {
            // Its response was under way when the SMSC was killed.
            assert!(lost.insert(message.id.clone()) && seen.refused.contains_key(&text), "{text} was refused for now");
        }
        *copies.entry(text).or_default() += 1;
    }
    let there: BTreeMap<&str, String> =
        happened.taken.iter().map(|message| (message.id.as_str(), text(&message.content))).collect();
    for (text, id) in &seen.taken {
        assert_eq!(there.get(submitted[id].as_str()), Some(text), "what was answered for is there");
        assert!(copies[text] <= 1 + seen.refused.get(text).copied().unwrap_or_default(), "{text}");
    }
    assert!(lost.len() <= kills as usize * WINDOW, "{} of what was in a window", lost.len());

    for (id, status) in &receipted {
        assert_eq!(*status, if lost.contains(id) { RX_P_APPN } else { ROK }, "{id}");
    }
    seen.receipts.sort_unstable();
    assert!(seen.receipts.iter().eq(submitted.keys()), "a receipt for each, and for each but one");
    println!(
        "{kills} kills: {} were answered, {} times refused for now, {} were at the SMSC already and are there twice",
        seen.taken.len(),
        seen.refused.values().sum::<usize>(),
        lost.len()
    );
}

fn bound(beyond: &Beyond, nth: usize) {
    eventually("the gateway is bound", || (beyond.happened().count("bound") == nth).then_some(()));
}

/// Submits as many messages as the window has, and again what is refused for now, until all are taken.
fn submit(esme: &mut Esme, text: &str, seen: &mut Seen) {
    let mut left: Vec<String> = (0..WINDOW).map(|n| format!("{text} {n}")).collect();
    while !left.is_empty() {
        let mut unanswered: BTreeMap<u32, String> =
            left.drain(..).map(|text| (esme.submit(&text).unwrap(), text)).collect();
        while !unanswered.is_empty() {
            let pdu = esme.take().unwrap();
            if pdu.command == DELIVER_SM {
                esme.answer(&pdu).unwrap();
                seen.receipts.push(pdu.receipt_of().expect("it is a receipt"));
                continue;
            }
            assert_eq!(pdu.command, SUBMIT_SM | RESPONSE);
            let text = unanswered.remove(&pdu.sequence).expect("it answers what is not answered");
            if pdu.status == ROK {
                assert_eq!(seen.taken.insert(text, pdu.text()), None);
            } else {
                assert_eq!(pdu.status, RSYSERR, "{text}");
                *seen.refused.entry(text.clone()).or_default() += 1;
                left.push(text);
            }
        }
        if !left.is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn text(hexadecimal: &str) -> String {
    let digits = hexadecimal.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    digits.map(|two| char::from(u8::from_str_radix(two, 16).unwrap())).collect()
}
