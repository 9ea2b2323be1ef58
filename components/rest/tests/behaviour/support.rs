//! A client, and the ways in which its sessions are driven.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::harness::{Calling, Ending};
use tandem_component::prelude::*;
use tandem_rest::Rest;
use tandem_sms::{Asked, Submit, Submitted};

/// One client's connection.
pub(crate) struct Client {
    session: Option<Harness<Rest>>,
    config: Value,
    carries: bool,
    bytewise: bool,
}

/// What a client was answered.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) fn config() -> Value {
    json!({ "submit_to": "messaging" })
}

/// Runs a conversation in every way: answers at once and late, one version and another after each step, whole requests and
/// single bytes. What the client sees must not differ.
pub(crate) fn every_way(config: &Value, conversation: impl Fn(&mut Client)) {
    for seed in 0..4 {
        for (carries, bytewise) in [(false, false), (true, false), (false, true), (true, true)] {
            println!("seed {seed}, carries {carries}, bytewise {bytewise}");
            conversation(&mut Client::connect(config, seed, carries, bytewise));
        }
    }
}

impl Client {
    /// With seed 0 answers come at once.
    pub(crate) fn connect(config: &Value, seed: u64, carries: bool, bytewise: bool) -> Self {
        Client::connect_as(Transport::Tcp, config, seed, carries, bytewise)
    }

    pub(crate) fn connect_as(transport: Transport, config: &Value, seed: u64, carries: bool, bytewise: bool) -> Self {
        let mut session = Harness::<Rest>::start_as(config, Role::Server, transport).unwrap();
        session.account("acme", b"secret");
        session.account("other", b"hidden");
        let session = if seed == 0 { session } else { session.late(seed) };
        Client { session: Some(session), config: config.clone(), carries, bytewise }
    }

    /// Another client, at the beginning of time, with what is stored by now.
    pub(crate) fn another_as(&mut self, transport: Transport) -> Self {
        let mut another = Client::connect_as(transport, &self.config, 0, self.carries, self.bytewise);
        another.follow(self);
        another
    }

    /// Finds what another one of the same store finds.
    pub(crate) fn follow(&mut self, other: &mut Client) {
        let rows = other.session.as_mut().unwrap();
        self.session.as_mut().unwrap().copy_rows(rows);
    }

    /// One that is driven in the simplest way.
    pub(crate) fn plain(config: &Value) -> Self {
        Client::connect(config, 0, false, false)
    }

    pub(crate) fn session(&mut self) -> &mut Harness<Rest> {
        self.session.as_mut().unwrap()
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(if self.bytewise { 1 } else { usize::MAX }) {
            self.session().bytes(Stream::OWN, part);
            self.carry();
        }
    }

    /// Time passes, after all has been told that there is to tell.
    pub(crate) fn wait(&mut self, span: Duration) {
        self.session().serving();
        self.session().advance(span);
        self.carry();
    }

    /// Another version goes on.
    pub(crate) fn carry(&mut self) {
        if self.carries {
            let session = self.session.take().unwrap();
            self.session = Some(session.carry::<Rest>(&self.config).unwrap());
        }
    }

    /// What was answered since the last call.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        let bytes = self.session().sent(Stream::OWN);
        assert_eq!(self.session().fault(), None);
        self.carry();
        answers(&bytes)
    }

    /// Says something and takes the one answer to it.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Heard {
        self.say(bytes);
        self.one()
    }

    /// The one answer that has come.
    pub(crate) fn one(&mut self) -> Heard {
        let mut heard = self.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }

    /// What the service behind the interface is asked.
    pub(crate) fn asked(&mut self) -> Calling {
        let calling = self.session().calling().expect("a service is asked");
        assert_eq!(calling.service, "messaging");
        calling
    }

    /// The message that it is asked to submit.
    pub(crate) fn submit(&mut self) -> Submit {
        match self.asked().read() {
            Asked::Submit(submit) => submit,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn reply(&mut self, response: &impl Serialize) {
        self.session().reply(response);
        self.carry();
    }

    /// It takes the message.
    pub(crate) fn take(&mut self, message_id: &str) {
        self.reply(&Submitted { message_id: message_id.to_owned(), parts: 1, ..Submitted::default() });
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.session().ending(Stream::OWN) == Some(Ending::Closed)
    }
}

impl Heard {
    /// A field of the head.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The end of a problem's `type`.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.body["status"], self.status);
        self.body["type"].as_str().unwrap().strip_prefix("urn:tandem:problem:").unwrap()
    }

    /// Where a problem's errors are.
    pub(crate) fn places(&self) -> Vec<&str> {
        let places = self.body["errors"].as_array().into_iter().flatten();
        places
            .map(|error| error.as_object().unwrap().iter().find(|it| it.0 != "detail").unwrap().1.as_str().unwrap())
            .collect()
    }
}

/// Takes answers apart. Those to HEAD are not among them.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes = &bytes[end..];
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut one = Heard { status, head, body: Value::Null };
        let length = one.field("content-length").map_or(0, |it| it.parse().unwrap());
        if length > 0 {
            one.body = serde_json::from_slice(&bytes[..length]).unwrap();
        }
        bytes = &bytes[length..];
        heard.push(one);
    }
    heard
}

/// A request of acme without a body.
pub(crate) fn request(line: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{ACME}\r\n").into_bytes()
}

/// Messages of acme.
pub(crate) fn post(body: &Value) -> Vec<u8> {
    post_with("", &body.to_string())
}

pub(crate) fn post_with(fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/messages HTTP/1.1\r\nHost: a\r\n{ACME}{fields}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

pub(crate) fn hello() -> Value {
    json!({ "from": "100", "to": "+4917200", "text": "hello" })
}

/// acme:secret.
pub(crate) const ACME: &str = "Authorization: Basic YWNtZTpzZWNyZXQ=\r\n";
pub(crate) const SECOND: Duration = Duration::from_secs(1);
