//! An ESME, a service that it binds to, a connector of ours, and a simulated SMSC behind it: bytes and requests go between
//! them until nothing moves, while any of the sessions is carried at any point.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_smpp::Smpp;
use tandem_sms::{Asked, Delivered, Submitted};

use crate::anything::Random;
use crate::support::*;

struct Gateway {
    esme: Esme,
    connector: Esme,
    smsc: Esme,
    /// What the service has asked the connector.
    asked: Option<RequestId>,
    elapsed: std::time::Duration,
    random: Random,
    /// What the ESME was sent.
    heard: VecDeque<Pdu>,
}

fn service() -> Value {
    json!({ "submit_to": "smsc-a", "accounts": { "acme": { "addresses": ["100"] } } })
}

impl Gateway {
    fn new(seed: u64) -> Self {
        let late = if seed.is_multiple_of(2) { 0 } else { seed };
        let smsc = json!({ "system_id": "smsc", "smsc": { "receipt_after": "2s", "state": "DELIVRD" } });
        let mut smsc = Esme::connect(&smsc, late, true, false);
        smsc.session().account("tandem", b"sesame");
        let esme = Esme::connect(&service(), late, true, false);
        let connector = Esme::connect_as(Role::Client, &connector(), late, true, false);
        let (elapsed, random, heard) = (std::time::Duration::ZERO, Random(seed | 1), VecDeque::new());
        Gateway { esme, connector, smsc, asked: None, elapsed, random, heard }
    }

    /// Moves one thing, if there is one. The order is chance.
    fn step(&mut self) -> bool {
        let mut moved = false;
        let first = self.random.below(5);
        for way in (0..5).map(|n| (first + n) % 5) {
            moved = match way {
                0 => pass(&mut self.connector, &mut self.smsc, &mut self.random),
                1 => pass(&mut self.smsc, &mut self.connector, &mut self.random),
                2 => self.submit(),
                3 => self.deliver(),
                _ => {
                    let heard = self.esme.heard();
                    let some = !heard.is_empty();
                    self.heard.extend(heard);
                    some
                }
            };
            if moved {
                break;
            }
        }
        match self.random.below(3) {
            0 => self.esme.carry(),
            1 => self.connector.carry(),
            _ => self.smsc.carry(),
        }
        moved
    }

    /// From the service to the connector, and back.
    fn submit(&mut self) -> bool {
        if let Some(id) = self.asked {
            let Some(submitted) = self.connector.session().response::<Submitted>(id) else { return false };
            self.asked = None;
            self.esme.session().reply(&submitted);
            return true;
        }
        let Some(call) = self.esme.session().calling() else { return false };
        if !self.connector.session().serving() {
            return false;
        }
        assert_eq!(call.service, "smsc-a");
        self.asked = Some(self.connector.session().request("esme", &call.read::<Asked>()));
        true
    }

    /// From the connector to a session that is opened for it.
    fn deliver(&mut self) -> bool {
        let Some(call) = self.connector.session().calling() else { return false };
        assert_eq!(call.service, "esme");
        let mut session = Harness::<Smpp>::start_as(&service(), Role::Server, Transport::Call).unwrap();
        session.advance(self.elapsed);
        session.copy_rows(self.esme.session());
        let id = session.request("smsc-a", &call.read::<Asked>());
        session.advance(SECOND * 2);
        let delivered = session.response::<Delivered>(id).unwrap();
        self.esme.session().copy_rows(&mut session);
        self.connector.session().reply(&delivered);
        true
    }

    fn wait(&mut self, span: std::time::Duration) {
        self.elapsed += span;
        for side in [&mut self.esme, &mut self.connector, &mut self.smsc] {
            side.wait(span);
        }
    }

    fn settle(&mut self) {
        while self.step() {}
    }
}

/// Passes on what one has sent, cut anywhere.
fn pass(from: &mut Esme, to: &mut Esme, random: &mut Random) -> bool {
    let bytes = from.session().sent(Stream::OWN);
    assert_eq!(from.session().fault(), None);
    if bytes.is_empty() {
        return false;
    }
    let (head, tail) = bytes.split_at(random.below(bytes.len()));
    to.say(head);
    to.say(tail);
    true
}

#[test]
fn each_message_is_submitted_once_and_each_receipt_comes_back_once() {
    for seed in 0..30 {
        println!("seed {seed}");
        let mut gateway = Gateway::new(seed);
        gateway.settle();
        gateway.esme.say(&bind(TRANSCEIVER, 1, "acme", "secret"));
        gateway.settle();
        assert_eq!(gateway.heard.pop_front().unwrap().status, 0);
        let mut ids = BTreeSet::new();
        let mut receipts = Vec::new();
        for n in 2..22 {
            gateway.esme.say(&submit_to("200", n, &format!("number {n}"), 1, &[]));
            if gateway.random.below(2) == 0 {
                gateway.settle();
            }
            if gateway.random.below(5) == 0 {
                gateway.wait(SECOND);
            }
        }
        for _ in 0..12 {
            gateway.settle();
            while let Some(pdu) = gateway.heard.pop_front() {
                match pdu.id {
                    DELIVER_SM => {
                        receipts.push(String::from_utf8_lossy(&pdu.body).into_owned());
                        gateway.esme.say(&answer(DELIVER_SM | RESP, 0, pdu.sequence, b"\0"));
                    }
                    _ => assert!(pdu.status == 0 && ids.insert(pdu.text()), "{pdu:?}"),
                }
            }
            gateway.wait(SECOND);
        }
        assert_eq!((ids.len(), receipts.len()), (20, 20));
        for id in &ids {
            assert_eq!(receipts.iter().filter(|text| text.contains(&format!("id:{id} "))).count(), 1);
        }
        assert!(receipts.iter().all(|text| text.contains("stat:DELIVRD err:000")));
        assert_eq!(gateway.smsc.messages().len(), 20);
        assert!(gateway.smsc.messages().iter().all(|message| message.receipt_sent.is_some()));
        assert!(gateway.esme.messages().iter().all(|message| message.receipt_sent.is_some()));
    }
}
