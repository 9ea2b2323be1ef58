//! Whatever comes, in whatever order: no fault, no panic, and every request has its answer.

use serde_json::json;
use tandem_component::prelude::*;
use tandem_sms::{Delivered, Listed, Queried, Submitted};

use crate::events::{message, receipt};
use crate::support::*;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }

    /// A request, right or wrong.
    fn request(&mut self) -> Vec<u8> {
        let lines = [
            "GET /openapi.json",
            "GET /v1/events",
            "GET /v1/events?wait=5&after=1",
            "DELETE /v1/events?through=2",
            "GET /v1/messages/m1",
            "GET /v1/messages?limit=3",
            "DELETE /v1/messages/m1",
            "HEAD /v1/messages/m1",
            "PUT /v1/messages",
        ];
        let mut bytes = match self.below(12) {
            0..3 => post(&hello()),
            3 => post(&json!({ "from": "1", "to": ["1", "2", "3"], "text": "hi" })),
            4 => post_with("Expect: 100-continue\r\n", &hello().to_string()),
            5 => post_with("", "{\"from\": 1"),
            n => request(lines[(n + self.below(lines.len())) % lines.len()]),
        };
        if self.below(8) == 0 {
            let at = self.below(bytes.len());
            bytes[at] = u8::try_from(self.below(256)).unwrap();
        }
        if self.below(16) == 0 {
            bytes.truncate(self.below(bytes.len()));
        }
        bytes
    }
}

fn seeds(converse: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60);
    for round in 0..rounds {
        let one = seed.wrapping_add(round);
        let result = std::panic::catch_unwind(|| converse(one));
        assert!(result.is_ok(), "SEED={one} ROUNDS=1");
    }
}

#[test]
fn whatever_a_client_says_nothing_faults() {
    seeds(|seed| {
        let mut random = Random(seed | 1);
        let late = if random.below(2) == 0 { seed | 1 } else { 0 };
        let mut config = config();
        config["access_log"] = json!(true);
        let (carries, bytewise) = (random.below(2) == 0, random.below(16) == 0);
        let mut client = Client::connect(&config, late, carries, bytewise);
        for _ in 0..40 {
            match random.below(14) {
                0..6 => {
                    let bytes = random.request();
                    client.say(&bytes);
                }
                6..10 if client.session().calling().is_some() => match random.below(6) {
                    0 => client.session().fail_call(CallFailure::Down),
                    1 => client.reply(&"nonsense"),
                    2 => client.reply(&Submitted { status: 0x58, ..Submitted::default() }),
                    3 => client.reply(&Queried::default()),
                    4 => client.reply(&Listed { more: true, ..Listed::default() }),
                    _ => client.reply(&Submitted { message_id: "m1".into(), ..Submitted::default() }),
                },
                10 => client.wait(SECOND * u32::try_from(random.below(20)).unwrap()),
                // Late, the harness offers bytes again before it has told of the failure; the fourth time is a fault.
                11 if late == 0 => {
                    client.session().fail_store([None, Some(StoreFailure::Unavailable)][random.below(2)]);
                }
                12 if random.below(10) == 0 => client.session().drain(5 * SECOND),
                13 if random.below(10) == 0 => client.session().end(Stream::OWN),
                13 if random.below(20) == 0 => client.session().break_off(Stream::OWN),
                _ => drop(client.session().sent(Stream::OWN)),
            }
            assert_eq!(client.session().fault(), None);
        }
        client.session().fail_store(None);
        // Each of the requests that wait for each other may have its whole time.
        for _ in 0..60 {
            client.wait(30 * SECOND);
        }
        assert_eq!(client.session().fault(), None);
        // Nothing is waited for without an end.
        assert!(client.session().ending(Stream::OWN).is_some(), "{:?} late {late}", client.session().session());
    });
}

#[test]
fn whatever_happens_to_a_resident_what_it_is_asked_is_answered() {
    seeds(|seed| {
        let mut random = Random(seed | 1);
        let late = if random.below(2) == 0 { seed | 1 } else { 0 };
        let webhook = json!({ "upstream": "app", "path": "/", "secret": "s" });
        let config = json!({ "submit_to": "m", "accounts": { "acme": { "webhook": webhook, "events_max": 5 } } });
        let mut resident = Client::connect_as(Transport::Resident, &config, late, random.below(2) == 0, false);
        let (mut asked, mut streams) = (Vec::new(), Vec::new());
        for n in 0..60 {
            match random.below(10) {
                0..3 => {
                    let account = ["acme", "other", ""][random.below(3)];
                    let ask =
                        if random.below(2) == 0 { receipt(account, &n.to_string()) } else { message(account, "hi") };
                    asked.push(resident.session().request("messaging", &ask));
                }
                3 => resident.wait(SECOND * u32::try_from(random.below(90)).unwrap()),
                4 if resident.session().dialing().is_some() => match random.below(3) {
                    0 => resident.session().refuse(None, DialFailure::TimedOut),
                    n => streams.push(resident.session().connect(Server(1), n == 1)),
                },
                5..8 if !streams.is_empty() => {
                    let stream = streams[random.below(streams.len())];
                    let answer: &[u8] = [
                        &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
                        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
                        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
                        b"HTTP/1.1 200 OK\r\n\r\n",
                        b"?",
                    ][random.below(5)];
                    resident.session().bytes(stream, answer);
                }
                8 if !streams.is_empty() => {
                    let stream = streams[random.below(streams.len())];
                    match random.below(2) {
                        0 => resident.session().end(stream),
                        _ => resident.session().break_off(stream),
                    }
                }
                9 if late == 0 => {
                    resident.session().fail_store([None, Some(StoreFailure::Unavailable)][random.below(2)]);
                }
                _ => {}
            }
            resident.carry();
            assert_eq!(resident.session().fault(), None);
        }
        resident.session().fail_store(None);
        for _ in 0..10 {
            resident.wait(30 * SECOND);
        }
        for id in asked {
            assert!(resident.session().response::<Delivered>(id).is_some(), "{id:?}");
        }
        resident.session().drain(20 * SECOND);
        resident.wait(20 * SECOND);
        assert!(resident.is_closed());
    });
}

#[test]
fn noise_is_answered_or_waited_for() {
    for seed in 1..1000 {
        let mut random = Random(seed);
        let noise: Vec<u8> = (0..random.below(200)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let mut client = Client::connect(&config(), seed, false, false);
        client.say(&noise);
        assert!(client.heard().iter().all(|heard| heard.status >= 400), "seed {seed}");
    }
}
