//! An ESME, and the ways in which its sessions are driven.
//!
//! PDUs are written by hand here, so that a mistake of the codec is not made twice.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::harness::Ending;
use tandem_component::prelude::*;
use tandem_smpp::{MESSAGES, Smpp, message::Message};
use tandem_sms::{Address, Asked, Sms, Submit, Submitted};

/// One ESME's connection.
pub(crate) struct Esme {
    session: Option<Harness<Smpp>>,
    config: Value,
    carries: bool,
    bytewise: bool,
}

/// An SMSC that the session has connected to is driven in the same way.
pub(crate) type Smsc = Esme;

/// What the ESME was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pdu {
    pub(crate) id: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn config() -> Value {
    json!({
        "accounts": { "acme": { "max_binds": 2 } },
        "smsc": { "receipt_after": "1s", "state": "DELIVRD" },
    })
}

/// Runs a conversation in every way: answers at once and late, one version and another after each step, whole PDUs and
/// single bytes. What the ESME sees must not differ.
pub(crate) fn every_way(config: &Value, conversation: impl Fn(&mut Esme)) {
    for seed in 0..12 {
        for (carries, bytewise) in [(false, false), (true, false), (false, true), (true, true)] {
            println!("seed {seed}, carries {carries}, bytewise {bytewise}");
            conversation(&mut Esme::connect(config, seed, carries, bytewise));
        }
    }
}

/// As [`every_way`], for a session that has connected to an SMSC.
pub(crate) fn every_way_out(config: &Value, conversation: impl Fn(&mut Smsc)) {
    for seed in 0..6 {
        for (carries, bytewise) in [(false, false), (true, false), (false, true), (true, true)] {
            println!("seed {seed}, carries {carries}, bytewise {bytewise}");
            conversation(&mut Smsc::connect_as(Role::Client, config, seed, carries, bytewise));
        }
    }
}

/// A connector's configuration.
pub(crate) fn connector() -> Value {
    json!({ "system_id": "tandem", "password": "sesame", "deliver_to": "esme" })
}

/// As [`every_way`], for those whose PDUs have to come in one event.
pub(crate) fn at_once(config: &Value, conversation: impl Fn(&mut Esme)) {
    for seed in 0..12 {
        for carries in [false, true] {
            println!("seed {seed}, carries {carries}");
            conversation(&mut Esme::connect(config, seed, carries, false));
        }
    }
}

impl Esme {
    /// With seed 0 answers come at once.
    pub(crate) fn connect(config: &Value, seed: u64, carries: bool, bytewise: bool) -> Self {
        Esme::connect_as(Role::Server, config, seed, carries, bytewise)
    }

    pub(crate) fn connect_as(role: Role, config: &Value, seed: u64, carries: bool, bytewise: bool) -> Self {
        let mut session = Harness::start_as(config, role, Transport::Tcp).unwrap();
        session.account("acme", b"secret");
        session.account("other", b"hidden");
        let session = if seed == 0 { session } else { session.late(seed) };
        Esme { session: Some(session), config: config.clone(), carries, bytewise }
    }

    /// Goes on with a session that has begun elsewhere.
    pub(crate) fn of(session: Harness<Smpp>, config: &Value) -> Self {
        Esme { session: Some(session), config: config.clone(), carries: false, bytewise: false }
    }

    pub(crate) fn into_session(self) -> Harness<Smpp> {
        self.session.unwrap()
    }

    /// Binds as acme; what comes after the response is left to be heard.
    pub(crate) fn bind_later(&mut self, command: u32) {
        self.say(&bind(command, 1, "acme", "secret"));
    }

    pub(crate) fn session(&mut self) -> &mut Harness<Smpp> {
        self.session.as_mut().unwrap()
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(if self.bytewise { 1 } else { usize::MAX }) {
            self.session().bytes(Stream::OWN, part);
            self.carry();
        }
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        self.session().advance(span);
        self.carry();
    }

    /// Another version goes on.
    pub(crate) fn carry(&mut self) {
        if self.carries {
            let session = self.session.take().unwrap();
            self.session = Some(session.carry::<Smpp>(&self.config).unwrap());
        }
    }

    /// What was sent since the last call.
    pub(crate) fn heard(&mut self) -> Vec<Pdu> {
        let bytes = self.session().sent(Stream::OWN);
        assert_eq!(self.session().fault(), None);
        self.carry();
        pdus(&bytes)
    }

    /// Says one PDU and takes the one that answers it.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Pdu {
        self.say(bytes);
        let mut heard = self.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }

    /// Binds as acme.
    pub(crate) fn bind(&mut self, command: u32) {
        let answer = self.ask(&bind(command, 1, "acme", "secret"));
        assert_eq!((answer.id, answer.status, answer.sequence), (command | RESP, 0, 1));
    }

    /// The SMSC takes the bind of the session that has connected to it.
    pub(crate) fn welcome(&mut self) {
        let asked = self.heard().remove(0);
        self.say(&answer(asked.id | RESP, 0, asked.sequence, b"smsc\0\x02\x10\0\x01\x34"));
    }

    /// Another service asks the session to submit a message from 100 to 200.
    pub(crate) fn request(&mut self, text: &str) -> RequestId {
        let id = self.session().request("esme", &Asked::Submit(Submit { sms: sms(text), ..Submit::default() }));
        self.carry();
        id
    }

    /// What the session has answered to that.
    pub(crate) fn submitted(&mut self, id: RequestId) -> Option<Submitted> {
        self.session().response(id)
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.session().ending(Stream::OWN) == Some(Ending::Closed)
    }

    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.session().rows(&MESSAGES)
    }
}

