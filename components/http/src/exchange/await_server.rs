//! Awaits a connection to a server: writes what it is to get, and tries another where one fails.

use tandem_component::prelude::*;
use tandem_http1::{Body, Chunked, RequestHead, Target};

use super::{BESIDE_MAX, Link, Passage};
use crate::Http;
use crate::refusal::Refused;
use crate::session::{Conversation, Stage, Then};

impl Conversation {
    /// Writes the request as a server is to read it, and asks for one.
    #[inline]
    pub(crate) fn take_to_upstream(
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
        // Who is asked next is led to by this exchange; where it begins a trace, what was said of another goes (W3C Trace Context,
        // sections 3.2 and 3.4).
        let span = self.exchange.span.filter(|_| http.traces);
        if let Some(span) = span {
            removed |= head.fields.named("traceparent");
            if span.parent().is_none() {
                removed |= head.fields.named("tracestate");
            }
        }
        head.copy(target, removed, buffer);
        if let Some(span) = span {
            line(buffer, b"traceparent: ", &span.trace().traceparent());
        }
        let host = target.authority.or(head.host);
        if target.authority.is_some() || head.host.is_none() {
            // The name of the upstream is better than none: HTTP/1.1 has to have one.
            line(buffer, b"Host: ", host.unwrap_or(upstream.as_bytes()));
        }
        buffer.extend_from_slice(&http.forwarded[usize::from(head.minor)]);
        for value in head.fields.values(head.forwarded_for) {
            buffer.extend_from_slice(value);
            buffer.extend_from_slice(b", ");
        }
        buffer.extend_from_slice(self.peer.as_bytes());
        if let Some(host) = host {
            buffer.extend_from_slice(b"\r\nX-Forwarded-Host: ");
            buffer.extend_from_slice(host);
        }
        if head.body == Body::Chunked {
            buffer.extend_from_slice(b"\r\nTransfer-Encoding: chunked");
        }
        let end: &[u8] = if head.upgrade.is_empty() { b"\r\n\r\n" } else { b"\r\nConnection: upgrade\r\n\r\n" };
        buffer.extend_from_slice(end);
    }

    /// A server is there: it gets the request.
    #[inline]
    pub(crate) fn dialed(&mut self, http: &Http, link: Link, out: &mut Out<'_, Self>) {
        self.exchange.link = Some(link);
        self.stage = Stage::AwaitAnswer;
        out.send(link.stream, &self.buffer);
        if self.exchange.upload.is_through() {
            self.alarm.set(out.now() + http.timeouts.response_head);
        } else {
            self.begin_upload(http, out);
        }
    }

    fn begin_upload(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let Some(way) = self.way_up(http) else { return };
        if let Passage::Chunked { .. } = self.exchange.upload {
            self.alarm.set(out.now() + http.timeouts.body);
        } else {
            self.exchange.committed = true;
            // What the host forwards is unread no more.
            if let Passage::Counted { length, .. } = self.exchange.upload {
                self.unread = self.unread.saturating_sub(length);
            }
            self.exchange.upload.begin(way, out);
        }
    }

    /// No server is there. Nothing was sent, so that any request may be tried on another.
    pub(crate) fn dial_failed(
        &mut self,
        http: &Http,
        server: Option<Server>,
        why: DialFailure,
        out: &mut Out<'_, Self>,
    ) {
        let another = matches!(why, DialFailure::Refused | DialFailure::TimedOut);
        if let Some(server) = server.filter(|_| another && self.tried.len() < http.retries) {
            self.tried.push(server);
            return self.dial_again(false, out);
        }
        let refused = if why == DialFailure::NoServer && !self.tried.is_empty() {
            // There are servers, and none of them would have it.
            Refused::BadServer
        } else {
            Refused::from(why)
        };
        self.fail(http, refused, out);
    }

    fn dial_again(&mut self, fresh: bool, out: &mut Out<'_, Self>) {
        self.exchange.link = None;
        let mut dial = Dial::to(&self.upstream).avoiding(&self.tried);
        if fresh {
            dial = dial.fresh();
        }
        let dial = out.dial(dial, Then::Dialed);
        self.stage = Stage::AwaitServer { dial };
        self.alarm.clear();
    }

    /// The server has gone before it answered. An idempotent request of which no server can have begun to act twice is
    /// tried again: over a fresh connection, where a kept one has turned out to be dead, else on another server.
    pub(crate) fn server_lost(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let Some(link) = self.exchange.link else { return };
        if !link.reused {
            out.blame(link.stream);
        }
        let again = self.exchange.idempotent && !self.exchange.committed;
        if again && link.reused {
            out.abort(link.stream);
            self.dial_again(true, out);
        } else if again && self.tried.len() < http.retries {
            out.abort(link.stream);
            self.tried.push(link.server);
            self.dial_again(true, out);
        } else {
            self.fail(http, Refused::BadServer, out);
        }
    }
}

#[inline]
fn line(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    to.extend_from_slice(name);
    to.extend_from_slice(value);
    to.extend_from_slice(b"\r\n");
}
