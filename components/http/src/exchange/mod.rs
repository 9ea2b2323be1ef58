//! One request and its answer: [`Exchange`], and how it ends.
//!
//! The files beside are the stages of a session, named for what they await; each is a block of methods of
//! [`Conversation`].

mod await_answer;
mod await_request;
mod await_server;
mod discard;
mod pass_answer;
mod passage;
mod say;
mod slow_client;
mod tunnel;

use tandem_component::prelude::*;
use tandem_http1::RequestHead;

pub(crate) use self::discard::Discarded;
pub(crate) use self::passage::{Passage, Way};
pub(crate) use self::say::Ending;
pub(crate) use self::slow_client::Slow;
pub(crate) use self::tunnel::{Direction, Side};
use crate::Http;
use crate::session::{Conversation, Stage, Then};

/// What is to be known of the exchange under way.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Exchange {
    /// When its head was read.
    pub(crate) began: Time,
    /// The host was not told yet how it ended.
    pub(crate) untold: bool,
    /// 0 or 1: the client speaks HTTP/1.0 or 1.1.
    pub(crate) minor: u8,
    /// The method is HEAD.
    pub(crate) head_only: bool,
    /// The method may be tried twice.
    pub(crate) idempotent: bool,
    /// The client asks for another protocol.
    pub(crate) upgrade: bool,
    /// The client wants to keep the connection.
    pub(crate) keep: bool,
    /// The head of the final answer was sent.
    pub(crate) answered: bool,
    /// A head of an interim answer was sent, or a byte of the body taken to a server: no other server can be tried.
    pub(crate) committed: bool,
    /// It was for an upstream.
    pub(crate) proxied: bool,
    /// The server keeps its connection after the answer.
    pub(crate) server_keeps: bool,
    /// The status of the answer, or 499 where the client has gone.
    pub(crate) status: u16,
    /// How many bytes of the request were read.
    pub(crate) bytes_in: u64,
    /// How many bytes of the answer were sent.
    pub(crate) bytes_out: u64,
    /// The server.
    pub(crate) link: Option<Link>,
    /// The request's body.
    pub(crate) upload: Passage,
    /// Which step of a trace it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) span: Option<Span>,
    /// Whether the client takes the answer.
    pub(crate) slow: Option<Box<Slow>>,
}

/// A connection to a server, for one exchange.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The connection.
    pub(crate) stream: Stream,
    /// The server.
    pub(crate) server: Server,
    /// It has served before.
    pub(crate) reused: bool,
}

/// The largest body that is copied beside its head rather than forwarded.
pub(crate) const BESIDE_MAX: usize = 16 << 10;

/// How much of the buffer is kept between two exchanges.
const BUFFER_KEPT: usize = 640;

/// The status in the record of an exchange whose client has gone.
pub(crate) const CLIENT_GONE: u16 = 499;

impl Exchange {
    /// How it ended; `cut` where its answer is not whole.
    pub(crate) fn outcome(&self, cut: bool) -> Outcome {
        match self.status {
            _ if cut => Outcome::Failed,
            CLIENT_GONE => Outcome::Abandoned,
            ..400 => Outcome::Done,
            400..500 => Outcome::Refused,
            500.. => Outcome::Failed,
        }
    }
}

impl Conversation {
    /// Whether the connection may be kept after this exchange.
    #[inline]
    pub(crate) fn keeps(&self) -> bool {
        self.exchange.keep && self.until.is_none() && self.exchange.upload.is_through()
    }

    /// The answer is complete.
    pub(crate) fn answer_through(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let keeps = self.keeps();
        if let Some(link) = self.exchange.link {
            if !self.exchange.upload.is_through() {
                self.exchange.upload.abandon(out);
                out.abort(link.stream);
            } else if self.exchange.server_keeps {
                out.release(link.stream);
            } else {
                out.close(link.stream);
            }
        }
        self.end_exchange(http, keeps, out);
    }

