//! Traffic over HTTP, REST and SMPP together, while a component by chance is replaced every tenth of a second: by a bad version each tenth
//! time, and each fifth time it goes back. No exchange fails but those of a bad version, and the ledger adds up. SECONDS says for how
//! long, three minutes where it does not; SEED says which.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Chance, Esme, Gateway, Over, SECRET, Sums, eventually, fixture, free_port, libraries, relabel, settled};

const EVERY: Duration = Duration::from_millis(100);
const WEB: usize = 6;
const BINDS: usize = 2;

#[test]
fn whatever_is_deployed_no_exchange_fails_but_those_of_a_bad_version() {
    let seconds = std::env::var("SECONDS").map_or(180, |seconds| seconds.parse().expect("SECONDS is a number"));
    let place = Place::start();
    let libraries = libraries();
    let real = [
        ("http", &libraries.http),
        ("rest", &libraries.rest),
        ("smpp", &libraries.smpp),
        ("messaging", &libraries.messaging),
    ];
    let bad = place.gateway.scratch("bad.so");
    let mut chance = Chance::new();
    // Odd while a bad version serves: what it fails is its own doing.
    let (harm, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut swaps, mut back, mut taken_back, mut refused) = (0_u64, 0, 0, 0);
    let (mut early, mut mapped) = (0, 0);
    let (web, sent, submitted) = thread::scope(|scope| {
        let _over = Over(&over);
        let web: Vec<_> = (0..WEB).map(|_| scope.spawn(|| place.browse(&harm, &over))).collect();
        let rest = scope.spawn(|| place.send(&over));
        let esmes: Vec<_> = (0..BINDS).map(|_| scope.spawn(|| place.submit(&over))).collect();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) || swaps < 30 {
            let round = Instant::now();
            swaps += 1;
            let (name, library) = real[chance.draw() as usize % real.len()];
            match swaps {
                // What would drop the tables of the others is refused; `http` has none.
                n if n % 10 == 0 => {
                    relabel(&fixture("panics"), &bad, name, &format!("1.{swaps}.0-bad")).unwrap();
                    harm.fetch_add(1, Ordering::SeqCst);
                    place.gateway.deploy(&bad, &format!("libtandem_{name}.so"));
                    let reload = place.gateway.reload();
                    if name == "http" {
                        assert!(reload.ok, "{reload:?}");
                        eventually("it is taken back", || (!place.serves_bad()).then_some(()));
                        taken_back += 1;
                    } else {
                        assert!(!reload.ok, "{reload:?}");
                        refused += 1;
                    }
                    harm.fetch_add(1, Ordering::SeqCst);
                    // It is mended.
                    place.gateway.swap(library, &format!("1.{swaps}.0"));
                }
                n if n % 5 == 0 => {
                    if place.gateway.tandem(&["rollback", name]).status.success() {
                        back += 1;
                        let promoted = place.gateway.tandem(&["promote", name]);
                        assert!(promoted.status.success(), "{promoted:?}");
                    }
                }
                _ => drop(place.gateway.swap(library, &format!("1.{swaps}.0"))),
            }
            mapped = mapped.max(place.gateway.maps().len());
            if early == 0 && begun.elapsed() > Duration::from_secs(seconds / 4) {
                early = place.gateway.rss();
            }
            thread::sleep(EVERY.saturating_sub(round.elapsed()));
        }
        over.store(true, Ordering::SeqCst);
        let web: Vec<Browsed> = web.into_iter().map(|it| it.join().expect("what is answered is right")).collect();
        let submitted: u64 = esmes.into_iter().map(|it| it.join().expect("no bind is lost")).sum();
        (web, rest.join().expect("no message is refused"), submitted)
    });

    let (answered, failed): (u64, u64) = web.iter().fold((0, 0), |sum, it| (sum.0 + it.answered, sum.1 + it.failed));
    let late = place.gateway.rss();
    println!(
        "{swaps} swaps: {back} went back by hand, {taken_back} by themselves, {refused} were refused; {answered} requests were answered and {failed} \
         failed by a bad version, {sent} messages by REST and {submitted} by SMPP; at most {mapped} libraries; {early} and {late} bytes"
    );
    assert!(answered > swaps && sent > 0 && submitted > 0);
    assert!(failed == 0 || taken_back > 0);
    let accepted = i64::try_from(sent + submitted).unwrap();
    settled(Sums { accepted, delivered: accepted, ..Sums::default() }, || place.gateway.ledger_in_all());
    // What serves, what is kept for a way back, and what has just been left: of each.
    assert!(mapped <= 4 * real.len(), "{mapped} libraries were mapped at a time");
    settled(true, || place.gateway.maps().len() <= 2 * real.len());
    assert!(late < early + early / 2 + (64 << 20), "it grew from {early} bytes to {late}");
    assert_eq!(place.gateway.status().count("version-failing"), 0);
}

