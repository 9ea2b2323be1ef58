//! Whatever comes, in whatever order: no fault, no panic.

use std::time::Duration;

use serde_json::json;
use tandem_component::prelude::*;
use tandem_smpp::Smpp;
use tandem_sms::State;
use tandem_sms::{Asked, Deliver, Delivered, Report, Submitted};

use crate::support::*;

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// A PDU, right or wrong.
    fn pdu(&mut self, sequence: u32) -> Vec<u8> {
        const IDS: [u32; 17] = [
            DELIVER_SM,
            SUBMIT_SM | RESP,
            OUTBIND,
            RECEIVER,
            TRANSMITTER,
            TRANSCEIVER,
            SUBMIT_SM,
            SUBMIT_MULTI,
            DATA_SM,
            QUERY_SM,
            CANCEL_SM,
            REPLACE_SM,
            UNBIND,
            ENQUIRE_LINK,
            DELIVER_SM | RESP,
            RESP,
            0x0112,
        ];
        let mut bytes = match self.below(20) {
            16 | 17 => answer(SUBMIT_SM | RESP, [0, 0, 0x58][self.below(3)], sequence % 10, b"m1\0"),
            18 => deliver(sequence, 0, "hello", &[]),
            19 => deliver(sequence, 4, "id:m1 stat:DELIVRD err:000", &[]),
            0..8 => submit(sequence, "hello", 1),
            8 => query(sequence, "x", "100"),
            9 => cancel(sequence, ""),
            10 => replace(sequence, "x", "y", 1),
            11 | 12 => answer(DELIVER_SM | RESP, u32::try_from(self.below(3)).unwrap(), sequence % 10, b"\0"),
            13 => bind(IDS[self.below(3)], sequence, "acme", "secret"),
            _ => {
                let (id, length) = (IDS[self.below(IDS.len())], self.below(120));
                let body: Vec<u8> = (0..length).map(|_| if self.below(3) == 0 { self.byte() } else { 0 }).collect();
                pdu(id, sequence, &body)
            }
        };
        match self.below(12) {
            // Somewhere in the body, so that the frame still holds.
            0..3 if bytes.len() > 16 => {
                let at = 16 + self.below(bytes.len() - 16);
                bytes[at] = self.byte();
            }
            3 => {
                let (at, id) = (7, self.byte());
                bytes[at] = id;
            }
            4 if self.below(10) == 0 => {
                let at = self.below(bytes.len());
                bytes[at] = self.byte();
            }
            _ => {}
        }
        bytes
    }
}

#[test]
fn whatever_comes_nothing_panics_and_nothing_faults() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(400);
    for round in 0..rounds {
        let one = seed.wrapping_add(round);
        let result = std::panic::catch_unwind(|| converse(one));
        assert!(result.is_ok(), "SEED={one} ROUNDS=1");
    }
}

fn converse(seed: u64) {
    let mut random = Random(seed | 1);
    let late = if random.below(2) == 0 { seed | 1 } else { 0 };
    let (carries, bytewise) = (random.below(2) == 0, random.below(8) == 0);
    let mut both = config();
    both["deliver_to"] = json!("esme");
    both["queue"] = json!(3);
    let window = [2, 100][random.below(2)];
    both["window"] = json!({ "submit": window, "deliver": 3 });
    if random.below(2) == 0 {
        both["submit_to"] = json!("smsc-a");
    }
    if random.below(4) == 0 {
        let end = ["answer", "send"][random.below(2)];
        both["outbind"] = json!(end);
    }
    let role = [Role::Server, Role::Client][random.below(2)];
    let mut esme = Esme::connect_as(role, &both, late, carries, bytewise);
    match random.below(10) {
        0 => {}
        1..9 if role == Role::Client && both["outbind"] != "send" => esme.welcome(),
        1..9 => {
            esme.say(&bind([TRANSCEIVER, TRANSCEIVER, RECEIVER, TRANSMITTER][random.below(4)], 1, "acme", "secret"))
        }
        _ => esme.say(&pdu(OUTBIND, 1, b"acme\0secret\0")),
    }
    let mut requests = Vec::new();
    for sequence in 2..40 {
        if random.below(3) == 0 {
            other_services(&mut esme, &mut random, &mut requests, late);
        }
        match random.below(12) {
            0..8 => {
                let bytes = random.pdu(sequence);
                esme.say(&bytes);
            }
            8 => esme.wait(Duration::from_millis(random.below(20_000) as u64)),
            9 => drop(esme.heard()),
            // Late, the harness offers bytes again before it has told of the failure; the fourth time is a fault.
            10 if late == 0 => {
                let why = [None, None, Some(StoreFailure::Unavailable), Some(StoreFailure::Conflict)][random.below(4)];
                esme.session().fail_store(why);
            }
            _ if random.below(20) == 0 => esme.session().drain(SECOND * 5),
            _ if random.below(20) == 0 => esme.session().break_off(Stream::OWN),
            _ => {}
        }
        assert_eq!(esme.session().fault(), None);
    }
    drop(esme.heard());
    // Whatever has happened: no request is left without an answer for longer than the response timers of those before it.
    esme.session().fail_store(None);
    for _ in 0..130 {
        esme.wait(SECOND);
        drop(esme.heard());
    }
    assert_eq!(esme.session().fault(), None);
    for id in requests {
        let closed = esme.session().ending(Stream::OWN).is_some();
        assert!(closed || esme.submitted(id).is_some(), "{id:?}");
    }
}

