//! Awaits a request: reads its head, finds its route, and answers or asks for a server.

use tandem_component::prelude::*;
use tandem_http1::{Body, RequestHead, Slots, Target, authority_host};

use super::Exchange;
use crate::Http;
use crate::refusal::Refused;
use crate::route::{self, Found};
use crate::session::{Conversation, Stage};

impl Conversation {
    #[inline(never)] // The room for the fields is on its stack; the other events do without.
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
                return self.close(out);
            }
            if seen > 0 {
                // Half of an empty line was taken for the beginning of a head.
                self.stage = Stage::AwaitRequest { seen: 0 };
                self.alarm.set(out.now() + http.timeouts.idle);
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
        self.exchange = Exchange { began: out.now(), untold: true, minor: 1, ..Exchange::default() };
        self.entry = http.recording.takes(None).then(Box::default);
        self.refuse_and_close(http, refused, out);
    }

    #[inline]
    fn take_request(&mut self, http: &Http, head: &RequestHead<'_, '_>, bytes: &[u8], out: &mut Out<'_, Self>) {
        if !self.is_ours(http, head, out) {
            return;
        }
        let (idempotent, head_only) = match head.method {
            "GET" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => (true, false),
            "HEAD" => (true, true),
            _ => (false, false),
        };
        self.exchange = Exchange {
            began: out.now(),
            untold: true,
            minor: head.minor,
            head_only,
            idempotent,
            upgrade: !head.upgrade.is_empty(),
            keep: head.connection.persists(head.minor),
            bytes_in: head.length as u64,
            ..Exchange::default()
        };
        if http.recording != Recording::None {
            self.take_down(http, head, out);
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
        let target = head.target()?;
        if head.method == "CONNECT" {
            return Err(Refused::NotImplemented);
        }
        if matches!(head.body, Body::Length(length) if length > http.body_max) {
            return Err(Refused::BodyTooLarge);
        }
        if target.path == "*" {
            return Ok((target, Found::Route(&http.asterisk)));
        }
        let host = if http.routes.by_host() {
            let authority = target.authority.or(head.host).unwrap_or_default();
            authority_host(authority).unwrap_or_default()
        } else {
            &[]
        };
        let path = target.plain_path().ok_or(Refused::Malformed)?;
        Ok((target, http.routes.find(host, &path, head.method)))
    }
}

/// A method of RFC 9110 or 5789: one that we know, and do not take here.
fn is_registered(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "PATCH")
}
