//! A connection that has left HTTP: the host moves bytes in both directions, and this component sees none of them.

use tandem_component::prelude::*;
use tandem_http1::ResponseHead;

use super::Link;
use crate::Http;
use crate::session::{Conversation, Stage, Then};

/// One direction of a tunnel.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Side {
    /// The host moves what comes.
    Open {
        /// The forward.
        forward: Token,
        /// When it was last found to have moved nothing for a whole period.
        stalled: Option<Time>,
    },
    /// Its sender has finished.
    Finished,
}

impl Side {
    /// Stops it.
    pub(crate) fn cancel(&self, out: &mut Out<'_, Conversation>) {
        if let Side::Open { forward, .. } = self {
            out.cancel(*forward);
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self, Side::Finished)
    }

    /// Whether nothing came from here in the period that ends now.
    fn is_quiet(&self, since: Time) -> bool {
        match self {
            Side::Open { stalled, .. } => stalled.is_some_and(|at| at >= since),
            Side::Finished => true,
        }
    }
}

/// Which direction of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client.
    Up,
    /// From the server.
    Down,
}

impl Conversation {
    /// The server has switched protocols.
    #[cold]
    pub(crate) fn take_tunnel(
        &mut self,
        http: &Http,
        link: Link,
        head: &ResponseHead<'_, '_>,
        out: &mut Out<'_, Self>,
    ) {
        self.buffer.clear();
        head.copy(head.hop.without(head.upgrade) | head.content_length, &mut self.buffer);
        self.buffer.extend_from_slice(&http.via[usize::from(head.minor)]);
        self.buffer.extend_from_slice(&http.served_by);
        self.buffer.extend_from_slice(b"Connection: upgrade\r\n\r\n");
        out.send(Stream::OWN, &self.buffer);
        out.consume(head.length);
        self.exchange.answered = true;
        self.exchange.status = head.status;
        self.exchange.bytes_out += self.buffer.len() as u64;
        // A tunnel may last for days: nothing of the head is needed any more.
        self.buffer = Vec::new();
        self.unread = 0;
        let up = tunnel_side(http, Direction::Up, link, None, out);
        let down = tunnel_side(http, Direction::Down, link, None, out);
        self.stage = Stage::Tunnel { up, down };
        match self.until {
            Some(until) => self.alarm.set(until),
            None => self.alarm.clear(),
        }
    }

    /// The sender of one direction has finished: so does its receiver's half. The tunnel ends with the second.
    pub(crate) fn tunneled(&mut self, http: &Http, direction: Direction, bytes: u64, out: &mut Out<'_, Self>) {
        self.count(direction, bytes);
        let (Stage::Tunnel { up, down }, Some(link)) = (&mut self.stage, self.exchange.link) else { return };
        match direction {
            Direction::Up => *up = Side::Finished,
            Direction::Down => *down = Side::Finished,
        }
        if up.is_finished() && down.is_finished() {
            out.close(link.stream);
            return self.end_exchange(http, false, out);
        }
        out.finish(if direction == Direction::Up { link.stream } else { Stream::OWN });
    }

    /// One direction has moved nothing for a whole period, or is broken.
    pub(crate) fn tunnel_failed(
        &mut self,
        http: &Http,
        direction: Direction,
        bytes: u64,
        stalled: bool,
        out: &mut Out<'_, Self>,
    ) {
        self.count(direction, bytes);
        let now = out.now();
        let since = Time::from_nanos(now.nanos().saturating_sub((Time::default() + http.timeouts.tunnel).nanos()));
        let (Stage::Tunnel { up, down }, Some(link)) = (&mut self.stage, self.exchange.link) else { return };
        let (this, other) = if direction == Direction::Up { (up, down) } else { (down, up) };
        if stalled && !other.is_quiet(since) {
            *this = tunnel_side(http, direction, link, Some(now), out);
            return;
        }
        *this = Side::Finished;
        self.close_tunnel(out);
    }

    /// Ends both sides, once what was sent has left.
    pub(crate) fn close_tunnel(&mut self, out: &mut Out<'_, Self>) {
        let (Stage::Tunnel { up, down }, Some(link)) = (&self.stage, self.exchange.link) else { return };
        up.cancel(out);
        down.cancel(out);
        out.close(link.stream);
        self.tell(false, out);
        self.close(out);
    }

    fn count(&mut self, direction: Direction, bytes: u64) {
        match direction {
            Direction::Up => self.exchange.bytes_in += bytes,
            Direction::Down => self.exchange.bytes_out += bytes,
        }
    }
}

fn tunnel_side(
    http: &Http,
    direction: Direction,
    link: Link,
    stalled: Option<Time>,
    out: &mut Out<'_, Conversation>,
) -> Side {
    let (from, to, then) = match direction {
        Direction::Up => (Stream::OWN, link.stream, Then::TunneledUp),
        Direction::Down => (link.stream, Stream::OWN, Then::TunneledDown),
    };
    let forward = out.forward(Forward::to_end(from, to).idle(http.timeouts.tunnel), then);
    Side::Open { forward, stalled }
}
