//! The HTTP session with clients and servers that say and do anything: no fault, nothing is left behind or waits for ever,
//! and nobody can tell that another version has gone on.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_http::Http;

use crate::driven::{Driven, Shown, Swap, Text};
use crate::input::Input;

pub(crate) fn run(data: &[u8]) {
    let plain = converse(data, Swap::Stays);
    assert_eq!(converse(data, Swap::Carried), plain, "carried");
    // Late, a session that is opened gets an event more, and times differ: a limit counts from the opening.
    if Setting::of(&mut Input::new(data)).is_plain() {
        is_same(converse(data, Swap::Renewed), plain);
    }
}

/// Whether a renewed session has shown the same. Who opens anew reads a half head that nobody reads again before its line
/// ends: one that is refused is refused earlier, perhaps for another reason, perhaps before its client had left.
fn is_same(mut renewed: Shown, mut plain: Shown) {
    let refused = [&mut renewed, &mut plain].map(|shown| shown.sent.get_mut(&Stream::OWN).is_some_and(cut_at_refusal));
    if refused[0] {
        assert_eq!(renewed.sent, plain.sent, "renewed, up to the refusal");
    } else {
        assert_eq!(renewed, plain, "renewed");
    }
}

fn cut_at_refusal(sent: &mut Text) -> bool {
    let statuses = ["400", "408", "414", "431", "505"].map(|status| format!("HTTP/1.1 {status} "));
    let begins = |at: &usize| statuses.iter().any(|status| sent.0[*at..].starts_with(status.as_bytes()));
    let found = (0..sent.0.len()).find(begins);
    sent.0.truncate(found.unwrap_or(sent.0.len()));
    found.is_some()
}

/// How it is configured and driven.
struct Setting {
    late: bool,
    timed: bool,
    config: Value,
}

impl Setting {
    fn of(input: &mut Input<'_>) -> Self {
        let bits = input.byte();
        let bit = |n: u8| bits >> n & 1 == 1;
        let sticky = match (bit(4), bit(5)) {
            (true, true) => json!({ "cookie": "S" }),
            (true, false) => json!({ "header": "x-s" }),
            _ => Value::Null,
        };
        let config = json!({
            "routes": [
                { "path": "/", "upstream": "app" },
                { "path": "/fixed", "status": 200, "body": "x", "methods": ["PUT", "GET"] },
            ],
            "limits": { "body_bytes": "40KiB", "head_bytes": "2KiB", "target_bytes": "1KiB" },
            "access_log": bit(2),
            "retries": u8::from(bit(3)),
            "sticky": sticky,
        });
        Setting { late: bit(0), timed: bit(1), config }
    }

    fn is_plain(&self) -> bool {
        !self.late && !self.timed
    }
}

fn converse(data: &[u8], swap: Swap) -> Shown {
    let mut input = Input::new(data);
    let setting = Setting::of(&mut input);
    let session = Harness::<Http>::start(&setting.config).expect("the configuration is one");
    let late = setting.late.then_some(data.len() as u64);
    let mut talk = Driven::new(session, setting.config.clone(), swap, late);
    for _ in 0..STEPS_MAX {
        if input.is_empty() || talk.is_over() {
            break;
        }
        step(&mut talk, &mut input, setting.timed);
        assert_eq!(talk.session().fault(), None);
        leaves_nothing_behind(&mut talk);
    }
    ends(&mut talk);
    talk.end()
}

type Talk = Driven<Http, Value>;

fn step(talk: &mut Talk, input: &mut Input<'_>, timed: bool) {
    let server = talk.server();
    match input.below(16) {
        0 => talk.session().bytes(Stream::OWN, input.bytes()),
        1..4 => talk.session().bytes(Stream::OWN, input.one_of(CLIENT).as_bytes()),
        4 => say(talk, server, input.bytes()),
        5 | 6 => say(talk, server, input.one_of(SERVER).as_bytes()),
        7 => drop(talk.connect(Server(input.below(3) as u64), input.below(2) == 0)),
        8 if talk.session().dialing().is_some() => {
            let why = input.one_of(&[DialFailure::Refused, DialFailure::NoServer, DialFailure::Full]);
            talk.session().refuse(Some(Server(input.below(3) as u64)), why);
        }
        9 if timed => talk.advance(Duration::from_secs(u64::from(input.byte()))),
        10 => {
            let bytes = vec![b'x'; usize::from(input.byte()) << 8];
            let to = if input.below(2) == 0 { Some(Stream::OWN) } else { server };
            say(talk, to, &bytes);
        }
        11 => leave(talk, input, server),
        12 => drop(talk.look()),
        _ => talk.swap(),
    }
}

fn say(talk: &mut Talk, to: Option<Stream>, bytes: &[u8]) {
    if let Some(stream) = to {
        talk.session().bytes(stream, bytes);
    }
}

/// Someone goes.
fn leave(talk: &mut Talk, input: &mut Input<'_>, server: Option<Stream>) {
    match (input.below(8), server) {
        (0, _) => talk.session().end(Stream::OWN),
        (1, _) => talk.session().break_off(Stream::OWN),
        (2, _) => talk.session().drain(Duration::from_secs(5)),
        (3 | 4, Some(server)) => talk.session().end(server),
        (5.., Some(server)) => talk.session().break_off(server),
        _ => {}
    }
}

fn leaves_nothing_behind(talk: &mut Talk) {
    if talk.is_late() || !(talk.is_over() || talk.session().at_boundary()) {
        return;
    }
    for server in talk.servers() {
        assert!(talk.session().ending(server).is_some(), "a server is left behind");
    }
    assert!(talk.session().dialing().is_none(), "a dial is left behind");
}

/// Whatever state it is in, it does not wait for ever, and nor does what waits behind it.
fn ends(talk: &mut Talk) {
    for _ in 0..ROUNDS_MAX {
        if talk.session().ending(Stream::OWN).is_some() {
            break;
        }
        if talk.session().dialing().is_some() {
            talk.session().refuse(None, DialFailure::NoServer);
        }
        talk.advance(Duration::from_secs(2 * 3600));
    }
    assert!(talk.session().ending(Stream::OWN).is_some(), "it waits for ever");
    assert_eq!(talk.session().fault(), None);
}

/// More than there are requests in the longest input.
const ROUNDS_MAX: usize = 1000;
const STEPS_MAX: usize = 80;

/// What clients say, in whole and in part, right and wrong.
const CLIENT: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /fixed HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: S=1\r\nX-S: 2\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "PUT /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20480\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /fixed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "GET http://b/%41/../?x HTTP/1.1\r\nHost: a\r\nConnection: close, A\r\nA: b\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "hello",
    "5\r\nhello\r\n",
    "5000\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "\r\n",
    "GET /",
];

/// What servers say.
const SERVER: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 20480\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nSet-Cookie: S=1\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "hello",
    "5\r\nhello\r\n",
    "5000\r\n",
    "0\r\n\r\n",
    "HTTP/1.1 2",
];
