//! One connection of a client: [`Conversation`]. What each stage does stands in [`crate::exchange`].
//!
//! Invariants: nothing of a request is consumed before the answer to the one before is complete; a stream of a server
//! belongs to one exchange; what is awaited (a dial, a forward, the alarm) has its token here, so that it can be taken
//! back; between two events nothing is held but what is serialized.

use std::fmt::Write;
use std::time::Duration;

use tandem_component::prelude::*;

use crate::Http;
use crate::alarm::Alarm;
use crate::exchange::{Direction, Discarded, Exchange, Link, Passage, Side};
use crate::record::Entry;
use crate::refusal::Refused;
use crate::sticky::Routed;

/// One connection of a client, in whatever stage.
#[derive(Debug, Serialize, Deserialize)]
pub struct Conversation {
    pub(crate) stage: Stage,
    pub(crate) exchange: Exchange,
    /// A head that is being written; while a server is awaited, the request as it was sent, for another try.
    #[serde(with = "serde_bytes")]
    pub(crate) buffer: Vec<u8>,
    /// The upstream of the exchange.
    pub(crate) upstream: String,
    /// The servers that were tried for this exchange.
    pub(crate) tried: Vec<Server>,
    /// The client's address as text.
    pub(crate) peer: String,
    pub(crate) alarm: Alarm,
    /// How much of the client's bytes was seen and not consumed.
    pub(crate) unread: u64,
    /// The client will send no more.
    pub(crate) half_closed: bool,
    /// The connection is to end by then.
    pub(crate) until: Option<Time>,
    /// What the record of this exchange will say, where there will be one.
    pub(crate) entry: Option<Box<Entry>>,
    /// One that was written, for the next exchange.
    #[serde(skip)]
    pub(crate) spare: Option<Box<Entry>>,
    /// Whether it is known whose the request at hand is.
    #[serde(default)]
    pub(crate) routed: Routed,
    /// Whether the answer had begun before the event that is being handled.
    #[serde(skip)]
    answered_before: bool,
}

/// What a session awaits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// A request: the boundary. So many unread bytes were looked at and are no whole head.
    AwaitRequest { seen: u32 },
    /// The rest of a body that nobody wants; the answer is out.
    Discard { rest: Discarded },
    /// A connection to a server.
    AwaitServer { dial: Token },
    /// The head of a server's answer, while the request's body is passed on.
    AwaitAnswer,
    /// The rest of a server's answer.
    PassAnswer { download: Passage },
    /// The end of both directions of a tunnel.
    Tunnel { up: Side, down: Side },
    /// Nothing: the connection is closed.
    Over,
}

/// What an answer of the host continues. The stage says the rest.
#[derive(Debug, Serialize, Deserialize, Then)]
pub enum Then {
    /// The one timer.
    Alarm,
    /// A connection to a server.
    Dialed,
    /// The forward of a request's body.
    Uploaded,
    /// The forward of an answer's body.
    Downloaded,
    /// The forward from the client of a tunnel.
    TunneledUp,
    /// The forward from the server of a tunnel.
    TunneledDown,
    /// Whether the client has taken all of an answer so far.
    Taken,
}

impl Conversation {
    /// A connection on which no request has begun.
    pub(crate) fn new(opening: &Opening<'_>, idle: Duration) -> Self {
        let mut peer = String::new();
        match opening.peer.ip() {
            Some(address) => write!(peer, "{address}").expect("a String takes all that is written"),
            None => peer.push_str("unix"),
        }
        let mut alarm = Alarm::default();
        alarm.set(opening.idle_since + idle);
        Conversation {
            stage: Stage::AwaitRequest { seen: 0 },
            exchange: Exchange::default(),
            buffer: Vec::new(),
            upstream: String::new(),
            tried: Vec::new(),
            peer,
            alarm,
            unread: 0,
            half_closed: false,
            until: None,
            entry: None,
            spare: None,
            routed: Routed::No,
            answered_before: false,
        }
    }

    /// Consumes what the client sent.
    #[inline]
    pub(crate) fn consume(&mut self, n: usize, out: &mut Out<'_, Self>) {
        self.unread = self.unread.saturating_sub(n as u64);
        out.consume(n);
    }
}

impl Session for Conversation {
    type Component = Http;
    type Then = Then;

    #[inline]
    fn handle(&mut self, http: &Http, event: Event<'_, Then>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        self.answered_before = self.exchange.answered;
        match event {
            Event::Bytes { stream: Stream::OWN, bytes } => self.client_bytes(http, bytes, out),
            Event::Bytes { stream, bytes } => self.server_bytes(http, stream, bytes, out),
            Event::Answer { then, answer } => self.answered(http, &then, answer, out),
            Event::Timeout { .. } => self.alarm_rang(http, out),
            Event::Writable { .. } => self.taken(http, out),
            Event::End { stream: Stream::OWN } => self.client_finished(http, out),
            Event::Closed { stream: Stream::OWN } => self.client_gone(out),
            Event::End { stream } | Event::Closed { stream } => self.server_gone(http, stream, out),
            Event::Routed { bound } => self.routed = if bound.is_ok() { Routed::Yes } else { Routed::Failed },
            Event::Drain { until } => self.drain(until, out),
            // Opened: the alarm is armed below. The rest is never asked for.
            _ => {}
        }
        self.alarm.arm(out);
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        // Who opens next would not be told of an end that was told before.
        matches!(self.stage, Stage::AwaitRequest { .. }) && !self.half_closed && self.until.is_none()
    }

