//! Awaits the head of a server's answer, and passes it on.

use tandem_component::prelude::*;
use tandem_http1::{Body, Chunked, Mask, ResponseHead, Slots};

use super::{BESIDE_MAX, Link, Passage};
use crate::Http;
use crate::refusal::Refused;
use crate::session::{Conversation, Stage};

/// The one answer beside 101 that has to say which protocol it wants (RFC 9110, 15.5.22).
const UPGRADE_REQUIRED: u16 = 426;

impl Conversation {
    #[inline(never)] // The room for the fields is on its stack; the other events do without.
    pub(crate) fn await_answer(&mut self, http: &Http, link: Link, bytes: &[u8], out: &mut Out<'_, Self>) {
        let mut slots = Slots::new();
        match ResponseHead::read(bytes, &mut slots, http.limits.head) {
            Ok(Some(head)) => match head.status {
                200.. => self.take_answer(http, link, &head, bytes, out),
                101 if self.exchange.upgrade && self.exchange.upload.is_through() => {
                    self.take_tunnel(http, link, &head, out);
                }
                101 => self.bad_server(http, link, out),
                _ => self.take_interim(http, &head, out),
            },
            Ok(None) => {}
            Err(_) => self.bad_server(http, link, out),
        }
    }

    /// What the server sends is not HTTP, or not to be believed.
    #[cold]
    pub(crate) fn bad_server(&mut self, http: &Http, link: Link, out: &mut Out<'_, Self>) {
        out.blame(link.stream);
        self.fail(http, Refused::BadServer, out);
    }

    /// Passes on an interim answer, to those who know what that is.
    #[cold]
    fn take_interim(&mut self, http: &Http, head: &ResponseHead<'_, '_>, out: &mut Out<'_, Self>) {
        if self.exchange.minor == 1 {
            self.exchange.committed = true;
            self.buffer.clear();
            head.copy(head.hop | head.content_length, &mut self.buffer);
            self.buffer.extend_from_slice(&http.via[usize::from(head.minor)]);
            self.buffer.extend_from_slice(b"\r\n");
            out.send(Stream::OWN, &self.buffer);
            self.exchange.bytes_out += self.buffer.len() as u64;
        }
        out.consume(head.length);
    }

    #[inline]
    fn take_answer(
        &mut self,
        http: &Http,
        link: Link,
        head: &ResponseHead<'_, '_>,
        bytes: &[u8],
        out: &mut Out<'_, Self>,
    ) {
        let bare = self.exchange.minor == 0;
        let body = if self.exchange.head_only { Body::Empty } else { head.body };
        let ends_by_closing = body == Body::ToEnd || (body == Body::Chunked && bare);
        self.exchange.server_keeps = head.connection.persists(head.minor) && body != Body::ToEnd;
        self.exchange.keep &= !ends_by_closing;
        self.exchange.status = head.status;
        self.exchange.answered = true;

        let mut removed = if bare { head.hop } else { head.hop.without(head.coding) };
        if head.status == 204 {
            removed |= head.coding | head.content_length;
        }
        if head.status == UPGRADE_REQUIRED {
            removed = removed.without(head.upgrade);
        }
        self.begin_conversation(http, head, out);
        self.write_answer(http, head, removed, out);

        let rest = &bytes[head.length..];
        let mut taken = head.length;
        let mut download = match body {
            Body::Empty => Passage::Through,
            Body::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= BESIDE_MAX.min(rest.len()) => {
                    self.buffer.extend_from_slice(&rest[..length]);
                    taken += length;
                    Passage::Through
                }
                _ => Passage::Counted { length, forward: None },
            },
            Body::Chunked => Passage::Chunked { chunks: Chunked::new(u64::MAX), bare, forward: None },
            Body::ToEnd => Passage::ToEnd { forward: None },
        };
        let mut passed = Ok(0);
        if rest.len() <= BESIDE_MAX {
            passed = download.pass(rest, |run| self.buffer.extend_from_slice(run));
        }
        out.send(Stream::OWN, &self.buffer);
        self.exchange.bytes_out += self.buffer.len() as u64;
        match passed {
            Ok(passed) => out.consume(taken + passed),
            Err(_) => {
                out.blame(link.stream);
                return self.cut(out);
            }
        }
        if download.is_through() {
            return self.answer_through(http, out);
        }
        if let Some(way) = self.way_down(http) {
            download.begin(way, out);
            download.forward_rest(way, out);
        }
        self.alarm.set(out.now() + http.timeouts.response_body);
        self.pass_on(download);
    }

    fn pass_on(&mut self, download: Passage) {
        if download.is_forwarding() {
            self.alarm.clear();
        }
        self.stage = Stage::PassAnswer { download };
    }

    /// Writes the head as the client is to read it.
    #[inline]
    fn write_answer(&mut self, http: &Http, head: &ResponseHead<'_, '_>, removed: Mask, out: &mut Out<'_, Self>) {
        let keeps = self.keeps();
        // What was announced holds, whatever becomes of the request's body.
        self.exchange.keep = keeps;
        self.buffer.clear();
        self.buffer.reserve(head.length + 128);
        head.copy(removed, &mut self.buffer);
        if head.status == UPGRADE_REQUIRED && !head.upgrade.is_empty() {
            self.buffer.extend_from_slice(b"Connection: upgrade\r\n");
        }
        if !head.has_date {
            http.date.write(out.now().nanos() / 1_000_000_000, &mut self.buffer);
        }
        self.buffer.extend_from_slice(&http.endings[usize::from(head.minor)][self.ending(keeps) as usize]);
    }
}
