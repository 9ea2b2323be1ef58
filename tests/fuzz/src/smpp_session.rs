//! The SMPP session with peers, services and a store that do anything: no fault but that of a store that stays away, each
//! request answered at most once and nothing else, the window kept; and nobody can tell that another version has gone on.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::harness::Ending;
use tandem_component::prelude::*;
use tandem_smpp::Smpp;

use crate::driven::{Driven, Shown, Swap};
use crate::input::Input;
use crate::smpp_wire as wire;

pub(crate) fn run(data: &[u8]) {
    if let Some(plain) = converse(data, Swap::Stays) {
        assert_eq!(converse(data, Swap::Carried), Some(plain));
    }
}

/// What is shown; nothing where there is no session in this role.
fn converse(data: &[u8], swap: Swap) -> Option<Shown> {
    let mut input = Input::new(data);
    let bits = input.byte();
    let bit = |n: u8| bits >> n & 1 == 1;
    let role = if bit(1) { Role::Client } else { Role::Server };
    let (mut session, config) = opened(role, bit(2))?;
    session.account("acme", b"secret");
    let late = bit(0).then_some(data.len() as u64);
    let mut peer =
        Peer { talk: Driven::new(session, config, swap, late), said: Vec::new(), failing: false, asked: Vec::new() };
    for _ in 0..STEPS_MAX {
        if input.is_empty() || peer.talk.is_over() {
            break;
        }
        peer.step(&mut input);
        peer.looks_right();
    }
    peer.talk.advance(Duration::from_secs(600));
    peer.looks_right();
    Some(peer.talk.end())
}

