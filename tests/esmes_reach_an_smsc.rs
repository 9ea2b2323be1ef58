//! ESMEs that are not ours submit by way of the gateway to an SMSC that is not ours, through twenty versions of `smpp` on both
//! sides: each message is at the SMSC once, each of its receipts and replies at the ESME once, and nobody unbinds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use support::{ACCOUNTS, Beyond, Esmes, Smsc, eventually, settled};

const SWAPS: u32 = 21;
/// Before these, another ESME binds.
const LATE: [u32; 2] = [7, 14];
/// As in `esmes_keep_their_binds`, with the steady one.
const BINDS: u64 = 7;
/// The address of the ESME that submits one after the other.
const STEADY: &str = "102";

#[test]
fn those_of_smpplib_are_carried() {
    through_swaps("carry", Esmes::of_smpplib, Beyond::of_node_smpp);
}

#[test]
fn those_of_smpplib_stay_with_their_versions() {
    through_swaps("pin", Esmes::of_smpplib, Beyond::of_node_smpp);
}

#[test]
fn those_of_node_smpp_are_carried() {
    through_swaps("carry", Esmes::of_node_smpp, Beyond::of_twisted);
}

#[test]
fn those_of_node_smpp_stay_with_their_versions() {
    through_swaps("pin", Esmes::of_node_smpp, Beyond::of_twisted);
}

fn through_swaps(
    policy: &str,
    start: impl Fn(u16, bool) -> Option<Esmes>,
    start_beyond: impl Fn(&Path) -> Option<Beyond>,
) {
    let directory = tempfile::tempdir().unwrap();
    let Some(beyond) = start_beyond(directory.path()) else { return };
    let mut smsc = Smsc::start_before(policy, &ACCOUNTS, beyond.port, "");
    eventually("the gateway has bound", || (beyond.happened().count("bound") == 1).then_some(()));
    let upstream = beyond.connections();
    let Some(mut esmes) = start(smsc.port, true) else { return };
    let connections = smsc.swap_under(&mut esmes, SWAPS, &LATE);
    assert_eq!(connections.len() as u64, BINDS);
    assert_eq!(beyond.connections(), upstream, "and the gateway has not");
    let report = esmes.finish();

    let last = format!("1.0.{SWAPS}");
    // The connection to the SMSC is what is left.
    let serving = if policy == "carry" { last } else { "0.1.0".to_owned() };
    settled(vec![(serving, 1)], || smsc.sessions());
    settled(if policy == "carry" { 1 } else { 2 }, || smsc.gateway.maps().len());
    let happened = beyond.happened();
    assert_eq!((&report.unexpected, &happened.wrong), (&vec![], &vec![]));
    assert_eq!([happened.count("bound"), happened.count("unbound"), happened.count("closed")], [1, 0, 0]);
    assert!(happened.later.is_empty(), "the gateway has taken all at once: {:?}", happened.later);

    let asked = [happened.count("enquired"), happened.count("enquiry_answered"), report.enquired as usize];

    // What the ESMEs have submitted is what is stored and what the SMSC has.
    let (stored, submitted) = (smsc.stored(), smsc.submitted());
    let taken: BTreeMap<&str, _> = happened.taken.iter().map(|message| (message.id.as_str(), message)).collect();
    assert_eq!(happened.taken.len(), report.messages.len(), "the SMSC has what was answered, and no more");
    assert_eq!((submitted.len(), stored.len()), (taken.len(), taken.len() + happened.replied.len()));
    let mut once = BTreeSet::new();
    for message in &report.messages {
        let (row, there) = (&stored[&message.id], taken[submitted[&message.id].as_str()]);
        assert_eq!((&there.source, &there.content), (&message.source, &message.content), "{}", message.id);
        assert_eq!((&row.content, row.owed, row.receipted), (&message.content, false, true), "{}", message.id);
        assert!(once.insert(&there.id), "{} is there once", message.id);
    }
    let steady: Vec<_> = report.messages.iter().filter(|it| it.source == STEADY).map(|it| &it.content).collect();
    let arrived = happened.taken.iter().filter(|it| it.source == STEADY).map(|it| &it.content);
    assert!(arrived.eq(steady.iter().copied()), "one after the other, they keep their order");

    // What the SMSC has sent is what the ESMEs have.
    let sorted = |mut all: Vec<String>| {
        all.sort_unstable();
        all
    };
    let (sent, statuses): (Vec<String>, BTreeSet<u32>) = happened.receipted.into_iter().unzip();
    assert_eq!(statuses, [0].into());
    assert!(sorted(sent).iter().eq(taken.keys()), "a receipt of each message");
    assert!(sorted(report.receipts.clone()).iter().eq(&report.names()), "for each, and for each but one");
    let (sent, statuses): (Vec<String>, BTreeSet<u32>) = happened.replied.into_iter().unzip();
    assert_eq!(statuses, [0].into());
    let replies = sorted(report.replies.clone());
    assert_eq!(replies, sorted(sent));

    assert!(report.messages.len() > 20 * SWAPS as usize, "{} messages are no load", report.messages.len());
    // The one that waits for each is slow on a machine with much else to do.
    assert!(steady.len() > 5 && replies.len() > SWAPS as usize, "{} {}", steady.len(), replies.len());
    assert!(asked.iter().all(|count| *count > 0), "all have asked whether the others are there: {asked:?}");
    assert_eq!(smsc.binds(), 0, "all ESMEs have unbound");
    smsc.gateway.stop(libc::SIGTERM, Duration::from_secs(10));
    assert_eq!(beyond.happened().count("unbound"), 1, "the gateway says goodbye when it stops");
    println!(
        "{policy}: {} messages, {} of them one after the other, with their receipts and {} replies, {BINDS} binds and 1 to \
         the SMSC, {SWAPS} swaps",
        report.messages.len(),
        steady.len(),
        replies.len()
    );
}