/// What comes from other services, right or wrong.
fn other_services(esme: &mut Esme, random: &mut Random, requests: &mut Vec<RequestId>, late: u64) {
    match random.below(8) {
        0..3 if esme.session().serving() => requests.push(esme.request("from another service")),
        3 if esme.session().serving() => {
            // Of which kind the answer is, is the matter of whoever asks.
            esme.session().request("esme", &json!({ "submit": { "sms": { "destination": random.below(9) } } }));
        }
        4 if late == 0 => {
            if let Some(id) = requests.pop() {
                esme.session().withdraw(id);
            }
        }
        5.. if esme.session().calling().is_some() => match random.below(6) {
            0 => esme.session().fail_call(CallFailure::Down),
            1 => esme.session().reply(&"nonsense"),
            2 => esme.session().reply(&Submitted {
                status: RTHROTTLED,
                message_id: String::new(),
                ..Submitted::default()
            }),
            _ => {
                let message_id = format!("m{}", random.below(1000));
                esme.session().reply(&Submitted { status: 0, message_id, ..Submitted::default() });
            }
        },
        _ => {}
    }
    esme.carry();
}

/// A session that is opened for one request answers it, whatever it is.
#[test]
fn whatever_is_asked_for_an_esme_is_answered() {
    for seed in 1..300 {
        let mut random = Random(seed);
        let mut config = config();
        config["accounts"]["acme"]["addresses"] = json!(["1*"]);
        let session = Harness::<Smpp>::start_as(&config, Role::Server, Transport::Call).unwrap();
        let mut session = if seed % 2 == 0 { session } else { session.late(seed) };
        if random.below(3) == 0 {
            session.fail_store(Some(StoreFailure::Unavailable));
        }
        let mut sms = sms("hello");
        sms.destination.digits = random.below(300).to_string();
        let receipt = (random.below(2) == 0).then(|| Report {
            message_id: random.below(9).to_string(),
            state: State::Delivered,
            error: String::new(),
            intermediate: random.below(3) == 0,
        });
        let id = match random.below(4) {
            0 => session.request("smsc-a", &json!({ "deliver": { "sms": random.below(3) } })),
            _ => session.request("smsc-a", &Asked::Deliver(Deliver { sms, receipt, ..Deliver::default() })),
        };
        let mut response: Option<Delivered> = None;
        for _ in 0..20 {
            session = session.carry::<Smpp>(&config).unwrap();
            session.advance(Duration::from_millis(random.below(1000) as u64));
            response = response.or(session.response(id));
        }
        assert!(response.is_some() && session.fault().is_none(), "seed {seed}");
    }
}

#[test]
fn noise_is_nacked_or_waited_for() {
    for seed in 1..2_000 {
        let mut random = Random(seed);
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
        let mut esme = Esme::connect(&config(), seed, false, false);
        esme.say(&noise);
        assert!(esme.heard().iter().all(|pdu| pdu.status != 0), "seed {seed}");
    }
}
