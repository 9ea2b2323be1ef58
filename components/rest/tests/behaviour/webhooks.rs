//! Events are sent to a server that the operator has chosen, in their order, until it has them.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::harness::Ending;
use tandem_component::prelude::*;
use tandem_rest::{EVENTS, PUSHERS, sign};

use crate::events::{keep, receipt};
use crate::support::*;

fn config() -> Value {
    let webhook = json!({ "upstream": "app", "path": "/cb?a=1", "secret": "sesame", "host": "hooks.example" });
    json!({
        "submit_to": "messaging",
        "accounts": { "acme": { "webhook": webhook } },
        "webhooks": { "batch": 2, "timeout": "5s", "retry_min": "1s", "retry_max": "10s" },
    })
}

/// What a webhook is told.
struct Post {
    head: String,
    body: String,
}

impl Post {
    fn ids(&self) -> Vec<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Client {
    /// A resident with a webhook to tell of so many receipts.
    fn with_webhook(seed: u64, carries: bool, n: usize) -> Client {
        let mut resident = Client::connect_as(Transport::Resident, &config(), seed, carries, false);
        for n in 1..=n {
            assert_eq!(keep(&mut resident, &receipt("acme", &format!("m{n}"))), Some(0));
        }
        resident.wait(SECOND);
        resident
    }

    /// The server takes the connection.
    fn accept(&mut self, reused: bool) -> Stream {
        let dialing = self.session().dialing().expect("a webhook is told");
        assert_eq!(dialing.upstream, "app");
        let stream = self.session().connect(Server(1), reused);
        self.carry();
        stream
    }

    fn post(&mut self, stream: Stream) -> Post {
        let sent = String::from_utf8(self.session().sent(stream)).unwrap();
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        Post { head: head.to_owned(), body: body.to_owned() }
    }

    fn answer(&mut self, stream: Stream, answer: &str) {
        self.session().bytes(stream, answer.as_bytes());
        self.carry();
        self.session().serving();
    }

    fn is_dialing(&mut self) -> bool {
        self.session().dialing().is_some()
    }

    fn owed(&mut self) -> usize {
        self.session().rows::<Value>(&EVENTS).len()
    }
}

fn ways(conversation: impl Fn(u64, bool)) {
    for seed in 0..12 {
        for carries in [false, true] {
            println!("seed {seed}, carries {carries}");
            conversation(seed, carries);
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn events_are_told_signed_and_in_their_order() {
    ways(|seed, carries| {
        let mut resident = Client::with_webhook(seed, carries, 3);
        let stream = resident.accept(false);
        let post = resident.post(stream);
        assert!(post.head.starts_with("POST /cb?a=1 HTTP/1.1\r\nHost: hooks.example\r\n"), "{}", post.head);
        let signature = post.head.lines().find_map(|line| line.strip_prefix("Tandem-Signature: ")).unwrap();
        let seconds = signature[2..].split(',').next().unwrap().parse().unwrap();
        assert_eq!(signature, sign(b"sesame", seconds, post.body.as_bytes()));
        let length = format!("Content-Length: {}", post.body.len());
        assert!(post.head.lines().any(|line| line == length));
        assert_eq!((seconds / 100, post.ids()), (17_672_688, vec!["r-m1".to_owned(), "r-m2".to_owned()]));
        assert_eq!(resident.owed(), 3);
        resident.answer(stream, OK);
        assert_eq!(resident.session().ending(stream), Some(Ending::Released));
        resident.wait(SECOND);
        assert_eq!(resident.owed(), 1);
        let stream = resident.accept(true);
        assert_eq!(resident.post(stream).ids(), ["r-m3"]);
        resident.answer(stream, "HTTP/1.1 204 No Content\r\n\r\n");
        resident.wait(SECOND);
        assert!(resident.owed() == 0 && !resident.is_dialing());
    });
}

#[test]
fn whatever_is_not_2xx_is_tried_again_after_a_while_that_grows() {
    ways(|seed, carries| {
        let mut resident = Client::with_webhook(seed, carries, 1);
        for (n, answer) in [
            "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "nonsense",
            "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        ]
        .iter()
        .enumerate()
        {
            let stream = resident.accept(false);
            assert_eq!(resident.post(stream).ids(), ["r-m1"]);
            resident.answer(stream, answer);
            assert!(!resident.is_dialing());
            let whole = SECOND * 2u32.pow(n.try_into().unwrap());
            resident.wait(whole.min(10 * SECOND) / 2 - SECOND / 100);
            assert!(!resident.is_dialing(), "{answer}");
            resident.wait(whole.min(10 * SECOND) / 2 + SECOND / 10);
            assert!(resident.is_dialing(), "{answer}");
        }
        let stream = resident.accept(false);
        resident.answer(stream, OK);
        assert_eq!(resident.owed(), 0);
    });
}

#[test]
fn an_answer_is_read_however_it_ends() {
    ways(|seed, carries| {
        for (answer, ends, keeps) in [
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, false),
            ("HTTP/1.1 200 OK\r\n\r\nok", false, false),
            ("HTTP/1.0 200 OK\r\n\r\n", true, false),
        ] {
            let mut resident = Client::with_webhook(seed, carries, 1);
            let stream = resident.accept(false);
            for byte in answer.as_bytes().chunks(7) {
                resident.session().bytes(stream, byte);
                resident.carry();
            }
            if ends {
                resident.session().end(stream);
            }
            assert_eq!(resident.owed(), 0, "{answer:?}");
            let ending = if keeps { Ending::Released } else { Ending::Closed };
            assert_eq!(resident.session().ending(stream), Some(ending), "{answer:?}");
        }
    });
}

#[test]
fn a_server_that_is_not_there_or_silent_is_tried_again() {
    ways(|seed, carries| {
        let mut resident = Client::with_webhook(seed, carries, 1);
        resident.is_dialing();
        resident.session().refuse(None, DialFailure::Refused);
        resident.carry();
        assert!(!resident.is_dialing());
        resident.wait(SECOND);
        let stream = resident.accept(false);
        resident.wait(5 * SECOND);
        assert_eq!(resident.session().ending(stream), Some(Ending::Aborted));
        assert!(resident.session().blamed().is_empty(), "it may answer others");
        resident.wait(2 * SECOND);
        let stream = resident.accept(true);
        resident.session().break_off(stream);
        resident.carry();
        // A kept connection that was dead: at once over a fresh one.
        assert!(resident.session().dialing().unwrap().fresh);
        let stream = resident.accept(false);
        resident.session().end(stream);
        resident.carry();
        assert!(!resident.is_dialing());
        resident.wait(4 * SECOND);
        let stream = resident.accept(false);
        resident.answer(stream, OK);
        assert_eq!(resident.owed(), 0);
    });
}

#[test]
fn what_was_told_and_could_not_be_written_down_is_not_told_twice() {
    ways(|seed, carries| {
        let mut resident = Client::with_webhook(seed, carries, 3);
        let stream = resident.accept(false);
        resident.session().fail_store(Some(StoreFailure::Unavailable));
        resident.answer(stream, OK);
        resident.wait(SECOND / 2);
        assert_eq!(resident.owed(), 3);
        resident.session().fail_store(None);
        resident.wait(3 * SECOND);
        let stream = resident.accept(false);
        assert_eq!(resident.post(stream).ids(), ["r-m3"]);
        assert_eq!(resident.owed(), 1);
    });
}

/// Another resident, of which there is nothing but its claim.
struct Rival {
    holder: String,
    seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Claiming;

#[derive(Serialize)]
struct Claim<'a> {
    account: &'a str,
    holder: &'a str,
    claimed_until: u64,
}

impl Component for Rival {
    type Config = (String, u64);
    type Session = Claiming;
    const TABLES: &'static [Table] = &[PUSHERS];
    const POLICY: Policy = Policy::Carry;

    fn start((holder, seconds): (String, u64), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Rival { holder, seconds })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Claiming, Refusal> {
        Ok(Claiming)
    }
}

impl Session for Claiming {
    type Component = Rival;
    type Then = ();

    fn handle(&mut self, rival: &Rival, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::Opened = event {
            let claimed_until = (out.now() + Duration::from_secs(rival.seconds)).nanos();
            out.put(&PUSHERS, &Claim { account: "acme", holder: &rival.holder, claimed_until });
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

/// A resident that finds another's claim.
fn with_rival(resident: &mut Client, holder: &str, seconds: u64) {
    let mut rival = Harness::<Rival>::start(&(holder, seconds)).unwrap();
    resident.session().copy_rows(&mut rival);
}

#[test]
fn what_another_resident_tells_is_left_to_it() {
    for seed in 0..12 {
        let mut resident = Client::connect_as(Transport::Resident, &config(), seed, false, false);
        with_rival(&mut resident, "1-rival", 100);
        assert_eq!(keep(&mut resident, &receipt("acme", "m1")), Some(0));
        resident.wait(99 * SECOND);
        assert!(!resident.is_dialing(), "seed {seed}");
        // It was not renewed.
        resident.wait(12 * SECOND);
        assert!(resident.is_dialing(), "seed {seed}");
        // What was claimed in another run of the host, nobody holds any more.
        let mut resident = Client::connect_as(Transport::Resident, &config(), seed, false, false);
        with_rival(&mut resident, "2-rival", 100);
        assert_eq!(keep(&mut resident, &receipt("acme", "m1")), Some(0));
        resident.wait(SECOND);
        assert!(resident.is_dialing(), "seed {seed}");
    }
}

#[test]
fn a_claim_that_was_lost_is_not_gone_by() {
    for seed in 0..12 {
        let mut resident = Client::with_webhook(seed, false, 0);
        with_rival(&mut resident, "1-rival", 1000);
        // Until it asks for more time it may tell.
        resident.wait(71 * SECOND);
        assert_eq!(keep(&mut resident, &receipt("acme", "m1")), Some(0));
        resident.wait(100 * SECOND);
        assert!(!resident.is_dialing(), "seed {seed}");
    }
}

#[test]
fn a_claim_is_held_while_nothing_happens() {
    ways(|seed, carries| {
        let mut resident = Client::with_webhook(seed, carries, 0);
        for _ in 0..20 {
            resident.wait(30 * SECOND);
            let now: i64 = 1_767_268_800_000_000_000;
            let claims: Vec<Value> = resident.session().rows(&PUSHERS);
            assert!(claims.iter().all(|claim| claim["claimed_until"].as_i64().unwrap() > now), "{claims:?}");
        }
        assert_eq!(keep(&mut resident, &receipt("acme", "m1")), Some(0));
        // It is told at once, since the one that keeps it is the one that tells.
        assert!(resident.is_dialing());
    });
}

#[test]
fn a_resident_that_is_to_end_ends_what_is_under_way_and_gives_its_claims_back() {
    ways(|seed, carries| {
        let mut resident = Client::with_webhook(seed, carries, 1);
        let stream = resident.accept(false);
        assert!(resident.session().serving());
        resident.session().drain(10 * SECOND);
        resident.carry();
        assert!(!resident.session().serving() && !resident.is_closed());
        resident.answer(stream, OK);
        assert!(resident.is_closed());
        assert_eq!(resident.owed(), 0);
        let claims: Vec<Value> = resident.session().rows(&PUSHERS);
        assert!(claims.iter().all(|claim| claim["claimed_until"] == 0), "{claims:?}");
        let mut resident = Client::with_webhook(seed, carries, 1);
        resident.accept(false);
        resident.session().drain(10 * SECOND);
        resident.wait(Duration::from_secs(10));
        assert!(resident.is_closed());
    });
}
