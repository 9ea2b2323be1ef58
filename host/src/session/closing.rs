//! The end of a session: its conversation is over, and what it sent is brought out; and that of a stream, of which it is told.

use std::task::Poll;

use tandem_component::abi::kind;
use tokio::io::ReadBuf;

use super::driver::{Driver, LINGER, Turn};
use super::pipe::Link;
use super::{Answer, Session};
use crate::clock::Nanos;
use crate::transport::Socket;

/// How long a peer gets to finish, once it has all that was sent, from the last time that it sent something itself: who
/// uploads reads the answer afterwards, and a reset would take it away. In nanoseconds; at most [`LINGER`] in all.
const LINGER_READ: Nanos = 2_000_000_000;

impl Driver<'_, '_> {
    /// Brings out what was sent before the end, and lets the peer read it.
    pub(super) fn close_out(&mut self) -> Turn {
        self.session.due_changed = true;
        let mut at = 1;
        while at < self.session.pipes.len() {
            self.flush(at);
            let pipe = &self.session.pipes[at];
            if pipe.unsent.is_empty() || pipe.deaf || !matches!(pipe.socket, Link::Up(_)) {
                self.session.pipes.swap_remove(at);
            } else {
                at += 1;
            }
        }
        match self.close_own() {
            Turn::Over if self.session.pipes.len() > 1 => {
                self.session.pipes[0].socket = Link::Gone;
                self.session.pipes[0].linger = None;
                Turn::Waits
            }
            turn => turn,
        }
    }

    fn close_own(&mut self) -> Turn {
        loop {
            let own = &mut self.session.pipes[0];
            let Link::Up(socket) = &mut own.socket else { return Turn::Over };
            let late = own.linger.is_some_and(|until| until <= self.now);
            if own.broken || own.deaf || late || matches!(socket, Socket::Udp(..)) {
                return Turn::Over;
            }
            if !own.unsent.is_empty() {
                let had = own.unsent.len();
                if own.write(self.cx, &[]).is_err() {
                    return Turn::Over;
                }
                if own.unsent.is_empty() {
                    self.worker.keep_spare(std::mem::take(&mut own.unsent));
                    continue;
                }
                if own.unsent.len() < had {
                    own.linger = Some(self.now.saturating_add(LINGER));
                }
                return Turn::Waits;
            }
            if !own.finished {
                own.finished = true;
                socket.finish();
            }
            // Also where it was finished before: by its session, which may have half closed it, or with its last event's other work.
            let most = *own.linger_most.get_or_insert_with(|| {
                own.linger = Some(self.now.saturating_add(LINGER_READ));
                self.now.saturating_add(LINGER)
            });
            if own.ended {
                return Turn::Over;
            }
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let polled = socket.poll_read(self.cx, &mut buffer);
            let nothing = buffer.filled().is_empty();
            match polled {
                Poll::Pending => return Turn::Waits,
                Poll::Ready(Err(_)) => return Turn::Over,
                // What comes in now is for nobody.
                Poll::Ready(Ok(())) if nothing => own.ended = true,
                Poll::Ready(Ok(())) => {
                    own.linger = Some(most.min(self.now.saturating_add(LINGER_READ)));
                }
            }
        }
    }
}

impl Session {
    /// Tells of a stream that broke, or that both sides have finished.
    pub(super) fn tell_closed(&mut self, at: usize) -> bool {
        let pipe = &mut self.pipes[at];
        // A client that takes no more is gone; a server may have answered before it went.
        pipe.broken |= pipe.deaf && (at == 0 || pipe.ended);
        let finished = pipe.ended && pipe.end_told && pipe.finished;
        let stream = pipe.number;
        if !pipe.broken && !finished {
            return pipe.deaf && self.fail_forwards_to(stream);
        }
        if pipe.closing || matches!(pipe.socket, Link::Gone) {
            return false;
        }
        // What came in before is for the session still.
        let unseen = pipe.forward.is_some() || pipe.offered != Some((self.progress, pipe.unread.len()));
        if at > 0 && !pipe.unread.is_empty() && unseen {
            return false;
        }
        self.lose(stream);
        true
    }

    /// A stream is gone, which the session is told.
    pub(super) fn lose(&mut self, stream: u64) {
        let Some(pipe) = self.pipe_mut(stream) else { return };
        pipe.socket = Link::Gone;
        pipe.broken = true;
        self.fail_forwards(stream);
        self.answers.push_back(Answer { kind: kind::CLOSED, stream, ..Answer::default() });
    }
}
