//! The whole way, with peers that are not ours: `curl` sends by `rest`, `messaging` and `smpp` to an SMSC, and the receipts come back by
//! webhook; ESMEs submit by `smpp`; what the SMSC sends reaches the ESME or the application whose address it is for. Meanwhile each
//! component on the way is replaced at a rhythm of its own. SECONDS says for how long; a short run where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Beyond, Esmes, Gateway, Hooks, SECRET, Sums, eventually, free_port, libraries, settled};

/// So many applications send at a time, each message by a `curl` of its own.
const CURLS: u64 = 2;
/// What the application's messages come from, and what is sent to it.
const ADDRESS: &str = "200";
/// The messages to which the SMSC of the tests replies.
fn is_replied_to(text: &str) -> bool {
    text.ends_with('4')
}

#[test]
fn applications_and_esmes_through_swaps_of_all_components() {
    let directory = tempfile::tempdir().unwrap();
    let Some(beyond) = Beyond::of_twisted(directory.path()) else { return };
    let place = Place::start(beyond.port);
    eventually("the gateway has bound", || (beyond.happened().count("bound") == 1).then_some(()));
    let Some(mut esmes) = Esmes::of_node_smpp(place.smpp, true) else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let applications: Vec<_> = (0..CURLS).map(|n| application(place.rest, n, Arc::clone(&stop))).collect();
    esmes.until("receipts", |now| now.receipts > 0);
    eventually("webhooks", || (!place.hooks.events().is_empty()).then_some(()));

    let seconds = std::env::var("SECONDS").map_or(10, |seconds| seconds.parse().expect("SECONDS is a number"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut swaps = 0;
    while Instant::now() < until || swaps < 6 {
        swaps += 1;
        place.gateway.swap(&libraries().messaging, &format!("1.0.{swaps}"));
        if swaps % 2 == 0 {
            place.gateway.swap(&libraries().rest, &format!("1.0.{swaps}"));
        }
        if swaps % 3 == 0 {
            place.gateway.swap(&libraries().smpp, &format!("1.0.{swaps}"));
        }
        let before = esmes.progress();
        assert!(place.gateway.ledger_in_all().accepted > 0, "it adds up under traffic");
        esmes.until("traffic after a swap", |now| now.answered > before.answered && now.receipts > before.receipts);
    }
    stop.store(true, Ordering::Relaxed);
    let sent: BTreeMap<String, String> = applications.into_iter().flat_map(|it| it.join().unwrap()).collect();
    let report = esmes.finish();
    let accepted = i64::try_from(sent.len() + report.messages.len()).unwrap();
    let all = Sums { accepted, delivered: accepted, ..Sums::default() };
    settled(all, || place.gateway.ledger_in_all());

    // Each message is at the SMSC once.
    let happened = beyond.happened();
    assert_eq!((&report.unexpected, &happened.wrong), (&vec![], &vec![]));
    assert_eq!([happened.count("bound"), happened.count("unbound"), happened.count("closed")], [1, 0, 0]);
    assert_eq!(happened.taken.len(), sent.len() + report.messages.len(), "the SMSC has what was taken, and no more");
    let of_applications = happened.taken.iter().filter(|message| message.source == ADDRESS);
    let there: BTreeSet<String> = of_applications.map(|message| text(&message.content)).collect();
    assert_eq!(there, sent.values().cloned().collect());

    // Each of an application has its receipt, and each that is replied to its reply.
    let replies = sent.values().filter(|text| is_replied_to(text)).count();
    settled(sent.len() + replies, || place.hooks.events().len());
    let events = place.hooks.events();
    let receipts: BTreeSet<&str> =
        events.iter().filter(|it| it["type"] == "receipt").map(|it| word(it, "message_id")).collect();
    assert_eq!(receipts, sent.keys().map(String::as_str).collect());
    let heard: BTreeSet<String> =
        events.iter().filter(|it| it["type"] == "message").map(|it| word(it, "text").to_owned()).collect();
    let expected = sent.values().filter(|text| is_replied_to(text)).map(|text| format!("reply to {text}"));
    assert_eq!(heard, expected.collect());
    assert_eq!(place.hooks.wrong(), Vec::<String>::new());

    // And so has each of an ESME.
    let sorted = |mut all: Vec<String>| {
        all.sort_unstable();
        all
    };
    assert!(sorted(report.receipts.clone()).iter().eq(&report.names()), "a receipt for each");
    let to_esmes = happened.replied.into_iter().map(|it| it.0).filter(|reply| !heard.contains(reply)).collect();
    assert_eq!(sorted(report.replies), sorted(to_esmes));

    // Each exchange has its record.
    let recorded = |service: &str, event: &[(&str, &str)]| {
        let text = std::fs::read_to_string(place.gateway.scratch("records.jsonl")).unwrap();
        let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let is = |record: &serde_json::Value| {
            record["service"] == service && event.iter().all(|(key, value)| record[key] == *value)
        };
        records.filter(is).count()
    };
    settled(sent.len(), || recorded("rest", &[("method", "POST"), ("outcome", "done"), ("account", "app")]));
    settled(report.messages.len(), || {
        let taken = |command| recorded("esme", &[("event", command), ("asked_by", "peer"), ("outcome", "done")]);
        taken("submit_sm") + taken("data_sm")
    });
    settled(sent.len() + report.messages.len(), || {
        recorded("messages", &[("event", "message"), ("outcome", "done"), ("state", "DELIVRD")])
    });
    settled(happened.taken.len(), || recorded("smsc-a", &[("event", "submit_sm"), ("asked_by", "us")]));
    assert!(sent.len() > 5 && replies > 0 && report.messages.len() > 20 * swaps, "{} {replies}", sent.len());
    println!(
        "{} messages of applications and {} of ESMEs, {replies} replies by webhook, {swaps} swaps of messaging, {} of rest, {} of smpp",
        sent.len(),
        report.messages.len(),
        swaps / 2,
        swaps / 3
    );
}

struct Place {
    gateway: Gateway,
    hooks: Hooks,
    rest: u16,
    smpp: u16,
}

impl Place {
    fn start(smsc: u16) -> Self {
        let (rest, smpp, hooks) = (free_port(), free_port(), Hooks::start());
        let accounts: String = ["app", "busy", "pair", "steady", "late", "quiet"]
            .map(|name| format!("[account.{name}]\nsecret = \"{SECRET}\"\n"))
            .concat();
        let addresses: String = support::ACCOUNTS
            .iter()
            .zip(100..)
            .map(|(name, at)| format!("accounts.{name} = {{ addresses = [\"{at}\"], front = \"esme\" }}\n"))
            .collect();
        let text = format!(
            r#"
workers = 2
[service.rest]
component = "rest"
records = "records.jsonl"
listen = ["tcp://127.0.0.1:{rest}"]
[service.rest.config]
submit_to = "messages"
events = {{ look = "100ms" }}
accounts.app.webhook = {{ upstream = "hooks", path = "/events", secret = "{secret}" }}
[upstream.hooks]
servers = ["tcp://127.0.0.1:{hooks}"]
[service.esme]
component = "smpp"
records = "records.jsonl"
listen = ["tcp://127.0.0.1:{smpp}"]
[service.esme.config]
submit_to = "messages"
timers.enquire_link = "500ms"
timers.receipts = "500ms"
[service.messages]
component = "messaging"
records = "records.jsonl"
[service.messages.config]
routes = [{{ to = {{ smsc-a = 1 }} }}]
accounts.app = {{ addresses = ["{ADDRESS}"], front = "rest", joined = true }}
{addresses}
[service.smsc-a]
component = "smpp"
records = "records.jsonl"
connect = ["tcp://127.0.0.1:{smsc}"]
reconnect = {{ from = "50ms", to = "500ms" }}
[service.smsc-a.config]
password = "secret"
deliver_to = "messages"
timers = {{ enquire_link = "500ms" }}
{accounts}"#,
            secret = Hooks::SECRET,
            hooks = hooks.port,
        );
        let libraries = libraries();
        let builder =
            Gateway::builder().library(&libraries.rest).library(&libraries.messaging).library(&libraries.smpp);
        Place { gateway: builder.data("data").toml(&text).start(), hooks, rest, smpp }
    }
}

/// Sends one message after the other by `curl`, each once. Their names, with what they say.
fn application(port: u16, number: u64, stop: Arc<AtomicBool>) -> thread::JoinHandle<Vec<(String, String)>> {
    thread::spawn(move || {
        let mut sent = Vec::new();
        for n in (number..).step_by(CURLS as usize) {
            if stop.load(Ordering::Relaxed) {
                return sent;
            }
            let text = format!("message {}", 100_000 + n);
            let body = serde_json::json!({ "from": ADDRESS, "to": "+4917012345", "text": text }).to_string();
            let url = format!("http://127.0.0.1:{port}/v1/messages");
            let key = format!("Idempotency-Key: \"{text}\"");
            let kind = "Content-Type: application/json";
            let output = Command::new("curl")
                .args([
                    "-s",
                    "-m",
                    "20",
                    "-u",
                    "app:secret",
                    "-H",
                    kind,
                    "-H",
                    &key,
                    "-w",
                    "\n%{http_code}",
                    "-d",
                    &body,
                    &url,
                ])
                .output()
                .expect("there is curl");
            let said = String::from_utf8(output.stdout).unwrap();
            let (answer, status) = said.rsplit_once('\n').unwrap();
            assert_eq!(status, "202", "{answer}");
            let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
            sent.push((word(&answer["messages"][0], "id").to_owned(), text));
        }
        unreachable!("it goes on until it is to stop")
    })
}

fn word<'v>(value: &'v serde_json::Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text: {value}"))
}

fn text(hexadecimal: &str) -> String {
    let digits = hexadecimal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| char::from(u8::from_str_radix(pair, 16).unwrap())).collect()
}
