//! Whatever comes, in whatever order: no fault, no panic, no server left behind.

use std::time::Duration;

use serde_json::json;
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::support::*;

/// What clients and servers say, in whole and in part, right and wrong.
const CLIENT: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /fixed HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "PUT /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /fixed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "GET http://b/%41/../?x HTTP/1.1\r\nHost: a\r\nConnection: close, A\r\nA: b\r\n\r\n",
    "hello",
    "5\r\nhello\r\n",
    "c350\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "\r\n",
    "\n",
    " ",
    "GET /",
];

const SERVER: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "hello",
    "5\r\nhello\r\n",
    "c350\r\n",
    "0\r\n\r\n",
    "\r\n",
    "HTTP/1.1 2",
];

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }

    /// One of the texts; now and then with a byte changed, or only its beginning, or a lot of data instead.
    fn bytes(&mut self, texts: &[&str]) -> Vec<u8> {
        let mut bytes = texts[self.below(texts.len())].as_bytes().to_vec();
        match self.below(20) {
            0 => {
                let at = self.below(bytes.len());
                bytes[at] = u8::try_from(self.below(256)).unwrap();
            }
            1 => bytes.truncate(self.below(bytes.len()) + 1),
            2 | 3 => bytes = vec![b'x'; self.below(60_000) + 1],
            _ => {}
        }
        bytes
    }
}

#[test]
fn whatever_comes_the_session_keeps_its_promises() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2_000);
    for round in 0..rounds {
        let one = seed.wrapping_add(round);
        // The last line before a panic names the seed that alone brings it about.
        let result = std::panic::catch_unwind(|| converse(one));
        assert!(result.is_ok(), "SEED={one} ROUNDS=1");
    }
}

fn converse(seed: u64) {
    let config = json!({
        "routes": [{ "path": "/", "upstream": "app" }, { "path": "/fixed", "status": 200, "body": "x", "methods": ["PUT", "GET"] }],
        "limits": { "body_bytes": "40KiB" },
        "access_log": seed.is_multiple_of(2),
    });
    let mut random = Random(seed | 1);
    random.below(2);
    let mut session = start(&config);
    if random.below(2) == 0 {
        session = session.late(seed);
    }
    let mut servers: Vec<Stream> = Vec::new();
    let mut history = Vec::new();
    for _ in 0..60 {
        let latest = servers.last().copied();
        match random.below(24) {
            0..8 => {
                let bytes = random.bytes(CLIENT);
                history.push(format!("client {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)])));
                session.bytes(Stream::OWN, &bytes);
            }
            8..14 => {
                let bytes = random.bytes(SERVER);
                history.push(format!("server {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)])));
                if let Some(server) = latest {
                    session.bytes(server, &bytes);
                }
            }
            14..18 => {
                history.push("connect".into());
                if session.dialing().is_some() {
                    servers.push(session.connect(Server(random.below(3) as u64), random.below(2) == 0));
                }
            }
            18 => {
                history.push("refuse".into());
                if session.dialing().is_some() {
                    let why = [DialFailure::Refused, DialFailure::NoServer, DialFailure::Full][random.below(3)];
                    session.refuse(Some(Server(random.below(3) as u64)), why);
                }
            }
            19 => {
                history.push("time".into());
                session.advance(Duration::from_secs(random.below(70) as u64));
            }
            20 => {
                history.push("server ends".into());
                if let Some(server) = latest {
                    if random.below(2) == 0 { session.end(server) } else { session.break_off(server) }
                }
            }
            21 if random.below(3) == 0 => {
                history.push("client ends".into());
                if random.below(2) == 0 { session.end(Stream::OWN) } else { session.break_off(Stream::OWN) }
            }
            22 if random.below(4) == 0 => {
                history.push("drain".into());
                session.drain(Duration::from_secs(5));
            }
            _ => {
                history.push("swap".into());
                session = session.carry::<Http>(&config).unwrap();
            }
        }
        assert!(session.fault().is_none(), "{:?} after {history:#?}", session.fault());
        let over = session.ending(Stream::OWN).is_some();
        if over || session.at_boundary() {
            for server in &servers {
                assert!(session.ending(*server).is_some(), "a server is left behind after {history:#?}");
            }
            assert!(session.dialing().is_none(), "a dial is left behind after {history:#?}");
        }
        if over {
            return;
        }
    }
    // Whatever state this was, nothing waits for ever.
    for _ in 0..4 {
        if session.dialing().is_some() {
            session.refuse(None, DialFailure::NoServer);
        }
        session.advance(Duration::from_secs(2 * 3600));
    }
    assert!(session.ending(Stream::OWN).is_some(), "the session waits for ever after {history:#?}");
    assert!(session.fault().is_none());
}
