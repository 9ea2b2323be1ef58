//! One stream of a session: a socket with what is unread and what is unsent.

use std::io;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};

use super::forward::Forward;
use crate::clock::Nanos;
use crate::service::Ticket;
use crate::transport::{Connecting, Socket};

/// One stream of a session.
pub struct Pipe {
    /// The host's number of it: 0 is the session's own.
    pub(super) number: u64,
    pub(super) socket: Link,
    /// What has come in and was not consumed.
    pub(super) unread: BytesMut,
    /// What was sent and has not left.
    pub(super) unsent: BytesMut,
    /// How much has left for the kernel in all, and how much was sent in all.
    pub(super) left: u64,
    pub(super) sent: u64,
    /// What was last offered and not touched: the session's progress, and the length.
    pub(super) offered: Option<(u64, usize)>,
    /// How many offers of its bytes that come next are told one by one.
    pub(super) alone: usize,
    /// The peer has finished.
    pub(super) ended: bool,
    /// … and the session knows.
    pub(super) end_told: bool,
    /// Nothing more is to be sent.
    pub(super) finishing: bool,
    /// … and the peer was told.
    pub(super) finished: bool,
    /// It is to be closed once all has left.
    pub(super) closing: bool,
    /// After that the peer gets until then to read it and finish.
    pub(super) linger: Option<Nanos>,
    /// … and at most until then, while it goes on sending.
    pub(super) linger_most: Option<Nanos>,
    /// The peer takes no more; what it said before may still be unread.
    pub(super) deaf: bool,
    /// It is gone.
    pub(super) broken: bool,
    /// A forward from it.
    pub(super) forward: Option<Forward>,
    /// Positions in what was sent whose leaving is waited for, with the tokens.
    pub(super) writables: Vec<(u64, u64)>,
    /// Where it was dialed.
    pub(super) ticket: Option<Ticket>,
    /// The runtime has said that there is nothing to read, and wakes the session's task when there is.
    pub(super) read_armed: bool,
    /// Reading and writing have been asked of the runtime in this turn.
    pub(super) read_asked: bool,
    pub(super) write_asked: bool,
}

/// A connection, or one that is being made.
pub(super) enum Link {
    Up(Socket),
    /// Until then, for this token.
    Coming {
        connecting: Connecting,
        deadline: Nanos,
        token: u64,
    },
    /// Taken away or given up.
    Gone,
}

impl Pipe {
    /// A stream over a connection.
    pub(super) fn new(number: u64, socket: Link, ticket: Option<Ticket>) -> Self {
        Pipe {
            number,
            socket,
            unread: BytesMut::new(),
            unsent: BytesMut::new(),
            left: 0,
            sent: 0,
            offered: None,
            alone: 0,
            ended: false,
            end_told: false,
            finishing: false,
            finished: false,
            closing: false,
            linger: None,
            linger_most: None,
            deaf: false,
            broken: false,
            forward: None,
            writables: Vec::new(),
            ticket,
            read_armed: false,
            read_asked: false,
            write_asked: false,
        }
    }

    /// Makes its connection part of the runtime that this is called in. False where it is lost by that.
    pub(super) fn change_runtime(&mut self) -> bool {
        self.socket = match std::mem::replace(&mut self.socket, Link::Gone) {
            Link::Up(socket) => match socket.taken_over() {
                Ok(socket) => Link::Up(socket),
                Err(_) => return false,
            },
            Link::Coming { connecting, deadline, token } => match connecting.taken_over() {
                Ok(connecting) => Link::Coming { connecting, deadline, token },
                Err(_) => return false,
            },
            Link::Gone => Link::Gone,
        };
        true
    }

    /// Whether more may be sent on it.
    #[inline]
    pub(super) fn takes(&self) -> bool {
        !self.finishing && !self.closing && !self.broken && !self.deaf
    }

    /// Whether what comes in is still for the session.
    #[inline]
    pub(super) fn gives(&self) -> bool {
        !self.closing && !matches!(self.socket, Link::Gone)
    }

    /// Takes back what was not consumed of its unread bytes. Where nothing is left their buffer goes: most sessions idle.
    pub(super) fn give_back(&mut self, unread: BytesMut) {
        self.unread = if unread.is_empty() { BytesMut::new() } else { unread };
    }

    /// Writes what is unsent and then `more`. Returns how much of `more` was taken by the kernel.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, more: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        let Link::Up(socket) = &mut self.socket else { return Ok(0) };
        while !(self.write_asked || self.unsent.is_empty() && taken == more.len()) {
            let rest = &more[taken..];
            let (first, second) = if self.unsent.is_empty() { (rest, &[][..]) } else { (&self.unsent[..], rest) };
            match socket.poll_write(cx, first, second) {
                Poll::Pending => self.write_asked = true,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.left += n as u64;
                    let unsent = self.unsent.len().min(n);
                    if unsent == self.unsent.len() {
                        self.unsent.clear();
                    } else {
                        self.unsent.advance(unsent);
                    }
                    taken += n - unsent;
                }
            }
        }
        self.sent += taken as u64;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_unread_bytes_keeps_no_buffer() {
        let mut pipe = Pipe::new(0, Link::Gone, None);
        let mut unread = BytesMut::from(&[0; 1000][..]);
        unread.advance(999);
        pipe.give_back(unread);
        assert_eq!(pipe.unread.len(), 1);

        let mut unread = std::mem::take(&mut pipe.unread);
        unread.advance(1);
        pipe.give_back(unread);
        assert_eq!(pipe.unread.capacity(), 0);
    }
}
