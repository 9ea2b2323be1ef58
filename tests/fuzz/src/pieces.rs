//! Requests on one connection, from one piece and byte by byte: servers are given the same requests, and read them as a
//! careless peer does; clients are given the same answers.

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_http::Http;
use tandem_http1::{Body, Chunked, Keep, Limits, RequestHead, Slots};

use crate::driven::Text;
use crate::lenient::Lenient;

/// What there was of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// The requests that servers were given, whole.
    requests: Vec<Text>,
    /// The statuses of the answers that the client was given.
    statuses: Vec<Text>,
}

pub(crate) fn run(data: &[u8]) {
    let whole = converse(data, data.len().max(1));
    // Whether a body that was asked for follows is known only where it is there: the connection is kept or not.
    let asks = data.to_ascii_lowercase().windows(6).any(|some| some == b"expect");
    for length in [1, 7] {
        let pieces = converse(data, length);
        if asks {
            let both = pieces.requests.len().min(whole.requests.len());
            assert_eq!(pieces.requests[..both], whole.requests[..both], "in pieces of {length}");
        } else {
            assert_eq!(pieces, whole, "in pieces of {length}");
        }
    }
}

fn converse(data: &[u8], length: usize) -> Seen {
    let mut session = Harness::<Http>::start(&config()).expect("the configuration is one");
    let mut server = Upstream::default();
    let mut heard = Vec::new();
    for piece in data.chunks(length) {
        session.bytes(Stream::OWN, piece);
        server.serve(&mut session);
        heard.extend(session.sent(Stream::OWN));
    }
    // Then whatever is there is all that there will be: a head of which no line has ended is not looked at before.
    session.end(Stream::OWN);
    server.serve(&mut session);
    heard.extend(session.sent(Stream::OWN));
    assert_eq!(session.fault(), None);
    let statuses = heard.split(|byte| *byte == b'\n').filter_map(status).collect();
    Seen { requests: server.requests, statuses }
}

/// Servers that answer each request once they have all of it.
#[derive(Default)]
struct Upstream {
    open: Option<Stream>,
    given: Vec<u8>,
    requests: Vec<Text>,
}

impl Upstream {
    fn serve(&mut self, session: &mut Harness<Http>) {
        loop {
            if session.dialing().is_some() {
                self.open = Some(session.connect(Server(1), false));
                self.given.clear();
            }
            let Some(stream) = self.open else { return };
            self.given.extend(session.sent(stream));
            let is_over = session.ending(stream).is_some();
            if !is_over && !is_whole(&self.given) {
                return;
            }
            self.open = None;
            if !is_over {
                self.requests.push(Text(std::mem::take(&mut self.given)));
                session.bytes(stream, b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
            }
        }
    }
}

/// A status that is no interim one: whether a client is told to continue depends on whether it has. What cannot be read for
/// two reasons is refused for the one that is seen first.
fn status(line: &[u8]) -> Option<Text> {
    const UNREADABLE: [&[u8]; 4] = [b"400", b"414", b"431", b"505"];
    let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)).filter(|status| status[0] != b'1')?;
    let status = if UNREADABLE.contains(&status) { b"unreadable" } else { status };
    Some(Text(status.to_vec()))
}

/// Whether a server has been given all of a request, which it reads in one way.
fn is_whole(given: &[u8]) -> bool {
    let (mut slots, limits) =
        (Slots::new(), Limits { head: 1 << 20, target: 1 << 20, fields: tandem_http1::FIELDS_MAX });
    let head = RequestHead::read(given, &mut slots, &limits).expect("what is passed on can be read");
    let Some(head) = head else { return false };
    let careless = Lenient::read(given).expect("also by a careless peer");
    assert_eq!((careless.length, careless.hosts), (head.length, 1), "{careless:?}");
    let body = &given[head.length..];
    let (length, whole) = match head.body {
        Body::Length(length) => {
            assert_eq!((careless.chunked, careless.lengths.as_slice()), (false, &[length][..]));
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            (length, body.len() >= length)
        }
        Body::Chunked => {
            assert!(careless.chunked && careless.lengths.is_empty());
            let passed = Chunked::new(u64::MAX).pass(body, Keep::Chunks, |_| {}).expect("as are its chunks");
            (passed.taken, passed.through)
        }
        Body::Empty | Body::ToEnd => (0, true),
    };
    assert!(!whole || body.len() == length, "a server is given one request, and nothing after it");
    whole
}

fn config() -> Value {
    json!({
        "routes": [{ "path": "/", "upstream": "app" }, { "path": "/fixed", "status": 200, "body": "x" }],
        "limits": { "head_bytes": "512B", "target_bytes": "64B", "headers": 8, "body_bytes": "40KiB" },
    })
}
