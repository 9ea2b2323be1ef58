//! Answers of our own.

use tandem_component::prelude::*;

use super::BESIDE_MAX;
use crate::Http;
use crate::fixed::Fixed;
use crate::refusal::Refused;
use crate::session::Conversation;

impl Conversation {
    /// Sends an answer of our own. `allow` is the value of `Allow`, where there is one.
    pub(crate) fn say(&mut self, http: &Http, answer: &Fixed, allow: &str, keeps: bool, out: &mut Out<'_, Self>) {
        self.buffer.clear();
        self.buffer.extend_from_slice(answer.head());
        http.date.write(out.now().nanos() / 1_000_000_000, &mut self.buffer);
        if !allow.is_empty() {
            self.buffer.extend_from_slice(b"Allow: ");
            self.buffer.extend_from_slice(allow.as_bytes());
            self.buffer.extend_from_slice(b"\r\n");
        }
        self.finish_head(keeps);
        let body = if self.exchange.head_only { &[] } else { answer.body() };
        let beside = body.len() <= BESIDE_MAX;
        if beside {
            self.buffer.extend_from_slice(body);
        }
        out.send(Stream::OWN, &self.buffer);
        if !beside {
            out.send(Stream::OWN, body);
        }
        self.exchange.answered = true;
        self.exchange.status = answer.status();
        self.exchange.bytes_out += (self.buffer.len() + if beside { 0 } else { body.len() }) as u64;
    }

    /// Ends a head: what becomes of the connection, and the empty line.
    #[inline]
    pub(crate) fn finish_head(&mut self, keeps: bool) {
        let end: &[u8] = match (keeps, self.exchange.minor) {
            (true, 0) => b"Connection: keep-alive\r\n\r\n",
            (true, _) => b"\r\n",
            (false, _) => b"Connection: close\r\n\r\n",
        };
        self.buffer.extend_from_slice(end);
    }

    /// Refuses what cannot be read: the connection ends, since nobody can tell where the next request begins.
    #[cold]
    pub(crate) fn refuse_and_close(&mut self, http: &Http, refused: Refused, out: &mut Out<'_, Self>) {
        self.say(http, http.refusals.answer(refused), "", false, out);
        self.end_exchange(http, false, out);
    }

    /// Ends a proxied exchange with an answer of our own; or, where the server's has begun, cuts that off.
    #[cold]
    pub(crate) fn fail(&mut self, http: &Http, refused: Refused, out: &mut Out<'_, Self>) {
        if self.exchange.answered {
            return self.cut(out);
        }
        let keeps = self.keeps();
        self.leave_server(out);
        self.say(http, http.refusals.answer(refused), "", keeps, out);
        self.end_exchange(http, keeps, out);
    }
}
