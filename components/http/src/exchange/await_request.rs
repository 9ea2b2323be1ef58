//! Awaits a request: reads its head, finds its route, and answers or asks for a server.

use tandem_component::prelude::*;
use tandem_http1::{Body, Chunked, Keep, RequestHead, Slots, Target, Unchunkable, authority_host, plain_path};

use super::{BESIDE_MAX, Exchange, Passage};
use crate::Http;
use crate::fixed::Fixed;
use crate::record::Entry;
use crate::refusal::Refused;
use crate::route::{self, Found};
use crate::session::{Conversation, Stage, Then};

/// What is left of a request's body that nobody wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Discarded {
    /// So many bytes.
    Length {
        /// How many.
        left: u64,
    },
    /// Chunks.
    Chunks {
        /// Where they stand.
        chunks: Chunked,
    },
}

/// How much of an unwanted body is read to keep the connection.
const DISCARD_MAX: u64 = 64 << 10;

/// What becomes of an unwanted body.
enum Unwanted {
    /// So much was there, and is all of it.
    Whole(usize),
    /// So much was there, and this is to come.
    Part(usize, Discarded),
    /// The connection is not worth it.
    TooMuch,
}

impl Default for Discarded {
    fn default() -> Self {
        Discarded::Length { left: 0 }
    }
}

impl Conversation {
    #[inline]
    pub(crate) fn await_request(&mut self, http: &Http, seen: u32, bytes: &[u8], out: &mut Out<'_, Self>) {
        if seen > 0 && self.nothing_new(http, seen as usize, bytes) {
            return;
        }
        let mut slots = Slots::new();
        match RequestHead::read(bytes, &mut slots, &http.limits) {
            Ok(Some(head)) => self.take_request(http, &head, bytes, out),
            Ok(None) => self.incomplete(http, seen, bytes, out),
            Err(reason) => self.refuse_unread(http, reason.into(), out),
        }
    }

    /// Whether a head that was not complete need not be read again: no further line has ended, and no limit is near.
    #[cold]
    fn nothing_new(&self, http: &Http, seen: usize, bytes: &[u8]) -> bool {
        let new = bytes.get(seen..).unwrap_or_default();
        let near = bytes.len() >= http.limits.target && bytes.len() - new.len() <= http.limits.target + 64;
        !new.contains(&b'\n') && !near && bytes.len() < http.limits.head && !self.half_closed
    }

