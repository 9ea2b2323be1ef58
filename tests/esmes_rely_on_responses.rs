//! An ESME that was answered ESME_ROK can rely on it: the message is in the store, also after the gateway was killed, and its
//! receipt comes. Where nothing can be stored, no ESME is answered so.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use support::esme::{DELIVER_SM, RESPONSE, SUBMIT_SM};
use support::{Beyond, Chance, Esme, SmallDisk, Smsc, Sums, eventually, kills};

const ESMES: u32 = 4;
const WINDOW: u32 = 10;
/// So many receipts of an ESME are unacknowledged at most.
const DELIVER_WINDOW: u32 = 10;
const ROK: u32 = 0;
const RSYSERR: u32 = 8;
/// As many as there are ESMEs: those of a gateway that was killed end with it. Claims run out after two response timers.
const BINDS: &str = "accounts.acme.max_binds = 4\ntimers.response = \"2s\"\nsmsc.receipt_after = \"50ms\"";

/// What an ESME has seen.
#[derive(Default)]
struct Seen {
    /// The texts of messages that were taken, by the names that they got.
    taken: BTreeMap<String, String>,
    /// For each receipt, the message's name.
    receipts: Vec<String>,
}

#[test]
fn what_was_answered_is_there_after_a_kill_and_its_receipt_comes() {
    through_kills(Smsc::start_with("data", &["acme"], BINDS));
}

#[test]
fn so_it_is_where_an_smsc_beyond_the_gateway_has_taken_it() {
    let directory = tempfile::tempdir().unwrap();
    let Some(beyond) = Beyond::of_twisted(directory.path()) else { return };
    let smsc = through_kills(Smsc::start_before("carry", &["acme"], beyond.port, BINDS));

    let submitted: BTreeSet<String> = smsc.submitted().into_values().collect();
    let taken: BTreeSet<String> = beyond.happened().taken.into_iter().map(|message| message.id).collect();
    assert!(taken.is_superset(&submitted), "what the gateway was answered for is there");
    // The responses to these were cut: whoever submits them again has them there twice.
    let cut = taken.len() - submitted.len();
    assert!(cut <= (kills() * ESMES * WINDOW) as usize, "{cut} were cut, and so many were not answered");
    println!("{} are at the SMSC, {cut} of them without a response that an ESME could have had", taken.len());
}

#[test]
fn so_it_is_where_messaging_is_between() {
    let directory = tempfile::tempdir().unwrap();
    let Some(beyond) = Beyond::of_twisted(directory.path()) else { return };
    let smsc = through_kills(Smsc::start_with_messaging("carry", &["acme"], beyond.port, BINDS));

    // Each has its final state, and is counted once.
    let passed_on = smsc.passed_on();
    let total = smsc.gateway.ledger_in_all();
    assert!(passed_on.values().all(|(_, state)| state == "DELIVRD"));
    assert_eq!(total, Sums { accepted: total.accepted, delivered: total.accepted, ..Sums::default() });
    assert!(total.accepted >= passed_on.len() as i64);
    let (marked, at_smsc) = (smsc.maybe_twice(), beyond.happened().taken.len());
    assert!(
        at_smsc <= total.accepted as usize + marked as usize,
        "{at_smsc} are at the SMSC of {total:?}, {marked} of them marked"
    );
    println!("{at_smsc} are at the SMSC, {} were accepted, {marked} are marked as sent twice maybe", total.accepted);
}

