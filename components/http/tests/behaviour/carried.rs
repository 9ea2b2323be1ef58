//! The same conversation, however it is cut and whoever carries it on: client and servers see the same bytes.

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::support::*;

/// One thing that the other sides do.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The client sends.
    Client(&'static str),
    /// The client sends so many bytes.
    ClientBody(usize),
    /// The next server is there; whether its connection has served before.
    Connect(bool),
    /// There is no connection to this server.
    Refuse(u64),
    /// The latest server sends.
    Server(&'static str),
    /// The latest server sends so many bytes.
    ServerBody(usize),
    /// The latest server has finished.
    ServerEnds,
    /// The client has finished.
    ClientEnds,
}

use Step::{Client, ClientBody, ClientEnds, Connect, Refuse, Server, ServerBody, ServerEnds};

/// What everyone has heard in the end.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    client: String,
    servers: Vec<String>,
    client_over: bool,
}

/// How a conversation is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// The longest piece in which bytes arrive.
    piece: usize,
    /// Whether another version goes on after each piece.
    swap: bool,
    /// The seed for the length of pieces, and for late answers.
    seed: Option<u64>,
}

fn conversations() -> Vec<(&'static str, Vec<Step>)> {
    const POST: &str = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        (
            "pipelined",
            vec![
                Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
                Connect(false),
                Server("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\nhello"),
                Connect(true),
                Server("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\n"),
                Client("GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n"),
                Client("GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
                Connect(true),
                Server("HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n"),
            ],
        ),
        (
            "chunks both ways",
            vec![
                Client(POST),
                Client("5;x=y\r\nhello\r\n10000\r\n"),
                Connect(false),
                ClientBody(65_536),
                Client("\r\n0\r\nA: b\r\nHost: x\r\n\r\n"),
                Server("HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10000\r\n"),
                ServerBody(65_536),
                Server("\r\n0\r\nC: d\r\n\r\n"),
                Client("GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n"),
            ],
        ),
        (
            "lengths both ways, after a retry",
            vec![
                Client("PUT /u HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nExpect: 100-continue\r\n\r\n"),
                Refuse(7),
                Connect(false),
                Server("HTTP/1.1 100 Continue\r\n\r\n"),
                ClientBody(40_000),
                Server("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 50000\r\n\r\n"),
                ServerBody(50_000),
                Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"),
                Connect(true),
                ServerEnds,
                Connect(false),
                Server("HTTP/1.1 200 OK\r\nDate: d\r\n\r\nto the end"),
                ServerEnds,
            ],
        ),
        (
            "a tunnel",
            vec![
                Client("GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
                Connect(false),
                Server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello"),
                Client("ping"),
                Server("pong"),
                ClientEnds,
                Server("last"),
                ServerEnds,
            ],
        ),
        (
            "an unwanted body and a half-close",
            vec![
                Client("POST /fixed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
                Client("POST /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
                Client("GET /1 HTTP/1.0\r\n\r\n"),
                Connect(false),
                ClientEnds,
                Server("HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            ],
        ),
        (
            "what is refused in the end",
            vec![
                Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"),
                Connect(false),
                Server(
                    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\nDate: d\r\nContent-Length: 1\r\n\r\n!",
                ),
                Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            ],
        ),
    ]
}

fn config() -> Value {
    json!({ "routes": [
        { "path": "/", "upstream": "app" },
        { "path": "/fixed", "status": 200, "body": "hello", "methods": ["GET", "POST"] },
    ] })
}

/// One run of a conversation.
struct Run {
    session: Option<Talk>,
    cut: Cut,
    random: u64,
    client: Vec<u8>,
    servers: Vec<(Stream, Vec<u8>)>,
}

impl Run {
    fn of(steps: &[Step], cut: Cut) -> Heard {
        let session = start(&config());
        let session = if let Some(seed) = cut.seed { session.late(seed) } else { session };
        let random = cut.seed.unwrap_or(1) | 1;
        let mut run = Run { session: Some(session), cut, random, client: Vec::new(), servers: Vec::new() };
        for step in steps {
            run.step(*step);
        }
        let client_over = run.session().ending(Stream::OWN).is_some();
        Heard {
            client: text(run.client),
            servers: run.servers.into_iter().map(|(_, heard)| text(heard)).collect(),
            client_over,
        }
    }

    fn session(&mut self) -> &mut Talk {
        self.session.as_mut().expect("only taken within `swap`")
    }

    fn step(&mut self, step: Step) {
        let server = self.servers.last().map_or(Stream::OWN, |(server, _)| *server);
        match step {
            Client(text) => self.send(Stream::OWN, text.as_bytes()),
            ClientBody(n) => self.send(Stream::OWN, &vec![b'c'; n]),
            Server(text) => self.send(server, text.as_bytes()),
            ServerBody(n) => self.send(server, &vec![b's'; n]),
            Connect(reused) => {
                let number = self.servers.len() as u64;
                let server = self.session().connect(tandem_component::Server(number), reused);
                self.servers.push((server, Vec::new()));
            }
            Refuse(number) => self.session().refuse(Some(tandem_component::Server(number)), DialFailure::Refused),
            ServerEnds => self.session().end(server),
            ClientEnds => self.session().end(Stream::OWN),
        }
        // Who takes the next step has seen what this one led to; so late answers come between the pieces of a step.
        self.listen();
        self.swap();
    }

    fn send(&mut self, stream: Stream, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = self.length().min(bytes.len());
            self.session().bytes(stream, &bytes[..n]);
            bytes = &bytes[n..];
            self.swap();
        }
    }

    /// The length of the next piece: large pieces of large bodies, since each piece of one is the same.
    fn length(&mut self) -> usize {
        if self.cut.seed.is_none() {
            return self.cut.piece;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % self.cut.piece as u64).unwrap() + 1
    }

    fn swap(&mut self) {
        if !self.cut.swap {
            return;
        }
        self.listen();
        let session = self.session.take().expect("put back below");
        let over = session.fault().is_some();
        self.session = Some(if !over && session.at_boundary() {
            session.renew::<Http>(&config()).unwrap()
        } else {
            session.carry::<Http>(&config()).unwrap()
        });
    }

    fn listen(&mut self) {
        let session = self.session.as_mut().expect("only taken within `swap`");
        self.client.extend(session.sent(Stream::OWN));
        for (server, heard) in &mut self.servers {
            heard.extend(session.sent(*server));
        }
    }
}

fn whole(steps: &[Step]) -> Heard {
    Run::of(steps, Cut { piece: usize::MAX, swap: false, seed: None })
}

#[test]
fn the_conversations_go_as_they_should() {
    for (name, steps) in conversations() {
        let heard = whole(&steps);
        eprintln!("{name}: {heard:.2000?}");
        assert!(!heard.client.is_empty(), "{name}");
    }
}

#[test]
fn a_conversation_cut_at_every_byte_is_the_same() {
    for (name, steps) in conversations() {
        assert_eq!(Run::of(&steps, Cut { piece: 1, swap: false, seed: None }), whole(&steps), "{name}");
    }
}

#[test]
fn a_conversation_carried_at_every_byte_is_the_same() {
    for (name, mut steps) in conversations() {
        // Each byte of a body is the same: a few are enough here.
        for step in &mut steps {
            if let ClientBody(n) | ServerBody(n) = step {
                *n = (*n).min(100);
            }
            if let Client(text) | Server(text) = step {
                *text = match *text {
                    "5;x=y\r\nhello\r\n10000\r\n" => "5;x=y\r\nhello\r\n64\r\n",
                    "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10000\r\n" => {
                        "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n64\r\n"
                    }
                    "PUT /u HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nExpect: 100-continue\r\n\r\n" => {
                        "PUT /u HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
                    }
                    "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 50000\r\n\r\n" => {
                        "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 100\r\n\r\n"
                    }
                    other => other,
                };
            }
        }
        assert_eq!(Run::of(&steps, Cut { piece: 1, swap: true, seed: None }), whole(&steps), "{name}");
    }
}

#[test]
fn a_conversation_cut_and_carried_anywhere_is_the_same() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    eprintln!("SEED={seed}");
    for (name, steps) in conversations() {
        let expected = whole(&steps);
        for round in 0..40 {
            let cut = Cut { piece: 3000, swap: round % 2 == 0, seed: Some(seed.wrapping_add(round)) };
            assert_eq!(Run::of(&steps, cut), expected, "{name}, round {round} of SEED={seed}");
        }
    }
}