pub(crate) fn pdus(mut bytes: &[u8]) -> Vec<Pdu> {
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut pdus = Vec::new();
    while !bytes.is_empty() {
        let length = number(bytes, 0) as usize;
        let (pdu, rest) = bytes.split_at(length);
        let (id, status, sequence) = (number(pdu, 4), number(pdu, 8), number(pdu, 12));
        pdus.push(Pdu { id, status, sequence, body: pdu[16..].to_vec() });
        bytes = rest;
    }
    pdus
}

impl Pdu {
    /// The text that the body begins with.
    pub(crate) fn text(&self) -> String {
        let end = self.body.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(self.body[..end].to_vec()).unwrap()
    }
}

pub(crate) fn pdu(id: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    answer(id, 0, sequence, body)
}

pub(crate) fn answer(id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut bytes = Vec::new();
    [length, id, status, sequence].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes.extend(body);
    bytes
}

pub(crate) fn bind(id: u32, sequence: u32, system_id: &str, password: &str) -> Vec<u8> {
    pdu(id, sequence, format!("{system_id}\0{password}\0\0\x34\0\0\0").as_bytes())
}

/// From 100 to 200, as another service asks it.
pub(crate) fn sms(text: &str) -> Sms {
    let address = |ton, digits: &str| Address { ton, npi: 1, digits: digits.to_owned() };
    let (source, destination, short_message) = (address(1, "100"), address(2, "200"), text.as_bytes().to_vec());
    Sms { source, destination, short_message, ..Sms::default() }
}

/// From 200 to 100.
pub(crate) fn deliver(sequence: u32, esm_class: u8, text: &str, tlvs: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x02\x01200\0\x01\x01100\0".to_vec();
    body.extend([esm_class, 0, 0, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
    body.extend(text.as_bytes());
    body.extend(tlvs);
    pdu(DELIVER_SM, sequence, &body)
}

/// From 100 to 200.
pub(crate) fn submit(sequence: u32, text: &str, registered: u8) -> Vec<u8> {
    submit_to("200", sequence, text, registered, &[])
}

pub(crate) fn submit_to(destination: &str, sequence: u32, text: &str, registered: u8, tlvs: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01\x01100\0\x02\x01".to_vec();
    body.extend(destination.as_bytes());
    body.extend([0, 0, 0, 0, 0, 0, registered, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
    body.extend(text.as_bytes());
    body.extend(tlvs);
    pdu(SUBMIT_SM, sequence, &body)
}

pub(crate) fn query(sequence: u32, id: &str, source: &str) -> Vec<u8> {
    pdu(QUERY_SM, sequence, format!("{id}\0\x01\x01{source}\0").as_bytes())
}

pub(crate) fn cancel(sequence: u32, id: &str) -> Vec<u8> {
    pdu(CANCEL_SM, sequence, format!("\0{id}\0\x01\x01100\0\x02\x01200\0").as_bytes())
}

pub(crate) fn replace(sequence: u32, id: &str, text: &str, registered: u8) -> Vec<u8> {
    let mut body = format!("{id}\0\x01\x01100\0\0\0").into_bytes();
    body.extend([registered, 0]);
    body.push(u8::try_from(text.len()).unwrap());
    body.extend(text.as_bytes());
    pdu(REPLACE_SM, sequence, &body)
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const RESP: u32 = 0x8000_0000;
pub(crate) const RECEIVER: u32 = 1;
pub(crate) const TRANSMITTER: u32 = 2;
pub(crate) const QUERY_SM: u32 = 3;
pub(crate) const SUBMIT_SM: u32 = 4;
pub(crate) const DELIVER_SM: u32 = 5;
pub(crate) const UNBIND: u32 = 6;
pub(crate) const REPLACE_SM: u32 = 7;
pub(crate) const CANCEL_SM: u32 = 8;
pub(crate) const TRANSCEIVER: u32 = 9;
pub(crate) const OUTBIND: u32 = 0x0b;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
pub(crate) const SUBMIT_MULTI: u32 = 0x21;
pub(crate) const DATA_SM: u32 = 0x103;

pub(crate) const RINVCMDLEN: u32 = 2;
pub(crate) const RINVCMDID: u32 = 3;
pub(crate) const RINVBNDSTS: u32 = 4;
pub(crate) const RALYBND: u32 = 5;
pub(crate) const RINVREGDLVFLG: u32 = 7;
pub(crate) const RSYSERR: u32 = 8;
pub(crate) const RINVSRCADR: u32 = 0x0a;
pub(crate) const RINVDSTADR: u32 = 0x0b;
pub(crate) const RINVMSGID: u32 = 0x0c;
pub(crate) const RINVPASWD: u32 = 0x0e;
pub(crate) const RINVSYSID: u32 = 0x0f;
pub(crate) const RCANCELFAIL: u32 = 0x11;
pub(crate) const RBINDFAIL: u32 = 0x0d;
pub(crate) const RMSGQFUL: u32 = 0x14;
pub(crate) const RINVTLVSTREAM: u32 = 0xc0;
pub(crate) const RX_P_APPN: u32 = 0x65;
pub(crate) const RX_T_APPN: u32 = 0x64;
pub(crate) const RREPLACEFAIL: u32 = 0x13;
pub(crate) const RSUBMITFAIL: u32 = 0x45;
pub(crate) const RTHROTTLED: u32 = 0x58;
pub(crate) const RQUERYFAIL: u32 = 0x67;