/// What became of the requests of one client.
struct Browsed {
    answered: u64,
    failed: u64,
}

struct Place {
    gateway: Gateway,
    web: u16,
    rest: u16,
    smpp: u16,
}

impl Place {
    fn start() -> Self {
        let (web, rest, smpp, network) = (free_port(), free_port(), free_port(), free_port());
        let text = format!(
            r#"
workers = 2
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
[service.web.config]
routes = [{{ path = "/", status = 200, body = "well" }}]
[service.rest]
component = "rest"
listen = ["tcp://127.0.0.1:{rest}"]
[service.rest.config]
submit_to = "messages"
[service.esme]
component = "smpp"
listen = ["tcp://127.0.0.1:{smpp}"]
[service.esme.config]
submit_to = "messages"
messages = "receipts"
[service.messages]
component = "messaging"
[service.messages.config]
routes = [{{ to = {{ smsc = 1 }} }}]
front = "rest"
[service.smsc]
component = "smpp"
connect = ["tcp://127.0.0.1:{network}"]
reconnect = {{ from = "50ms", to = "500ms" }}
[service.smsc.config]
system_id = "gateway"
password = "secret"
deliver_to = "messages"
[service.network]
component = "smpp"
listen = ["tcp://127.0.0.1:{network}"]
[service.network.config]
smsc = {{ receipt_after = "100ms" }}
[account.acme]
secret = "{SECRET}"
[account.gateway]
secret = "{SECRET}"
"#
        );
        let all = libraries();
        let builder =
            Gateway::builder().library(&all.http).library(&all.rest).library(&all.smpp).library(&all.messaging);
        let gateway = builder.data("data").toml(&text).start();
        eventually("it is bound", || (gateway.status().count("connector-up") > 0).then_some(()));
        Place { gateway, web, rest, smpp }
    }

    fn serves_bad(&self) -> bool {
        self.gateway.status().versions.iter().any(|one| one.stage == "active" && one.number.ends_with("-bad"))
    }

    /// Asks, one request after the other, on one connection for as long as it holds.
    fn browse(&self, harm: &AtomicU64, over: &AtomicBool) -> Browsed {
        let (mut browsed, mut client) = (Browsed { answered: 0, failed: 0 }, self.gateway.connect(self.web));
        while !over.load(Ordering::SeqCst) {
            let before = harm.load(Ordering::SeqCst);
            match client.get("/") {
                Ok(answer) => {
                    assert_eq!((answer.status, answer.text()), (200, "well".to_owned()));
                    browsed.answered += 1;
                }
                Err(error) => {
                    let after = harm.load(Ordering::SeqCst);
                    assert!(before % 2 == 1 || after != before, "no bad version is there: {error}");
                    browsed.failed += 1;
                    client = self.gateway.connect(self.web);
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        browsed
    }

    /// Sends messages by REST. How many were accepted.
    fn send(&self, over: &AtomicBool) -> u64 {
        let (mut sent, mut client) = (0, self.gateway.connect(self.rest));
        while !over.load(Ordering::SeqCst) {
            let body = format!(r#"{{"from": "100", "to": "+4917012345", "text": "message {sent}"}}"#);
            let head = format!(
                "POST /v1/messages HTTP/1.1\r\nHost: it\r\nAuthorization: Basic YWNtZTpzZWNyZXQ=\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            client.send(format!("{head}{body}").as_bytes()).expect("the connection holds");
            let answer = client.answer("POST").expect("it is answered");
            assert_eq!(answer.status, 202, "{}", answer.text());
            sent += 1;
            thread::sleep(Duration::from_millis(20));
        }
        sent
    }

    /// Submits messages on one bind. How many were accepted.
    fn submit(&self, over: &AtomicBool) -> u64 {
        let (mut submitted, mut esme) = (0, Esme::bound(self.smpp, "acme"));
        while !over.load(Ordering::SeqCst) {
            esme.submit(&format!("message {submitted}")).expect("the bind holds");
            assert_eq!(esme.response().expect("it is answered").status, 0);
            submitted += 1;
            thread::sleep(Duration::from_millis(20));
        }
        submitted
    }
}
