//! Answers of our own.

use tandem_component::prelude::*;

use super::BESIDE_MAX;
use crate::Http;
use crate::fixed::Fixed;
use crate::refusal::Refused;
use crate::session::Conversation;

/// The end of an answer's head.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// The connection is kept, as goes without saying in HTTP/1.1.
    Kept,
    /// The connection is kept, as has to be said in HTTP/1.0.
    KeptAlive,
    /// The connection is closed.
    Closed,
}

impl Ending {
    pub(crate) const ALL: [Ending; 3] = [Ending::Kept, Ending::KeptAlive, Ending::Closed];

    /// `Connection`, where it is needed, and the empty line.
    pub(crate) fn text(self) -> &'static [u8] {
        match self {
            Ending::Kept => b"\r\n",
            Ending::KeptAlive => b"Connection: keep-alive\r\n\r\n",
            Ending::Closed => b"Connection: close\r\n\r\n",
        }
    }
}

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
        self.buffer.extend_from_slice(self.ending(keeps).text());
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

    /// How the head of an answer says what becomes of the connection.
    #[inline]
    pub(crate) fn ending(&self, keeps: bool) -> Ending {
        match (keeps, self.exchange.minor) {
            (true, 1) => Ending::Kept,
            (true, _) => Ending::KeptAlive,
            (false, _) => Ending::Closed,
        }
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