/// Kills the gateway while ESMEs submit. Who is asked for receipts has all of them in the end.
fn through_kills(mut smsc: Smsc) -> Smsc {
    let (kills, mut chance) = (kills(), Chance::new());
    let mut all = Seen::default();
    for kill in 0..kills {
        let until = Duration::from_millis(20 + chance.draw() % 200);
        let esmes: Vec<_> = (0..ESMES)
            .map(|esme| {
                let mut bound = Esme::bound(smsc.port, "acme");
                thread::spawn(move || {
                    let mut seen = Seen::default();
                    let end = (0..).try_for_each(|n| submit_ten(&mut bound, &format!("{kill} {esme} {n}"), &mut seen));
                    assert!(end.is_err(), "it goes on until the gateway is killed");
                    seen
                })
            })
            .collect();
        thread::sleep(until);

        smsc.gateway.kill_and_start();
        // What was on its way is pending, or has ended.
        smsc.gateway.ledger();

        let before = all.taken.len();
        for esme in esmes {
            let Seen { taken, receipts } = esme.join().unwrap();
            all.taken.extend(taken);
            all.receipts.extend(receipts);
        }
        let stored = smsc.stored();
        for (id, text) in all.taken.iter() {
            assert_eq!(stored.get(id).map(|row| &row.content), Some(&hexadecimal(text)), "kill {kill}: {id}");
        }
        assert_eq!(smsc.integrity(), "ok", "kill {kill}");
        println!("kill {kill} after {until:?}: {} were answered", all.taken.len() - before);
    }

    // What is owed comes after the last kill: to whoever is bound then.
    let mut last = Esme::bound(smsc.port, "acme");
    let (owed, begun) = (smsc.stored().values().filter(|row| row.owed).count(), Instant::now());
    last.take_receipts(&mut all.receipts, || smsc.stored().values().all(|row| row.receipted)).unwrap();
    let stored = smsc.stored();
    let receipts: BTreeSet<&String> = all.receipts.iter().collect();
    assert!(receipts.into_iter().eq(stored.keys()), "each that is stored has one, and nothing else");
    assert!(all.taken.len() > kills as usize, "{} were answered: there was traffic", all.taken.len());
    let again = all.receipts.len() - stored.len();
    assert!(
        again <= (kills * ESMES * DELIVER_WINDOW) as usize,
        "{again} came again, and so many were not acknowledged"
    );
    println!(
        "{kills} kills: {} answered, {} stored, {owed} receipts owed in the end came within {:?}, {} came again after a kill had \
         cut their acknowledgement",
        all.taken.len(),
        stored.len(),
        begun.elapsed(),
        again
    );
    smsc
}

#[test]
fn a_full_disk_is_a_temporary_error_and_nothing_more() {
    let Some(disk) = SmallDisk::mount() else { return };
    let smsc = Smsc::start_with(&disk.path().to_string_lossy(), &["acme"], "smsc.receipt_after = \"50ms\"");
    let mut esme = Esme::bound(smsc.port, "acme");
    let mut seen = Seen::default();
    submit_ten(&mut esme, "before", &mut seen).unwrap();
    disk.fill();

    // What is left in the pages of the file is used up first.
    let mut taken = seen.taken.len();
    let refused = eventually("there is no room", || {
        submit_ten(&mut esme, &"x".repeat(200), &mut seen).unwrap();
        let refused = std::mem::replace(&mut taken, seen.taken.len()) == seen.taken.len();
        refused.then_some(seen.taken.len())
    });

    assert!(smsc.gateway.status().notice("store-failing").is_some_and(|reason| reason.contains("full")));
    // Another ESME cannot be bound without its lease, and is told to come again.
    assert_eq!(Esme::connect(smsc.port).bind("acme", "secret").unwrap(), RSYSERR);
    disk.make_room();
    submit_ten(&mut esme, "after", &mut seen).unwrap();
    assert_eq!(seen.taken.len(), refused + WINDOW as usize, "there is room, and the same bind goes on");
    assert!(smsc.gateway.status().notice("store-back").is_some());
    let stored = smsc.stored();
    assert!(stored.keys().eq(seen.taken.keys()), "what was answered is there, and what was refused is not");
    esme.take_receipts(&mut seen.receipts, || smsc.stored().values().all(|row| row.receipted)).unwrap();
    assert_eq!(seen.receipts.len(), seen.taken.len(), "each receipt comes once");
    assert_eq!(Esme::connect(smsc.port).bind("acme", "secret").unwrap(), ROK);
}

/// Submits so many messages as the window has, waits until they are answered, and takes what comes in between. Each is taken or
/// refused for now.
fn submit_ten(esme: &mut Esme, text: &str, seen: &mut Seen) -> io::Result<()> {
    let mut unanswered = BTreeMap::new();
    for n in 0..WINDOW {
        let text = format!("{text} {n}");
        unanswered.insert(esme.submit(&text)?, text);
    }
    while !unanswered.is_empty() {
        let pdu = esme.take()?;
        match pdu.command {
            DELIVER_SM => {
                esme.answer(&pdu)?;
                seen.receipts.push(pdu.receipt_of().expect("it is a receipt"));
            }
            command => {
                let text = unanswered.remove(&pdu.sequence).expect("it answers what is not answered");
                assert_eq!(command, SUBMIT_SM | RESPONSE);
                match pdu.status {
                    ROK => assert_eq!(seen.taken.insert(pdu.text(), text), None, "each has a name of its own"),
                    status => assert_eq!(status, RSYSERR),
                }
            }
        }
    }
    Ok(())
}

fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
