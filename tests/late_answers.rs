//! Whether answers come at once or late, with other events in between, peers see the same: through swaps and crashes.
//!
//! Each scenario runs first with answers as they come and then with some seeds by which they come late. `SEED` is the first of
//! these, `SEEDS` how many there are: a soak sets more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use support::{
    Builder, Chance, Client, Gateway, PATIENCE, Smsc, Upstream, asks, doorkeeper, eventually, free_port, ledger,
    libraries, tally,
};

const SEEDS: u64 = 2;

/// Runs a scenario with answers as they come, and late by each seed.
fn both_ways(scenario: impl Fn(Option<u64>, &mut Chance)) {
    let number = |name: &str| std::env::var(name).ok().map(|seed| seed.parse::<u64>().expect("a seed is a number"));
    let (first, seeds) = (number("SEED").unwrap_or(std::process::id().into()), number("SEEDS").unwrap_or(SEEDS));
    for late in [None].into_iter().chain((first..first + seeds).map(Some)) {
        println!("{}", late.map_or_else(|| "as they come".to_owned(), |seed| format!("SEED={seed}")));
        scenario(late, &mut Chance::seeded(late.unwrap_or(first)));
    }
}

#[test]
fn answers_are_late_and_say_so() {
    both_ways(|late, _| {
        let (gateway, port) = door(late);
        assert_eq!(gateway.log().contains("every answer comes late"), late.is_some());
        let mut line = gateway.connect(port);
        says(&mut line, "login 0 acme right", "0 welcome acme");
        let overtaken = (0..50).filter(|n| {
            line.send(format!("login {n} acme right\nping\n").as_bytes()).unwrap();
            let heard: BTreeSet<(String, usize)> = (0..2).map(|at| (line.line().unwrap(), at)).collect();
            assert!(heard.iter().map(|heard| heard.0.as_str()).eq([&*format!("{n} welcome acme"), "pong"]));
            heard.contains(&("pong".to_owned(), 0))
        });
        // What is known is answered in the same turn.
        let overtaken = overtaken.count();
        assert_eq!(overtaken > 0, late.is_some(), "{overtaken} of 50");
    });
}

#[test]
fn pipelined_requests_through_swaps() {
    const REQUESTS: [(&str, &str, &str); 5] = [
        ("GET /echo/1 HTTP/1.1\r\nHost: t\r\n\r\n", "GET", "GET /echo/1 "),
        ("POST /echo/2 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello", "POST", "POST /echo/2 hello"),
        ("GET /fixed HTTP/1.1\r\nHost: t\r\n\r\n", "GET", "fixed"),
        (
            "POST /echo/3 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nwor\r\n2\r\nld\r\n0\r\n\r\n",
            "POST",
            "POST /echo/3 world",
        ),
        ("GET /name HTTP/1.1\r\nHost: t\r\n\r\n", "GET", "app"),
    ];
    both_ways(|late, chance| {
        let (upstream, port) = (Upstream::start("app"), free_port());
        let gateway = builder(late)
            .library(&libraries().http)
            .toml(&format!(
                r#"
workers = 2
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
served_by = "x-served-by"
routes = [{{ path = "/fixed", status = 200, body = "fixed" }}, {{ path = "/", upstream = "app" }}]
[upstream.app]
servers = ["tcp://{}"]
[component.http]
versions = {{ keep = 0 }}
"#,
                upstream.address()
            ))
            .start();
        let mut clients: Vec<Client> = (0..4).map(|_| gateway.connect(port)).collect();
        let said: String = REQUESTS.iter().map(|request| request.0).collect();
        for swap in 1..=12 {
            let cuts: Vec<usize> = clients.iter().map(|_| chance.below(said.len())).collect();
            for (client, cut) in clients.iter_mut().zip(&cuts) {
                client.send(&said.as_bytes()[..*cut]).unwrap();
            }
            let version = format!("1.0.{swap}");
            gateway.swap(&libraries().http, &version);
            for (client, cut) in clients.iter_mut().zip(&cuts) {
                client.send(&said.as_bytes()[*cut..]).unwrap();
                for (_, method, body) in REQUESTS {
                    let answer = client.answer(method).unwrap_or_else(|error| panic!("{swap}, {cut}: {error}"));
                    assert_eq!((answer.status, answer.text().as_str()), (200, body), "{swap}, {cut}: {answer:?}");
                    assert!(!answer.closes(), "{swap}, {cut}: {answer:?}");
                }
                let last = client.get("/name").unwrap();
                assert_eq!((last.text().as_str(), last.served_by()), ("app", version.as_str()));
            }
        }
    });
}