    #[cold]
    fn incomplete(&mut self, http: &Http, seen: u32, bytes: &[u8], out: &mut Out<'_, Self>) {
        let blank = tandem_http1::blank_lines(bytes).unwrap_or(0);
        if blank == bytes.len() {
            // Empty lines are no part of a request.
            self.consume(blank, out);
            if self.half_closed {
                self.close(out);
            }
            return;
        }
        if self.half_closed {
            return self.refuse_unread(http, Refused::Malformed, out);
        }
        if seen == 0 {
            self.alarm.set(out.now() + http.timeouts.head);
        }
        self.stage = Stage::AwaitRequest { seen: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
    }

    /// Refuses a request whose head was not read.
    #[cold]
    pub(crate) fn refuse_unread(&mut self, http: &Http, refused: Refused, out: &mut Out<'_, Self>) {
        self.exchange = Exchange { began: out.now(), minor: 1, ..Exchange::default() };
        self.entry = http.access_log.then(Box::default);
        self.refuse_and_close(http, refused, out);
    }

    #[inline]
    fn take_request(&mut self, http: &Http, head: &RequestHead<'_, '_>, bytes: &[u8], out: &mut Out<'_, Self>) {
        let (idempotent, head_only) = match head.method {
            "GET" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => (true, false),
            "HEAD" => (true, true),
            _ => (false, false),
        };
        self.exchange = Exchange {
            began: out.now(),
            minor: head.minor,
            head_only,
            idempotent,
            upgrade: !head.upgrade.is_empty(),
            keep: head.connection.persists(head.minor),
            bytes_in: head.length as u64,
            ..Exchange::default()
        };
        if http.access_log {
            self.entry = Some(Box::new(Entry::new(head)));
        }
        match self.route(http, head) {
            Ok((target, Found::Route(route::Target::Upstream(name)))) => {
                self.exchange.proxied = true;
                self.take_to_upstream(http, head, &target, name, bytes, out);
            }
            Ok((_, Found::Route(route::Target::Fixed(answer)))) => {
                self.answer_here(http, head, answer, "", bytes, out);
            }
            Ok((_, Found::OtherMethods(allow))) if is_registered(head.method) => {
                let answer = http.refusals.answer(Refused::OtherMethods);
                self.answer_here(http, head, answer, allow, bytes, out);
            }
            Ok((_, Found::OtherMethods(_))) => {
                self.answer_here(http, head, http.refusals.answer(Refused::NotImplemented), "", bytes, out);
            }
            Ok((_, Found::Nothing)) => {
                self.answer_here(http, head, http.refusals.answer(Refused::NoRoute), "", bytes, out);
            }
            Err(refused) => self.refuse_and_close(http, refused, out),
        }
    }

    /// The route of a request, and its target taken apart.
    #[inline]
    fn route<'b, 'r>(&self, http: &'r Http, head: &RequestHead<'_, 'b>) -> Result<(Target<'b>, Found<'r>), Refused> {
        const PATH: Refused = Refused::Malformed;
        let target = head.target()?;
        if head.method == "CONNECT" {
            return Err(Refused::NotImplemented);
        }
        if matches!(head.body, Body::Length(length) if length > http.body_max) {
            return Err(Refused::BodyTooLarge);
        }
        let host = if http.routes.by_host() {
            let authority = target.authority.or(head.host).unwrap_or_default();
            authority_host(authority.as_bytes()).unwrap_or_default()
        } else {
            ""
        };
        let path = plain_path(target.path).ok_or(PATH)?;
        Ok((target, http.routes.find(host, &path, head.method)))
    }

    /// Answers without a server. The request's body is thrown away where that is cheaper than the connection.
    fn answer_here(
        &mut self,
        http: &Http,
        head: &RequestHead<'_, '_>,
        answer: &Fixed,
        allow: &str,
        bytes: &[u8],
        out: &mut Out<'_, Self>,
    ) {
        let unwanted = match unwanted(head, &bytes[head.length..]) {
            Ok(unwanted) if self.exchange.keep && self.until.is_none() => unwanted,
            Ok(_) => Unwanted::TooMuch,
            Err(reason) => return self.refuse_and_close(http, reason.into(), out),
        };
        let keeps = !matches!(unwanted, Unwanted::TooMuch);
        self.say(http, answer, allow, keeps, out);
        match unwanted {
            Unwanted::Whole(body) => {
                self.exchange.bytes_in += body as u64;
                self.consume(head.length + body, out);
                self.end_exchange(http, true, out);
            }
            Unwanted::Part(body, rest) => {
                self.exchange.bytes_in += body as u64;
                self.consume(head.length + body, out);
                self.stage = Stage::Discard { rest };
                self.alarm.set(out.now() + http.timeouts.body);
            }
            Unwanted::TooMuch => self.end_exchange(http, false, out),
        }
    }

    /// Throws away what came in of a body that nobody wants.
    #[cold]
    pub(crate) fn discard(&mut self, http: &Http, mut rest: Discarded, bytes: &[u8], out: &mut Out<'_, Self>) {
        let (taken, through) = match &mut rest {
            Discarded::Length { left } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Discarded::Chunks { chunks } => match chunks.pass(bytes, Keep::Data, |_| {}) {
                Ok(passed) => (passed.taken, passed.through),
                // The answer is out; what is left is to end.
                Err(_) => return self.end_exchange(http, false, out),
            },
        };
        self.exchange.bytes_in += taken as u64;
        self.consume(taken, out);
        if through {
            return self.end_exchange(http, true, out);
        }
        if self.half_closed {
            return self.end_exchange(http, false, out);
        }
        self.stage = Stage::Discard { rest };
        self.alarm.set(out.now() + http.timeouts.body);
    }

    /// Writes the request as a server is to read it, and asks for one.
    #[inline]
    fn take_to_upstream(
        &mut self,
        http: &Http,
        head: &RequestHead<'_, '_>,
        target: &Target<'_>,
        upstream: &str,
        bytes: &[u8],
        out: &mut Out<'_, Self>,
    ) {
        self.write_request(http, head, target, upstream);
        let rest = &bytes[head.length..];
        let mut taken = head.length;
        match head.body {
            Body::Empty | Body::ToEnd => {}
            Body::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= BESIDE_MAX.min(rest.len()) => {
                    self.buffer.extend_from_slice(&rest[..length]);
                    self.exchange.bytes_in += length as u64;
                    taken += length;
                }
                _ => self.exchange.upload = Passage::Counted { length, forward: None },
            },
            Body::Chunked => {
                let chunks = Chunked::new(http.body_max);
                self.exchange.upload = Passage::Chunked { chunks, bare: false, forward: None };
            }
        }
        self.consume(taken, out);
        if self.upstream != upstream {
            upstream.clone_into(&mut self.upstream);
        }
        self.alarm.clear();
        let dial = out.dial(upstream, Then::Dialed);
        self.stage = Stage::AwaitServer { dial };
    }

