//! What workers tell to be left of an agreement while they take shares of it in advance: at most what there is, and just that once
//! nobody has anything that he does not use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tandem::agreement::shares::{Asked, Shares, Verdict};
use tandem::agreement::usage::Reserved;
use tandem::agreement::{Agreements, Moment, Usage};
use tandem::store::sqlite::Sqlite;
use tandem::store::{HOST, Handle, Home, Migrant, Store};
use tandem_component::abi::admission;
use tandem_component::{Allowance, Limit};

/// 2026-01-01T12:00:00Z
const NOON: u64 = 1_767_268_800_000_000_000;
const SECOND: u64 = 1_000_000_000;
const MONTH: u64 = 100_000;
/// A worker's share is half a block at most, and a block is a 64th.
const SHARE_MAX: u64 = MONTH / 64 / 2;

#[test]
fn two_workers_tell_no_more_than_there_is_and_all_of_it_once_nothing_is_kept() {
    let mut workers = two(&format!("quota = {{ month = {MONTH} }}\nconcurrent = 3"));
    let mut used = 0;
    // One alone has all that it does not use.
    for _ in 0..300 {
        used += 1;
        assert_eq!(workers[0].admitted(1, 0), MONTH - used);
    }
    let mut kept = 0;
    for _ in 0..100 {
        used += 3;
        let left = workers[1].admitted(3, 0);
        assert!(left <= MONTH - used && left >= MONTH - used - SHARE_MAX, "{left} of {}", MONTH - used);
        kept = kept.max(MONTH - used - left);
    }
    assert!(kept > 0, "the other one has taken something in advance");
    // Their time is over, and what is not used goes back.
    workers.iter_mut().for_each(|worker| worker.shares.sweep(at(SECOND)));
    for n in [0, 1, 0, 1] {
        used += 1;
        workers.iter_mut().for_each(|worker| worker.shares.sweep(at((n as u64 + 2) * SECOND)));
        let left = workers[n].admitted(1, (n as u64 + 2) * SECOND);
        workers.iter_mut().for_each(|worker| worker.shares.give_all_back());
        assert_eq!(left, MONTH - used);
    }
    let (verdict, left) = workers[0].ask(MONTH, 6 * SECOND, 0);
    let Verdict::Refused(refusal, _) = verdict else { panic!("{verdict:?}") };
    assert_eq!((refusal.limit, left[0].limit, left[0].left), (Limit::Month, Limit::Month, MONTH - used));
    assert_eq!(left[0].frees_at.map(|at| at.nanos()), refusal.frees_at);
}

#[test]
fn what_is_at_a_time_is_told_of_what_is_held() {
    let mut workers = two("concurrent = 3\nsessions = 2");
    let told = |worker: &mut Worker, what: u32| {
        let (verdict, left) = worker.ask(1, 0, what);
        let left: Vec<(Limit, u64, u64)> = left.iter().map(|it| (it.limit, it.of, it.left)).collect();
        (verdict, left)
    };
    let (first, left) = told(&mut workers[0], admission::HELD);
    assert_eq!(left, [(Limit::Concurrent, 3, 2)]);
    let (second, left) = told(&mut workers[1], admission::HELD);
    assert_eq!(left, [(Limit::Concurrent, 3, 1)]);
    drop(first);
    let (third, left) = told(&mut workers[1], admission::HELD);
    assert_eq!(left, [(Limit::Concurrent, 3, 1)]);
    assert_eq!(told(&mut workers[0], admission::HELD | admission::SESSION).1, [(Limit::Sessions, 2, 1)]);
    let (fourth, _) = told(&mut workers[0], admission::HELD);
    let (fifth, left) = told(&mut workers[0], admission::HELD);
    assert!(matches!(fifth, Verdict::Refused(..)), "{fifth:?}");
    assert_eq!(left, [(Limit::Concurrent, 3, 0)]);
    drop((second, third, fourth));
    // Nothing of it is counted by an exchange that is not held.
    assert_eq!(told(&mut workers[0], 0).1, []);
}

#[test]
fn who_does_not_ask_is_told_nothing() {
    let mut workers = two("quota = { day = 10 }");
    workers[0].admitted(1, 0);
    let asked = Asked { service: 0, account: "acme", sender: None, units: 1, what: 0 };
    let verdict = workers[0].shares.admit(&asked, at(0));
    assert_eq!(workers[0].shares.left(&asked, &verdict, at(0)), None);
}

/// A worker's shares.
struct Worker {
    shares: Shares,
    told: Receiver<Reserved>,
    _directory: Arc<tempfile::TempDir>,
}

impl Worker {
    /// How many are left of the month, or the day, after these.
    fn admitted(&mut self, units: u64, since: u64) -> u64 {
        let (verdict, left) = self.ask(units, since, 0);
        assert!(matches!(verdict, Verdict::Admitted(_)), "{verdict:?}");
        left[0].left
    }

    /// Asks to be told, also where that is known later.
    fn ask(&mut self, units: u64, since: u64, what: u32) -> (Verdict, Vec<Allowance>) {
        let asked = Asked { service: 0, account: "acme", sender: None, units, what: what | admission::TELL };
        let verdict = self.shares.admit(&asked, at(since));
        if !matches!(verdict, Verdict::Waits) {
            let left = self.shares.left(&asked, &verdict, at(since));
            return (verdict, left.expect("it was asked"));
        }
        self.shares.wait(&asked, Home { worker: 0, key: 0, session: 0 }, 7);
        loop {
            let reserved = self.told.recv_timeout(Duration::from_secs(60)).expect("it is reserved");
            if let Some(told) = self.shares.reserved(reserved, at(since)).pop() {
                assert_eq!(told.number, 7);
                return (told.verdict, told.left.expect("it was asked"));
            }
        }
    }
}

fn two(keys: &str) -> [Worker; 2] {
    let directory = Arc::new(tempfile::tempdir().expect("there is room for a directory"));
    let store = Sqlite::open(&directory.path().join("store"), Box::new(|_, _| ())).expect("a new store");
    let migrant = Migrant { component: HOST, number: &semver::Version::new(1, 0, 0), name: "tandem@1.0.0" };
    store.migrate(&migrant, &[(**tandem::agreement::table::TABLE).clone()]).expect("a new store takes it");
    let handle = Handle::default();
    handle.set(Box::new(store));
    let (tell, told): (Vec<_>, Vec<_>) = (0..2).map(|_| channel()).unzip();
    let deliver = move |worker: usize, reserved| drop(tell[worker].send(reserved));
    let usage = Arc::new(Usage::start(handle, 2, 0, Box::new(deliver)).expect("there is a thread"));
    let agreement = toml::from_str(&format!("accounts = [\"acme\"]\n{keys}")).expect("an agreement");
    let agreements: Arc<Agreements> = Arc::new(BTreeMap::from([("gold".to_owned(), Arc::new(agreement))]));
    let mut told = told.into_iter();
    [0, 1].map(|worker| {
        let mut shares = Shares::new(Arc::clone(&usage), worker);
        shares.renew(|| (Arc::clone(&agreements), vec!["web".into()]));
        Worker { shares, told: told.next().expect("one each"), _directory: Arc::clone(&directory) }
    })
}

fn at(since: u64) -> Moment {
    Moment { steady: NOON + since, wall: NOON + since }
}
