//! Answers: what a client is told, and what becomes of the connection then.

use serde::Serialize;
use tandem_component::prelude::*;

use super::{Connection, Stage};
use crate::Rest;
use crate::framing::Framing;
use crate::problem::Problem;
use crate::session::Conversation;

/// One answer.
pub(super) struct Told {
    pub(super) status: u16,
    /// Its media type, and the body. None has a status without a body.
    content: Option<(&'static str, Vec<u8>)>,
    /// Whole lines of fields.
    fields: String,
}

impl Told {
    /// JSON.
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        let mut bytes = serde_json::to_vec(body).expect("what is told are maps, texts and numbers");
        bytes.push(b'\n');
        Told::bytes(status, JSON, bytes)
    }

    /// Something that is written already.
    pub(super) fn bytes(status: u16, media: &'static str, bytes: Vec<u8>) -> Self {
        Told { status, content: Some((media, bytes)), fields: String::new() }
    }

    /// 204.
    pub(super) fn nothing() -> Self {
        Told { status: 204, content: None, fields: String::new() }
    }

    /// With another field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The body, where it is text.
    pub(super) fn text(&self) -> Option<&str> {
        self.content.as_ref().and_then(|(_, bytes)| std::str::from_utf8(bytes).ok())
    }

    /// A field of those that were added.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(it, _)| *it == name).map(|(_, value)| value)
    }

    /// A problem with the request for this path.
    pub(super) fn problem(problem: &Problem, path: &str) -> Self {
        Told::problem_with(problem, path, None)
    }

    /// A problem that is said with something beside it.
    pub(super) fn problem_with(problem: &Problem, path: &str, beside: Option<(&str, serde_json::Value)>) -> Self {
        let mut body = problem.body(path);
        if let Some((name, value)) = beside {
            body.insert(name.to_owned(), value);
        }
        let mut told = Told::json(problem.kind.status(), &body);
        told.content = told.content.map(|(_, bytes)| (PROBLEM, bytes));
        if told.status == 401 {
            told = told.with("WWW-Authenticate", "Basic realm=\"tandem\", charset=\"UTF-8\"");
            told = told.with("WWW-Authenticate", "Bearer realm=\"tandem\"");
        }
        if let Some(allow) = problem.allow {
            told = told.with("Allow", allow);
        }
        match problem.retry_after {
            Some(seconds) => told.with("Retry-After", &seconds.to_string()),
            None => told,
        }
    }
}

impl Connection {
    /// Answers. A body that nobody has read is thrown away where that is cheaper than the connection.
    pub(super) fn answer(&mut self, rest: &Rest, told: Told, out: &mut Out<'_, Conversation>) {
        let readable = match &self.exchange.body {
            Framing::Through => true,
            // Who waits for a `100 Continue` may send the body or the next request: nobody can tell.
            _ if self.exchange.expects => false,
            Framing::Length { left } => *left <= DISCARD_MAX,
            Framing::Chunks { .. } => true,
            Framing::ToEnd => false,
        };
        let keeps = self.exchange.keep && self.until.is_none() && readable;
        self.say(rest, &told, keeps, out);
        if !keeps || self.exchange.body.is_through() {
            return self.end_exchange(rest, keeps, out);
        }
        self.stage = Stage::Discard;
        self.due = Some(out.now() + rest.config.timeouts.body);
        if self.half_closed && self.unread == 0 {
            self.end_exchange(rest, false, out);
        }
    }

    /// Answers that something is wrong.
    pub(super) fn refuse(&mut self, rest: &Rest, problem: &Problem, out: &mut Out<'_, Conversation>) {
        self.note(problem);
        let told = Told::problem(problem, &self.exchange.path);
        self.answer(rest, told, out);
    }

    /// Refuses what cannot be read on: the connection ends, since nobody can tell where the next request begins.
    pub(super) fn refuse_and_close(&mut self, rest: &Rest, problem: &Problem, out: &mut Out<'_, Conversation>) {
        self.note(problem);
        let told = Told::problem(problem, &self.exchange.path);
        self.say(rest, &told, false, out);
        self.end_exchange(rest, false, out);
    }

    /// The last that is said after a mistake of ours.
    pub(crate) fn last_words(&mut self, rest: &Rest, problem: &Problem, out: &mut Out<'_, Conversation>) {
        let told = Told::problem(problem, &self.exchange.path);
        self.say(rest, &told, false, out);
    }

    fn say(&mut self, rest: &Rest, told: &Told, keeps: bool, out: &mut Out<'_, Conversation>) {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", told.status, reason(told.status)).into_bytes();
        let body = told.content.as_ref().map(|(media, body)| {
            let length = body.len();
            bytes.extend(format!("Content-Type: {media}\r\nContent-Length: {length}\r\n").as_bytes());
            &body[..]
        });
        rest.date.write(out.now().nanos() / 1_000_000_000, &mut bytes);
        bytes.extend(b"Cache-Control: no-store\r\n");
        bytes.extend(told.fields.as_bytes());
        match (keeps, self.exchange.minor) {
            (true, 1) => {}
            (true, _) => bytes.extend(b"Connection: keep-alive\r\n"),
            (false, _) => bytes.extend(b"Connection: close\r\n"),
        }
        bytes.extend(b"\r\n");
        if !self.exchange.head_only {
            bytes.extend(body.unwrap_or_default());
        }
        out.send(Stream::OWN, &bytes);
        self.exchange.answered = true;
        self.exchange.status = told.status;
        self.exchange.bytes_out += bytes.len() as u64;
    }
}

/// The words beside a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// How much of a body that nobody wants is read to keep the connection.
pub(super) const DISCARD_MAX: u64 = 64 << 10;

pub(super) const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