    #[inline]
    fn write_request(&mut self, http: &Http, head: &RequestHead<'_, '_>, target: &Target<'_>, upstream: &str) {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.reserve(head.length + 192);
        let mut removed = head.hop.without(head.upgrade) | head.forwarded | head.forwarded_for;
        if target.authority.is_some() {
            removed |= head.host_field;
        }
        head.copy(target, removed, buffer);
        let host = target.authority.or(head.host);
        if target.authority.is_some() || head.host.is_none() {
            // The name of the upstream is better than none: HTTP/1.1 has to have one.
            line(buffer, b"Host: ", host.unwrap_or(upstream).as_bytes());
        }
        buffer.extend_from_slice(b"X-Forwarded-For: ");
        for value in head.fields.values(head.forwarded_for) {
            buffer.extend_from_slice(value);
            buffer.extend_from_slice(b", ");
        }
        buffer.extend_from_slice(self.peer.as_bytes());
        buffer.extend_from_slice(b"\r\nX-Forwarded-Proto: http\r\n");
        if let Some(host) = host {
            line(buffer, b"X-Forwarded-Host: ", host.as_bytes());
        }
        buffer.extend_from_slice(&http.via[usize::from(head.minor)]);
        if head.body == Body::Chunked {
            buffer.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        let end: &[u8] = if head.upgrade.is_empty() { b"\r\n" } else { b"Connection: upgrade\r\n\r\n" };
        buffer.extend_from_slice(end);
    }
}

#[inline]
fn line(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    to.extend_from_slice(name);
    to.extend_from_slice(value);
    to.extend_from_slice(b"\r\n");
}

/// What becomes of a body that nobody wants, by what of it is there.
fn unwanted(head: &RequestHead<'_, '_>, rest: &[u8]) -> Result<Unwanted, Unchunkable> {
    match head.body {
        Body::Empty | Body::ToEnd => Ok(Unwanted::Whole(0)),
        Body::Length(length) if length <= rest.len() as u64 => {
            Ok(Unwanted::Whole(usize::try_from(length).unwrap_or(usize::MAX)))
        }
        // Who waits for a `100 Continue` may send the body or the next request: nobody can tell.
        _ if head.expects_continue => Ok(Unwanted::TooMuch),
        Body::Length(length) if length > DISCARD_MAX => Ok(Unwanted::TooMuch),
        Body::Length(length) => Ok(Unwanted::Part(rest.len(), Discarded::Length { left: length - rest.len() as u64 })),
        Body::Chunked => {
            let mut chunks = Chunked::new(DISCARD_MAX);
            match chunks.pass(rest, Keep::Data, |_| {}) {
                Ok(passed) if passed.through => Ok(Unwanted::Whole(passed.taken)),
                Ok(passed) => Ok(Unwanted::Part(passed.taken, Discarded::Chunks { chunks })),
                Err(Unchunkable::TooLarge) => Ok(Unwanted::TooMuch),
                Err(malformed) => Err(malformed),
            }
        }
    }
}

/// A method of RFC 9110 or 5789: one that we know, and do not take here.
fn is_registered(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "PATCH")
}
