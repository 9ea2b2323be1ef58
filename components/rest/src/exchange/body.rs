//! The body of a request: read once it is known who asks, or thrown away.

use tandem_component::prelude::*;

use super::answer::DISCARD_MAX;
use super::{Connection, Stage};
use crate::Rest;
use crate::problem::{Kind, Problem};
use crate::session::Conversation;

impl Connection {
    /// It is known who asks, and the body is wanted.
    pub(super) fn begin_body(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        if self.exchange.body.is_through() {
            return self.perform(rest, out);
        }
        if std::mem::take(&mut self.exchange.expects) && self.unread == 0 {
            out.send(Stream::OWN, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.stage = Stage::ReadBody;
        self.due = Some(out.now() + rest.config.timeouts.body);
        if self.half_closed && self.unread == 0 {
            self.cut_off(rest, out);
        }
    }

    pub(super) fn read_body(&mut self, rest: &Rest, bytes: &[u8], out: &mut Out<'_, Conversation>) {
        let buffer = &mut self.buffer;
        let taken = match self.exchange.body.take(bytes, |run| buffer.extend_from_slice(run)) {
            Ok(taken) => taken,
            Err(reason) => {
                return self.refuse_and_close(rest, &Problem::with_body(reason, &rest.config.limits), out);
            }
        };
        self.consume(taken, out);
        if self.exchange.body.is_through() {
            return self.perform(rest, out);
        }
        if self.half_closed {
            return self.cut_off(rest, out);
        }
        if taken > 0 {
            self.due = Some(out.now() + rest.config.timeouts.body);
        }
    }

    /// The rest of the body will not come.
    pub(super) fn cut_off(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        self.refuse_and_close(rest, &Kind::Malformed.because("the body is cut off"), out);
    }

    /// Throws away what came of a body that nobody wants.
    pub(super) fn discard(&mut self, rest: &Rest, bytes: &[u8], out: &mut Out<'_, Conversation>) {
        let Ok(taken) = self.exchange.body.take(bytes, |_| {}) else {
            // The answer is out; what is left is to end.
            return self.end_exchange(rest, false, out);
        };
        self.consume(taken, out);
        self.exchange.discarded += taken as u64;
        if self.exchange.body.is_through() {
            let keeps = self.exchange.keep && self.until.is_none();
            return self.end_exchange(rest, keeps, out);
        }
        if self.half_closed || self.exchange.discarded > DISCARD_MAX {
            return self.end_exchange(rest, false, out);
        }
        self.due = Some(out.now() + rest.config.timeouts.body);
    }
}