    /// The exchange is over: the next one may begin, or the connection ends.
    #[inline]
    pub(crate) fn end_exchange(&mut self, http: &Http, keeps: bool, out: &mut Out<'_, Self>) {
        self.tell(false, out);
        self.exchange.link = None;
        self.exchange.answered = false;
        if !keeps || (self.half_closed && self.unread == 0) {
            return self.close(out);
        }
        self.stage = Stage::AwaitRequest { seen: 0 };
        self.alarm.set(out.now() + http.timeouts.idle);
        self.tried.clear();
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer.clear();
            self.buffer.shrink_to(BUFFER_KEPT);
        }
    }

    /// Ends the connection, once what was sent has left.
    pub(crate) fn close(&mut self, out: &mut Out<'_, Self>) {
        self.stage = Stage::Over;
        self.alarm.clear();
        out.close(Stream::OWN);
    }

    /// Gives up an answer that is half sent, so that the client sees that it is not whole.
    pub(crate) fn cut(&mut self, out: &mut Out<'_, Self>) {
        self.leave_server(out);
        self.tell(true, out);
        self.stage = Stage::Over;
        self.alarm.clear();
        out.abort(Stream::OWN);
    }

    /// Drops whatever is under way with a server.
    pub(crate) fn leave_server(&mut self, out: &mut Out<'_, Self>) {
        self.exchange.upload.abandon(out);
        match &mut self.stage {
            Stage::AwaitServer { dial } => drop(out.cancel(*dial)),
            Stage::PassAnswer { download } => download.abandon(out),
            Stage::Tunnel { up, down } => {
                up.cancel(out);
                down.cancel(out);
            }
            _ => {}
        }
        if let Some(link) = self.exchange.link.take() {
            out.abort(link.stream);
            // The record still names it.
            self.exchange.link = self.entry.is_some().then_some(link);
        }
    }

    /// The client's connection is gone.
    pub(crate) fn client_gone(&mut self, out: &mut Out<'_, Self>) {
        if !matches!(self.stage, Stage::AwaitRequest { .. } | Stage::Over) {
            let under_way = !matches!(self.stage, Stage::Discard { .. } | Stage::Tunnel { .. });
            if under_way {
                self.exchange.status = CLIENT_GONE;
            }
            self.leave_server(out);
            self.tell(false, out);
        }
        self.stage = Stage::Over;
        self.alarm.clear();
    }

    /// Notes what the record of this exchange will say, where there will be one. A trace is gone on with, and begun where traces are
    /// exported.
    pub(crate) fn take_down(&mut self, http: &Http, head: &RequestHead<'_, '_>, out: &mut Out<'_, Self>) {
        let said = Trace::of_fields(head.fields.all("traceparent"));
        self.exchange.span = (http.traces || said.is_some()).then(|| out.begin_span(said));
        if http.recording.takes(self.exchange.span) {
            let mut entry = self.spare.take().unwrap_or_default();
            entry.take_down(head);
            self.entry = Some(entry);
        }
    }

    /// Tells the host, once, how the exchange ended; `cut` where its answer is not whole.
    #[inline]
    pub(crate) fn tell(&mut self, cut: bool, out: &mut Out<'_, Self>) {
        let untold = std::mem::take(&mut self.exchange.untold);
        if let Some(entry) = self.entry.take() {
            entry.write(&self.exchange, cut, &self.upstream, out);
            self.spare = Some(entry).filter(|entry| entry.is_small());
        } else if untold {
            out.ended(self.exchange.outcome(cut), out.now().since(self.exchange.began));
        }
    }

    /// The way of the request's body.
    pub(crate) fn way_up(&self, http: &Http) -> Option<Way> {
        let link = self.exchange.link?;
        Some(Way { from: Stream::OWN, to: link.stream, idle: http.timeouts.body, then: || Then::Uploaded })
    }

    /// The way of the answer's body.
    pub(crate) fn way_down(&self, http: &Http) -> Option<Way> {
        let link = self.exchange.link?;
        Some(Way { from: link.stream, to: Stream::OWN, idle: http.timeouts.response_body, then: || Then::Downloaded })
    }
}