    fn last_words(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        if !self.answered_before && !matches!(self.stage, Stage::Over) {
            self.say(http, http.refusals.answer(Refused::Broken), "", false, out);
        }
    }
}

impl Conversation {
    #[inline]
    fn client_bytes(&mut self, http: &Http, bytes: &[u8], out: &mut Out<'_, Self>) {
        self.unread = bytes.len() as u64;
        match &mut self.stage {
            Stage::AwaitRequest { seen } => {
                let seen = *seen;
                self.await_request(http, seen, bytes, out);
            }
            Stage::Discard { rest } => {
                let rest = std::mem::take(rest);
                self.discard(http, rest, bytes, out);
            }
            Stage::AwaitAnswer | Stage::PassAnswer { .. } => self.pass_up(http, bytes, out),
            // The next request waits for its turn.
            Stage::AwaitServer { .. } | Stage::Tunnel { .. } | Stage::Over => {}
        }
    }

    #[inline]
    fn server_bytes(&mut self, http: &Http, stream: Stream, bytes: &[u8], out: &mut Out<'_, Self>) {
        let Some(link) = self.exchange.link.filter(|link| link.stream == stream) else { return };
        match self.stage {
            Stage::AwaitAnswer => self.await_answer(http, link, bytes, out),
            Stage::PassAnswer { .. } => self.pass_down(http, link, bytes, out),
            _ => {}
        }
    }

    #[inline]
    fn answered(&mut self, http: &Http, then: &Then, answer: Answer, out: &mut Out<'_, Self>) {
        match (then, answer) {
            (Then::Dialed, Answer::Dialed { stream, server, reused }) => {
                self.dialed(http, Link { stream, server, reused }, out);
            }
            (Then::Dialed, Answer::DialFailed { server, why }) => self.dial_failed(http, server, why, out),
            (Then::Uploaded, Answer::Forwarded { bytes }) => self.uploaded(http, bytes, out),
            (Then::Uploaded, Answer::ForwardFailed { bytes, broken, stalled }) => {
                self.upload_failed(http, bytes, broken, stalled, out);
            }
            (Then::Downloaded, Answer::Forwarded { bytes }) => self.downloaded(http, bytes, out),
            (Then::Downloaded, Answer::ForwardFailed { bytes, broken, stalled }) => {
                self.download_failed(http, bytes, broken, stalled, out);
            }
            (Then::TunneledUp, Answer::Forwarded { bytes }) => self.tunneled(http, Direction::Up, bytes, out),
            (Then::TunneledDown, Answer::Forwarded { bytes }) => self.tunneled(http, Direction::Down, bytes, out),
            (Then::TunneledUp, Answer::ForwardFailed { bytes, stalled, .. }) => {
                self.tunnel_failed(http, Direction::Up, bytes, stalled, out);
            }
            (Then::TunneledDown, Answer::ForwardFailed { bytes, stalled, .. }) => {
                self.tunnel_failed(http, Direction::Down, bytes, stalled, out);
            }
            // An answer to something that this stage has not asked for.
            _ => {}
        }
    }

    /// The timer has fired; if the deadline is there, what was awaited is given up.
    #[cold]
    fn alarm_rang(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        if !self.alarm.fired(out.now()) {
            return;
        }
        self.alarm.clear();
        match &self.stage {
            Stage::AwaitRequest { seen: 0 } => self.close(out),
            Stage::AwaitRequest { .. } => self.refuse_unread(http, Refused::TooSlow, out),
            Stage::Discard { .. } => self.end_exchange(http, false, out),
            Stage::AwaitAnswer => {
                if matches!(self.exchange.upload, Passage::Chunked { .. }) {
                    return self.fail(http, Refused::TooSlow, out);
                }
                if let Some(link) = self.exchange.link {
                    out.blame(link.stream);
                }
                self.fail(http, Refused::SlowServer, out);
            }
            Stage::PassAnswer { .. } => self.chunks_stall(http, out),
            Stage::Tunnel { .. } => self.close_tunnel(out),
            Stage::AwaitServer { .. } | Stage::Over => {}
        }
    }

    /// The client will send no more. It still gets the answers to what it has sent.
    #[cold]
    fn client_finished(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        self.half_closed = true;
        if self.unread > 0 {
            // What is unread is delivered once more, and is then found to be a request or the piece of one.
            return;
        }
        match &self.stage {
            Stage::AwaitRequest { .. } => self.close(out),
            Stage::Discard { .. } => self.end_exchange(http, false, out),
            Stage::AwaitAnswer | Stage::PassAnswer { .. }
                if matches!(self.exchange.upload, Passage::Chunked { forward: None, .. }) =>
            {
                self.request_cut_off(http, out);
            }
            _ => {}
        }
    }

    /// A server has closed its connection or finished.
    #[cold]
    fn server_gone(&mut self, http: &Http, stream: Stream, out: &mut Out<'_, Self>) {
        if self.exchange.link.is_none_or(|link| link.stream != stream) {
            return;
        }
        match &self.stage {
            Stage::AwaitAnswer => self.server_lost(http, out),
            Stage::PassAnswer { download } if !download.is_forwarding() => self.answer_cut_off(out),
            _ => {}
        }
    }

    #[cold]
    fn drain(&mut self, until: Time, out: &mut Out<'_, Self>) {
        self.until = Some(until);
        match &self.stage {
            Stage::AwaitRequest { seen: 0 } if self.unread == 0 => self.close(out),
            Stage::Tunnel { .. } => self.alarm.set(until),
            // What is under way gets its answer, with `Connection: close`.
            _ => {}
        }
    }
}