/// A session in this role, of a version that has accounts of its own or of one that asks the host for them.
fn opened(role: Role, elsewhere: bool) -> Option<(Harness<Smpp>, Value)> {
    let common = json!({
        "window": { "submit": WINDOW, "deliver": WINDOW },
        "pdu_bytes_max": 1024,
        "smsc": { "receipt_after": "1s" },
    });
    let with = |more: Value| {
        let mut config = common.clone();
        let (Value::Object(config_of), Value::Object(more)) = (&mut config, more) else { return config };
        config_of.extend(more);
        config
    };
    let services = if elsewhere { json!({ "submit_to": "smsc", "deliver_to": "esmes" }) } else { json!({}) };
    let named = json!({ "accounts": { "acme": { "max_binds": 2, "addresses": ["2*"] } } });
    let own = json!({ "accounts": [{ "system_id": "acme", "password": "secret", "max_binds": 2 }] });
    let configs = [with(merged(named, services)), with(own)];
    configs.into_iter().find_map(|config| Some((Harness::start_as(&config, role, Transport::Tcp).ok()?, config)))
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

/// The peer of a session, and everybody else around it.
struct Peer {
    talk: Driven<Smpp, Value>,
    /// All bytes that the session was sent.
    said: Vec<u8>,
    /// Whether the store has failed since the beginning.
    failing: bool,
    asked: Vec<RequestId>,
}

impl Peer {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0 => self.say(input.bytes(), usize::MAX),
            1 => self.say(input.bytes(), 1),
            2 => self.say(&wire::any(input), usize::MAX),
            3..6 => self.say(&wire::request(input), usize::MAX),
            6 => self.say(&wire::request(input), 5),
            7 => self.say(&wire::response(input), usize::MAX),
            8 => {
                let millis = input.one_of(&[1, 500, 1_000, 5_000, 30_000, 60_000, 600_000]);
                self.talk.advance(Duration::from_millis(millis));
            }
            9 => {
                let why = input.one_of(&[None, None, Some(StoreFailure::Unavailable), Some(StoreFailure::Conflict)]);
                self.failing |= why.is_some();
                self.talk.session().fail_store(why);
            }
            10 => self.called(input),
            11 => self.is_asked(input),
            12 if input.below(8) == 0 => self.leaves(input),
            12 => drop(self.talk.look()),
            _ => self.talk.swap(),
        }
    }

    fn say(&mut self, bytes: &[u8], length: usize) {
        for piece in bytes.chunks(length) {
            if self.talk.session().ending(Stream::OWN).is_none() {
                self.said.extend(piece);
                self.talk.session().bytes(Stream::OWN, piece);
            }
        }
    }

    /// Another service answers, where one was asked.
    fn called(&mut self, input: &mut Input<'_>) {
        let how = input.below(6);
        let session = self.talk.session();
        let Some(call) = session.calling() else { return };
        let asked = call.read::<rmpv::Value>().to_string();
        match how {
            0 => session.fail_call(CallFailure::Down),
            1 => session.fail_call(CallFailure::Ended),
            2 => session.reply(&json!("nonsense")),
            3 => session.reply(&json!({ "status": 0x58 })),
            _ => session.reply(&json!({ "status": 0, "message_id": "m1" })),
        }
        self.talk.note(&(call.service, asked));
    }

    /// Another service asks, or no longer waits.
    fn is_asked(&mut self, input: &mut Input<'_>) {
        let what = input.below(6);
        if what == 0 {
            let Some(id) = self.asked.pop() else { return };
            return self.talk.session().withdraw(id);
        }
        let text: Vec<u8> = input.bytes().to_vec();
        let number = json!({ "ton": 1, "npi": 1, "digits": "200" });
        let sms = json!({ "source": number, "destination": number, "registered_delivery": 1, "short_message": text });
        let report = json!({ "message_id": "m1", "state": "DELIVRD" });
        let asked = match what {
            1 => json!({ "other": text }),
            2 => json!({ "deliver": { "sms": sms } }),
            3 => json!({ "deliver": { "sms": sms, "receipt": report } }),
            _ => json!({ "submit": { "id": "s1", "account": "acme", "sms": sms } }),
        };
        let id = self.talk.session().request("other", &asked);
        self.asked.push(id);
    }

    fn leaves(&mut self, input: &mut Input<'_>) {
        match input.below(3) {
            0 => self.talk.session().end(Stream::OWN),
            1 => self.talk.session().break_off(Stream::OWN),
            _ => self.talk.session().drain(Duration::from_secs(5)),
        }
    }

    fn looks_right(&mut self) {
        if self.talk.is_late() && self.talk.session().fault().is_none() {
            // Looking would bring all answers at once.
            return;
        }
        self.is_without_fault();
        let (said, _) = wire::headers(&self.said);
        let shown = self.talk.look();
        let (sent, left) = wire::headers(shown.sent.get(&Stream::OWN).map_or(&[], |sent| &sent.0));
        assert!(left.is_empty(), "what is sent are whole PDUs");
        answers_what_was_asked(&said, &sent);
        let responses = said.iter().filter(|one| one.is_response()).count();
        let open = sent.iter().filter(|one| one.takes_a_place()).count();
        assert!(open <= WINDOW + responses, "{open} requests, {responses} responses");
        let responses: Vec<_> =
            self.asked.iter().filter_map(|id| self.talk.session().response::<rmpv::Value>(*id)).collect();
        if !responses.is_empty() {
            self.talk.note(&format!("{responses:?}"));
        }
    }

    fn is_without_fault(&mut self) {
        let failing = self.failing;
        if let Some(fault) = self.talk.session().fault() {
            assert!(failing && fault.to_string() == "what it writes cannot be stored", "{fault}");
        }
        assert_ne!(self.talk.session().ending(Stream::OWN), Some(Ending::Aborted));
    }
}

/// Each response is to a request that was made, and no request has two. What is no PDU is nacked without a number.
fn answers_what_was_asked(said: &[wire::Header], sent: &[wire::Header]) {
    let mut asked: HashMap<u32, usize> = HashMap::new();
    for one in said.iter().filter(|one| !one.is_response()) {
        *asked.entry(one.sequence).or_default() += 1;
    }
    for one in sent.iter().filter(|one| one.is_response()) {
        if (one.id, one.sequence) == (wire::RESPONSE, 0) && one.status != 0 {
            continue;
        }
        let left = asked.get_mut(&one.sequence).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("{one:?} answers nothing")) -= 1;
    }
}

const WINDOW: usize = 3;
const STEPS_MAX: usize = 60;