#[test]
fn rows_through_swaps_and_a_kill() {
    both_ways(|late, chance| {
        let port = free_port();
        let text =
            format!("workers = 2\n[service.ledger]\ncomponent = \"ledger\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
        let one = ledger(None);
        let mut gateway = builder(late).library_as(&one, "libtandem_ledger.so").toml(&text).start();
        let mut amount = 0;
        for round in 1..=3 {
            let mut client = gateway.connect(port);
            for swap in 0..4 {
                let (mut lines, mut expected) = (String::new(), Vec::new());
                for n in 0..30 {
                    amount += 1;
                    lines += &format!("put {n} x{round}\nadd 7 1\ncount 1\nget 7\n");
                    let name = if n >= 7 || swap > 0 { format!("x{round}") } else { format!("x{}", round - 1) };
                    let name = if n < 7 && round == 1 && swap == 0 { "nobody".to_owned() } else { name };
                    expected.extend([format!("ok {n}"), "ok 7".to_owned(), format!("counted {}", 30 * swap + n + 1)]);
                    expected.push(format!(r#"Found {{ id: 7, name: "{name}", amount: {amount} }}"#));
                }
                // The swap comes somewhere in between.
                let cut = chance.below(lines.len());
                client.send(&lines.as_bytes()[..cut]).unwrap();
                gateway.deploy_stamped_as(&one, &format!("{round}.{swap}.0"), "libtandem_ledger.so");
                assert!(gateway.reload().ok);
                client.send(&lines.as_bytes()[cut..]).unwrap();
                for expected in expected {
                    assert_eq!(client.line().unwrap(), expected, "round {round}, swap {swap}");
                }
            }
            gateway.kill_and_start();
        }
        says(&mut gateway.connect(port), "get 7", &format!(r#"Found {{ id: 7, name: "x3", amount: {amount} }}"#));
    });
}

#[test]
fn calls_through_swaps() {
    both_ways(|late, _| {
        let (front, back) = (free_port(), free_port());
        let text = format!(
            "workers = 2\n\
             [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\n\
             [service.back]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{back}\"]\nconfig = {{ serves = true }}\n\
             [service.alone]\ncomponent = \"asks\"\n"
        );
        let stores = asks(Some("stores"));
        let gateway = builder(late).library_as(&stores, "libtandem_asks.so").toml(&text).start();
        let mut callee = gateway.connect(back);
        let mut callers: Vec<Client> = (0..3).map(|_| gateway.connect(front)).collect();
        for caller in &mut callers {
            let known = |line: String| line.contains("Tcp").then_some(());
            eventually("the callee is known", || known(asked(caller, "ask back who")));
        }
        for swap in 0..6 {
            for (at, caller) in callers.iter_mut().enumerate() {
                let base = 1000 * swap + 100 * at;
                let asked =
                    |n: usize| format!("ask back echo {n}\nask alone pass back put {} t{}\n", base + n, base + n);
                caller.send((0..20).map(asked).collect::<String>().as_bytes()).unwrap();
            }
            gateway.deploy_stamped_as(&stores, &format!("1.{swap}.0"), "libtandem_asks.so");
            assert!(gateway.reload().ok);
            for (at, caller) in callers.iter_mut().enumerate() {
                let base = 1000 * swap + 100 * at;
                let heard: BTreeSet<String> = (0..40).map(|_| caller.line().unwrap()).collect();
                let expected = (0..20).flat_map(|n| [n.to_string(), format!("put {}", base + n)]);
                assert_eq!(heard, expected.collect());
                // What cannot be stored is answered so, once, and nothing else is.
                says(
                    caller,
                    &format!("ask back put {base} t{}", base + 1),
                    &format!("later {base} t{}, front", base + 1),
                );
            }
        }
        let begun = Instant::now();
        says(&mut callers[0], "within 1000 back keep it", "failed TimedOut");
        assert!(begun.elapsed() >= Duration::from_millis(1000), "not early");
        assert_eq!([callee.line().unwrap(), callee.line().unwrap()], ["asked it", "withdrawn it"]);
        let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
        let stored: i64 = store.query_row("SELECT count(*) FROM \"asks.notes\"", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, 6 * 3 * 20);
    });
}

#[test]
fn accounts_through_swaps() {
    both_ways(|late, _| {
        let (gateway, port) = door(late);
        let mut lines: Vec<Client> = (0..4).map(|_| gateway.connect(port)).collect();
        for swap in 0..5 {
            for line in &mut lines {
                let said = format!(
                    "login 1 acme right\nlogin 2 acme {swap}\nlogin 3 nobody right\nlogin 4 acme 0\nforget 4\n"
                );
                line.send(said.as_bytes()).unwrap();
            }
            gateway.swap(&doorkeeper(), &format!("1.{swap}.0"));
            for line in &mut lines {
                let heard: BTreeSet<String> = (0..4).map(|_| line.line().unwrap()).collect();
                let expected = ["1 welcome acme", "2 no", "3 no", "4 forgotten"];
                assert_eq!(heard, expected.map(str::to_owned).into(), "swap {swap}");
                assert!(asked(line, "version").starts_with(&format!("doorkeeper@1.{swap}.0")));
            }
        }
    });
}

#[test]
fn conversations_through_swaps_and_crashes() {
    both_ways(|late, chance| {
        let port = free_port();
        let text = format!(
            "workers = 2\n[service.tally]\ncomponent = \"tally\"\n\
             listen = [\"udp://127.0.0.1:{port}\", \"tcp://127.0.0.1:{port}\"]\n[component.tally]\nversions = {{ keep = 0 }}\n"
        );
        let mut gateway = builder(late).library_as(&tally(None), "libtandem_tally.so").toml(&text).start();
        let peers: Vec<UdpSocket> = (0..3).map(|_| peer(port)).collect();
        let mut counted: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for round in 0..6 {
            let number = format!("{}.0.0", round + 1);
            gateway.swap(&tally(None), &number);
            for n in 0..40 {
                // Old ones, and some that begin in this round; by datagrams, and each time by another connection.
                let by_connection = n % 4 == 3;
                let name = format!("{}{}", if by_connection { "c" } else { "d" }, chance.below(round + 1));
                let (count, version) = counted.entry(name.clone()).or_insert((0, number.clone()));
                *count += 1;
                let heard = match by_connection {
                    true => asked(&mut gateway.connect(port), &name),
                    false => say(&peers[chance.below(peers.len())], &name),
                };
                assert!(heard.starts_with(&format!("{name} {count} tally@{version}#")), "round {round}: {heard}");
            }
            if round % 2 == 1 {
                gateway.kill_and_start();
            }
        }
    });
}

#[test]
fn messages_and_receipts_through_swaps() {
    both_ways(|late, _| {
        for policy in ["carry", "pin"] {
            let after = Duration::from_millis(100);
            let smsc = Smsc::start_by(builder(late), policy, &["acme"], after);
            let mut esmes: Vec<Esme> = (0..2).map(|_| Esme::bind(smsc.gateway.connect(smsc.port))).collect();
            for swap in 1..=6 {
                esmes.iter_mut().for_each(|esme| esme.submit(8));
                smsc.gateway.swap(&libraries().smpp, &format!("1.0.{swap}"));
                esmes.iter_mut().for_each(|esme| esme.submit(2));
                esmes.iter_mut().for_each(Esme::hear_responses);
            }
            // A receipt goes to whichever of an account's binds takes it.
            let ids: BTreeSet<String> = esmes.iter().flat_map(|esme| esme.ids.clone()).collect();
            assert_eq!(ids.len(), 2 * 6 * 10, "each message has its own");
            let begun = Instant::now();
            while esmes.iter().map(|esme| esme.receipts.len()).sum::<usize>() < ids.len() {
                assert!(begun.elapsed() < PATIENCE, "receipts are missing");
                esmes.iter_mut().for_each(Esme::hear_what_is_there);
            }
            esmes.iter_mut().for_each(Esme::unbind);
            let receipts: Vec<&String> = esmes.iter().flat_map(|esme| &esme.receipts).collect();
            assert_eq!(receipts.len(), ids.len(), "one each");
            assert_eq!(receipts.into_iter().cloned().collect::<BTreeSet<_>>(), ids);
            let stored = smsc.stored();
            assert!(stored.len() == ids.len() && stored.values().all(|row| !row.owed && row.receipted), "{stored:?}");
            assert_eq!(smsc.binds(), 0);
        }
    });
}

fn builder(late: Option<u64>) -> Builder {
    Gateway::builder().late(late)
}

/// A gateway with an account `acme` whose secret is `right`.
fn door(late: Option<u64>) -> (Gateway, u16) {
    let port = free_port();
    let service =
        format!("workers = 2\n[service.door]\ncomponent = \"doorkeeper\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    let hash: PasswordHash = cheap.hash_password(b"right").unwrap();
    // As many wrong ones as there are in the test.
    let account = format!(
        "[account.acme]\nsecret = \"{hash}\"\n[attempts]\nboth = {{ of = 1000, per = \"1m\" }}\n\
         account = {{ of = 1000, per = \"1m\" }}\naddress = {{ of = 1000, per = \"1m\" }}\n"
    );
    (builder(late).library(&doorkeeper()).toml(&service).toml(&account).start(), port)
}

fn asked(client: &mut Client, line: &str) -> String {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    client.line().unwrap()
}

#[track_caller]
fn says(client: &mut Client, line: &str, answer: &str) {
    assert_eq!(asked(client, line), answer, "to {line:?}");
}

fn peer(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn say(peer: &UdpSocket, text: &str) -> String {
    peer.send(text.as_bytes()).unwrap();
    let mut buffer = [0; 512];
    let n = peer.recv(&mut buffer).expect("an answer comes");
    String::from_utf8_lossy(&buffer[..n]).trim().to_owned()
}

/// A transceiver of `acme`. It answers what it is asked as soon as it hears it.
struct Esme {
    client: Client,
    sequence: u32,
    /// What it has submitted and has no response to.
    open: BTreeSet<u32>,
    /// The ids of what was taken …
    ids: Vec<String>,
    /// … and of what it has receipts for.
    receipts: Vec<String>,
}

const RESPONSE: u32 = 0x8000_0000;
const SUBMIT_SM: u32 = 4;
const DELIVER_SM: u32 = 5;
const UNBIND: u32 = 6;
const BIND_TRANSCEIVER: u32 = 9;
const ENQUIRE_LINK: u32 = 0x15;

impl Esme {
    fn bind(client: Client) -> Self {
        let mut esme = Esme { client, sequence: 0, open: BTreeSet::new(), ids: Vec::new(), receipts: Vec::new() };
        esme.ask(BIND_TRANSCEIVER, b"acme\0secret\0\0\x34\0\0\0");
        esme.until(BIND_TRANSCEIVER | RESPONSE);
        esme
    }

    /// Asks for so many messages from 100 to 200 to be taken, each with a receipt.
    fn submit(&mut self, count: usize) {
        for _ in 0..count {
            self.ask(SUBMIT_SM, b"\0\x01\x01100\0\x02\x01200\0\0\0\0\0\0\x01\0\0\0\x02hi");
            self.open.insert(self.sequence);
        }
    }

    fn hear_responses(&mut self) {
        while !self.open.is_empty() {
            self.hear();
        }
    }

    /// Asks whether the other side is there, and hears all that it has said before it answers that.
    fn hear_what_is_there(&mut self) {
        self.ask(ENQUIRE_LINK, b"");
        self.until(ENQUIRE_LINK | RESPONSE);
    }

    fn unbind(&mut self) {
        self.ask(UNBIND, b"");
        self.until(UNBIND | RESPONSE);
        self.client.closed().unwrap();
    }

    fn until(&mut self, id: u32) {
        while self.hear() != id {}
    }

    /// Hears one PDU; its `command_id`.
    fn hear(&mut self) -> u32 {
        let header = self.client.read(16).expect("the connection stands");
        let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let (id, status, sequence) = (number(4), number(8), number(12));
        let body = self.client.read(number(0) as usize - 16).unwrap();
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, 0, "{id:x}");
        match id {
            DELIVER_SM => {
                let id = text.split_once("id:").and_then(|(_, rest)| rest.split(' ').next()).expect("it is a receipt");
                self.receipts.push(id.to_owned());
                self.say(DELIVER_SM | RESPONSE, sequence, b"\0");
            }
            ENQUIRE_LINK => self.say(ENQUIRE_LINK | RESPONSE, sequence, b""),
            id if id == SUBMIT_SM | RESPONSE => {
                assert!(self.open.remove(&sequence), "a response to {sequence}, which has one");
                self.ids.push(text.trim_end_matches('\0').to_owned());
            }
            _ => {}
        }
        id
    }

    fn ask(&mut self, id: u32, body: &[u8]) {
        self.sequence += 1;
        self.say(id, self.sequence, body);
    }

    fn say(&mut self, id: u32, sequence: u32, body: &[u8]) {
        let length = u32::try_from(16 + body.len()).unwrap();
        let header: Vec<u8> = [length, id, 0, sequence].iter().flat_map(|number| number.to_be_bytes()).collect();
        self.client.send(&[&header, body].concat()).unwrap();
    }
}
