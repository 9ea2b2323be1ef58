//! How exchanges ended and how long they took is counted by version, also where nobody keeps records: each once, whatever is swapped meanwhile.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{Esme, Gateway, Over, Smsc, Upstream, eventually, free_port, libraries, settled};

/// What metrics say, by version's number and outcome; and, by version's number, the count, the sum and the buckets of its histogram.
#[derive(Debug, Default)]
struct Told {
    outcomes: BTreeMap<(String, String), u64>,
    counts: BTreeMap<String, u64>,
    sums: BTreeMap<String, f64>,
    buckets: BTreeMap<String, Vec<(f64, u64)>>,
}

#[test]
fn a_swap_under_traffic_leaves_each_exchange_with_the_version_that_has_answered_it() {
    let upstream = Upstream::start("app");
    let (port, closed) = (free_port(), free_port());
    let http = &libraries().http;
    let gateway = Gateway::builder()
        .library(http)
        .toml(&format!(
            r#"
workers = 2
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
served_by = "x-served-by"
routes = [
    {{ path = "/name", upstream = "app" }},
    {{ path = "/gone", upstream = "gone" }},
    {{ path = "/fixed", status = 200, body = "well" }},
]
[upstream.app]
servers = ["tcp://{}"]
[upstream.gone]
servers = ["tcp://127.0.0.1:{closed}"]
"#,
            upstream.address()
        ))
        .start();

    let over = AtomicBool::new(false);
    let asked: BTreeMap<(String, String), u64> = thread::scope(|scope| {
        let _over = Over(&over);
        let busy: Vec<_> = (0..4)
            .map(|_| {
                let mut client = gateway.connect(port);
                let over = &over;
                scope.spawn(move || {
                    let mut asked: BTreeMap<(String, String), u64> = BTreeMap::new();
                    while !over.load(Ordering::SeqCst) {
                        for (target, outcome) in
                            [("/name", "done"), ("/fixed", "done"), ("/nowhere", "refused"), ("/gone", "failed")]
                        {
                            let answer = client.get(target).unwrap();
                            *asked.entry((answer.served_by().to_owned(), outcome.to_owned())).or_default() += 1;
                        }
                    }
                    asked
                })
            })
            .collect();
        let some = |number: &str| {
            eventually("exchanges are told", || {
                told(&gateway).counts.get(number).filter(|count| **count > 50).copied()
            });
        };
        some("0.1.0");
        gateway.swap(http, "1.1.0");
        some("1.1.0");
        over.store(true, Ordering::SeqCst);
        let mut sum = BTreeMap::new();
        for asked in busy.into_iter().map(|thread| thread.join().unwrap()) {
            asked.into_iter().for_each(|(key, count)| *sum.entry(key).or_default() += count);
        }
        sum
    });

    // An answer may be read before the effect beside it has happened.
    settled(asked.clone(), || told(&gateway).outcomes.into_iter().filter(|(_, count)| *count > 0).collect());
    let told = told(&gateway);
    for number in ["0.1.0", "1.1.0"] {
        let of: u64 = asked.iter().filter(|((version, _), _)| version == number).map(|(_, count)| count).sum();
        let buckets = &told.buckets[number];
        assert!(buckets.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1), "{buckets:?}");
        assert_eq!((told.counts[number], *buckets.last().unwrap()), (of, (f64::INFINITY, of)), "{number}");
        let sum = told.sums[number];
        assert!(sum > 0.0 && sum < of as f64, "{of} took {sum} s");
    }
    // What a version has done is not taken back when nothing of it is loaded any more.
    gateway.swap(http, "1.2.0");
    settled(true, || gateway.status().numbers("http", "retired").contains(&"0.1.0"));
    settled(asked, || self::told(&gateway).outcomes.into_iter().filter(|(_, count)| *count > 0).collect());
}

#[test]
fn requests_of_esmes_are_told_without_their_records() {
    let smsc = Smsc::start("carry", &["acme"], Duration::from_secs(600));
    let mut esme = Esme::bound(smsc.port, "acme");
    for n in 0..20 {
        esme.submit_and_hear(&format!("message {n}")).unwrap();
    }
    let number = smsc.gateway.status().numbers("smpp", "active").remove(0).to_owned();
    // The bind, and each message; receipts come later.
    settled(Some(21), || told(&smsc.gateway).outcomes.get(&(number.clone(), "done".to_owned())).copied());
}

fn told(gateway: &Gateway) -> Told {
    let socket = gateway.file().with_file_name("data").join("admin.sock");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"]).arg(socket);
    let output = curl.arg("http://localhost/metrics").output().expect("curl is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut told = Told::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let (labels, value) = rest.rsplit_once("} ").unwrap();
        let label = |name: &str| {
            let labels = labels.split(',').map(|label| label.split_once('=').unwrap());
            labels.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned()).next()
        };
        let number = |version: String| version.split(['@', '#']).nth(1).unwrap().to_owned();
        let Some(number) = label("version").filter(|version| version.contains('@')).map(number) else { continue };
        let count = || value.trim_end_matches(".0").parse().unwrap();
        match name {
            "tandem_version_exchanges_total" => {
                told.outcomes.insert((number, label("outcome").unwrap()), count());
            }
            "tandem_version_exchange_seconds_count" => {
                told.counts.insert(number, count());
            }
            "tandem_version_exchange_seconds_sum" => {
                told.sums.insert(number, value.parse().unwrap());
            }
            "tandem_version_exchange_seconds_bucket" => {
                let end = label("le").unwrap().replace("+Inf", "inf").parse().unwrap();
                told.buckets.entry(number).or_default().push((end, count()));
            }
            _ => {}
        }
    }
    told
}
