//! What an admission costs a worker, in nanoseconds of its processor, on one thread and on two with one agreement: `cargo bench --bench admission`.
//!
//! Of a share that was taken in advance, which is nearly all of it where a rate is large enough to split; of a count that is
//! too small for that, and is shared for each; of one that is held, whose number at a time is shared; and of one that is told what is left.
//!
//! `scripts/bench --work admission` asks for the same as JSON (`--json`), and has so many admissions of one of the works made
//! (`--count WORK NUMBER`) while somebody else counts instructions.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tandem::agreement::shares::{Asked, Shares, Verdict};
use tandem::agreement::usage::Reserved;
use tandem::agreement::{Agreements, Usage};
use tandem::store::sqlite::Sqlite;
use tandem::store::{HOST, Handle, Migrant, Store};
use tandem_component::Allowance;
use tandem_component::abi::admission;

/// What is measured: the keys of the agreement, and bits of `admission`.
const WORKS: [(&str, &str, u32); 6] = [
    ("no agreement", "accounts = [\"nobody\"]\nconcurrent = 1", 0),
    ("taken in advance: a rate", "rate = { of = 1000000000, per = \"1s\" }\naccounts = [\"acme\"]", 0),
    (
        "taken in advance: a rate and a quota",
        "rate = { of = 1000000000, per = \"1s\" }\nquota = { month = 9000000000000000000 }\naccounts = [\"acme\"]",
        0,
    ),
    (
        "shared: a rate too small to split",
        "rate = { of = 3000, per = \"1s\", burst = 1000000000 }\naccounts = [\"acme\"]",
        0,
    ),
    ("shared: held, and done at once", "concurrent = 1000\naccounts = [\"acme\"]", admission::HELD),
    (
        "shared: told what is left of both",
        "rate = { of = 1000000000, per = \"1s\" }\nquota = { month = 9000000000000000000 }\naccounts = [\"acme\"]",
        admission::TELL,
    ),
];
/// So many admissions share one look at the clock, as turns of sessions do.
const SHARE_TIME: u64 = 16;
const SPAN: Duration = Duration::from_millis(1500);
const TURNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--count", work, number] => {
            let work = WORKS.iter().find(|(name, ..)| *name == work).expect("the name of a work");
            let number = number.parse().expect("how many admissions");
            turn(work.1, work.2, 1, Length::Admissions(number));
        }
        ["--json"] => {
            for (name, [one, two]) in measured() {
                println!(r#"{{"name": "{name}", "one_ns": {:.2}, "two_ns": {:.2}}}"#, one.0, two.0);
            }
        }
        // `cargo bench` has words of its own.
        _ => {
            println!(
                "{:<40} {:>10} {:>10}   admissions in five turns each, the middle one",
                "", "1 thread", "2 threads"
            );
            for (name, [one, two]) in measured() {
                println!("{name:<40} {:>7.1} ns {:>7.1} ns   {} and {}", one.0, two.0, one.1, two.1);
            }
        }
    }
}

/// Each work on one thread and on two.
fn measured() -> impl Iterator<Item = (&'static str, [(f64, u64); 2])> {
    WORKS.into_iter().map(|(name, keys, what)| {
        let each = [1, 2].map(|threads| {
            let mut turns: Vec<(f64, u64)> =
                (0..TURNS).map(|_| turn(keys, what, threads, Length::Span(SPAN))).collect();
            turns.sort_by(|one, other| one.0.total_cmp(&other.0));
            turns[TURNS / 2]
        });
        (name, each)
    })
}

/// How long a turn is.
#[derive(Clone, Copy)]
enum Length {
    Span(Duration),
    Admissions(u64),
}

/// Nanoseconds an admission on each thread, and how many there were.
fn turn(keys: &str, what: u32, threads: usize, length: Length) -> (f64, u64) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let store = Sqlite::open(&directory.path().join("store"), Box::new(|_, _| ())).expect("a new store");
    let migrant = Migrant { component: HOST, number: &semver::Version::new(1, 0, 0), name: "tandem@1.0.0" };
    store.migrate(&migrant, &[(**tandem::agreement::table::TABLE).clone()]).expect("a new store takes it");
    let handle = Handle::default();
    handle.set(Box::new(store));
    let (tell, told): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel()).unzip();
    let deliver = move |worker: usize, reserved| drop(tell[worker].send(reserved));
    let epoch = 1_767_268_800_000_000_000;
    let usage = Arc::new(Usage::start(handle, threads, epoch, Box::new(deliver)).expect("there is a thread"));
    let agreement = toml::from_str(keys).expect("an agreement");
    let agreements: Arc<Agreements> = Arc::new(BTreeMap::from([("gold".to_owned(), Arc::new(agreement))]));
    let begun = Instant::now();
    let run = |worker: usize, told: Receiver<Reserved>| {
        let mut shares = Shares::new(Arc::clone(&usage), worker);
        shares.renew(|| (Arc::clone(&agreements), vec!["web".into()]));
        let asked = Asked { service: 0, account: "acme", sender: None, units: 1, what };
        let mut admitted = 0_u64;
        let (started, before) = (Instant::now(), on_processor());
        while match length {
            Length::Span(span) => started.elapsed() < span,
            Length::Admissions(number) => admitted < number,
        } {
            let now = u64::try_from(begun.elapsed().as_nanos()).expect("it is short");
            let at = shares.moment(now, epoch + now);
            while let Ok(reserved) = told.try_recv() {
                shares.reserved(reserved, at);
            }
            for _ in 0..SHARE_TIME {
                let verdict = shares.admit(&asked, at);
                if what & admission::TELL != 0 {
                    black_box(shares.left(&asked, &verdict, at).map(|left| Allowance::write(&left)));
                }
                match verdict {
                    Verdict::Admitted(_) => admitted += 1,
                    Verdict::Waits => {
                        if let Ok(reserved) = told.recv() {
                            shares.reserved(reserved, at);
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        ((on_processor() - before) as f64 / admitted as f64, admitted)
    };
    let each: Vec<(f64, u64)> = std::thread::scope(|scope| {
        let run = &run;
        let running = told.into_iter().enumerate().map(|(worker, told)| scope.spawn(move || run(worker, told)));
        let running: Vec<_> = running.collect();
        running.into_iter().map(|one| one.join().expect("it counts")).collect()
    });
    (each.iter().map(|one| one.0).sum::<f64>() / each.len() as f64, each.iter().map(|one| one.1).sum())
}

/// For how many nanoseconds this thread was on a processor: others have the machine as well.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("its first number")
}
