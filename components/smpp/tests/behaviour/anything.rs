//! Whatever comes, in whatever order: no fault, no panic.

use std::time::Duration;

use tandem_component::{StoreFailure, Stream};

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
        const IDS: [u32; 14] = [
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
        let mut bytes = match self.below(16) {
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
    let mut esme = Esme::connect(&config(), late, random.below(2) == 0, random.below(8) == 0);
    if random.below(10) > 0 {
        esme.bind([TRANSCEIVER, TRANSCEIVER, RECEIVER, TRANSMITTER][random.below(4)]);
    }
    for sequence in 2..40 {
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
