//! Reads from a session's streams, and gives what came in to whom it is for.

use std::task::Poll;

use tokio::io::ReadBuf;

use super::Session;
use super::driver::{Driver, UNSENT_HIGH};
use super::pipe::Link;
use crate::observe::inside;

/// So many bytes are kept unread before the kernel is asked for no more.
const UNREAD_HIGH: usize = 64 * 1024;

impl Driver<'_, '_> {
    /// Reads once from one stream that wants it.
    pub(super) fn read(&mut self) -> bool {
        let count = self.session.pipes.len();
        let full = self.session.unsent() >= UNSENT_HIGH;
        for _ in 0..count {
            let at = if self.read_next < count { self.read_next } else { 0 };
            self.read_next = at + 1;
            if !self.session.wants_read(at, full) {
                continue;
            }
            let pipe = &mut self.session.pipes[at];
            let Link::Up(socket) = &mut pipe.socket else { continue };
            // While our waker is with the runtime and nothing came, there is nothing to ask it.
            if pipe.read_armed && !socket.may_read() {
                continue;
            }
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let polled = socket.poll_read(self.cx, &mut buffer);
            let n = buffer.filled().len();
            pipe.read_armed = false;
            match polled {
                Poll::Pending => {
                    pipe.read_asked = true;
                    // Out of budget, the runtime has not taken our waker: it only wakes us to ask again.
                    pipe.read_armed = tokio::task::coop::has_budget_remaining();
                }
                Poll::Ready(Err(_)) => (pipe.broken, self.session.busy) = (true, true),
                Poll::Ready(Ok(())) if n == 0 => {
                    (pipe.ended, self.session.offers, self.session.busy) = (true, true, true);
                }
                Poll::Ready(Ok(())) => {
                    let stream = pipe.number;
                    let memory = std::mem::take(&mut self.buffer);
                    self.take_in(stream, &memory[..n]);
                    self.buffer = memory;
                }
            }
            if polled.is_ready() {
                return true;
            }
        }
        false
    }

    /// Gives bytes that were just read to whom they are for; what is left is kept as unread.
    fn take_in(&mut self, stream: u64, mut fresh: &[u8]) {
        let late = inside::late();
        loop {
            // First, since a session that renews another may have other wishes.
            let takes = self.follows();
            let Some(at) = self.session.position(stream) else { return };
            let pipe = &mut self.session.pipes[at];
            if !pipe.gives() {
                return;
            }
            let taken = if !pipe.unread.is_empty() {
                0
            } else if pipe.forward.is_some() {
                self.session.busy = true;
                self.session.forward_fresh(at, fresh, self.now, self.cx)
            } else if inside::late() != late {
                0
            } else if takes && self.session.answers.is_empty() && self.session.unsent() < UNSENT_HIGH {
                self.offer_bytes(stream, fresh)
            } else {
                0
            };
            fresh = &fresh[taken..];
            if fresh.is_empty() {
                return;
            }
            if taken == 0 {
                break;
            }
        }
        if let Some(pipe) = self.session.pipe_mut(stream).filter(|pipe| pipe.gives()) {
            pipe.unread.extend_from_slice(fresh);
            (self.session.offers, self.session.busy) = (true, true);
        }
    }

    /// Reads what has come in on the session's own stream and the runtime does not know of yet: it asks the kernel only
    /// every few dozen turns, and what came before a goodbye is answered before it.
    pub(super) fn read_the_last(&mut self) -> bool {
        let full = self.session.unsent() >= UNSENT_HIGH;
        let own = &mut self.session.pipes[0];
        let wanted =
            !own.ended && !own.broken && !own.closing && own.forward.is_none() && own.unread.len() < UNREAD_HIGH;
        let (Link::Up(socket), true) = (&mut own.socket, wanted && !full) else { return false };
        let Ok(n @ 1..) = socket.read_at_once(&mut self.buffer) else { return false };
        let memory = std::mem::take(&mut self.buffer);
        self.take_in(0, &memory[..n]);
        self.buffer = memory;
        true
    }
}

impl Session {
    /// Whether a stream is to be read from. `full`: so much is unsent that the session is offered nothing.
    #[inline]
    fn wants_read(&self, at: usize, full: bool) -> bool {
        let pipe = &self.pipes[at];
        if pipe.read_asked || pipe.ended || pipe.broken || pipe.closing || !matches!(pipe.socket, Link::Up(_)) {
            return false;
        }
        match &pipe.forward {
            Some(forward) => {
                pipe.unread.is_empty() && self.pipe(forward.to).is_none_or(|target| target.unsent.len() < UNSENT_HIGH)
            }
            None => pipe.unread.len() < UNREAD_HIGH && !full,
        }
    }
}
