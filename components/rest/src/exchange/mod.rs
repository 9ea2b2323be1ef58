//! One connection of a client: [`Connection`], and the request under way on it: [`Exchange`].
//!
//! Invariants: nothing of a request is consumed before the answer to the one before is complete; a body is read once it is known
//! who asks; between two events nothing is held but what is serialized. The files beside are what a session does in its
//! stages; each is a block of methods of [`Connection`].

mod answer;
mod asking;
mod await_request;
mod body;
mod fetching;
mod reserving;
mod submitting;

use tandem_component::prelude::*;

use self::fetching::Waiting;
use self::reserving::Reserving;
use self::submitting::Submission;
use crate::Rest;
use crate::framing::Framing;
use crate::operation::Operation;
use crate::problem::{Kind, Problem};
use crate::record::Entry;
use crate::session::{Conversation, Then};

/// One connection of a client, in whatever stage.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Connection {
    stage: Stage,
    exchange: Exchange,
    /// What has come of a body.
    #[serde(with = "serde_bytes")]
    buffer: Vec<u8>,
    /// How much of the client's bytes was seen and not consumed.
    unread: u64,
    /// The client will send no more.
    half_closed: bool,
    /// The connection is to end by then.
    until: Option<Time>,
    /// When the stage is given up, or has something to do.
    due: Option<Time>,
}

/// What it awaits.
#[derive(Debug, Serialize, Deserialize)]
enum Stage {
    /// A request. So many unread bytes were looked at and are no whole head.
    AwaitRequest { seen: u32 },
    /// Whose secret it is. The body is unread.
    Authenticate,
    /// The rest of the body.
    ReadBody,
    /// Whether the key of a request is its own.
    Reserve(Box<Reserving>),
    /// What becomes of the messages that were submitted.
    Submit(Box<Submission>),
    /// What the service behind this interface knows of messages.
    Ask,
    /// Events.
    Fetch(Waiting),
    /// That events are gone, of those up to there.
    Acknowledge {
        #[serde(default)]
        reached: i64,
    },
    /// The rest of a body that nobody wants; the answer is out.
    Discard,
    /// Nothing: the connection is closed.
    Over,
}

/// What is to be known of the request under way.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Exchange {
    /// When its head was read.
    pub(crate) began: Time,
    /// The host was not told yet how it ended.
    untold: bool,
    /// 0 or 1: the client speaks HTTP/1.0 or 1.1.
    minor: u8,
    /// The method is HEAD.
    head_only: bool,
    /// The client wants to keep the connection.
    keep: bool,
    /// The client waits for a `100 Continue`.
    expects: bool,
    /// What it asks for.
    operation: Option<Operation>,
    /// Its path.
    path: String,
    /// `Idempotency-Key`.
    key: Option<String>,
    /// Who says to ask …
    claimed: String,
    /// … and who does.
    pub(crate) account: String,
    /// What it is a part of: as its `traceparent` says, or one that it begins.
    pub(crate) span: Option<Span>,
    /// What is still to come of its body, and how much of it nobody wanted.
    body: Framing,
    discarded: u64,
    /// The answer was sent.
    answered: bool,
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    entry: Option<Box<Entry>>,
}

/// The status in the record of an exchange whose client has gone.
const CLIENT_GONE: u16 = 499;

impl Exchange {
    /// How it ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.status {
            CLIENT_GONE => Outcome::Abandoned,
            ..400 => Outcome::Done,
            400..500 => Outcome::Refused,
            500.. => Outcome::Failed,
        }
    }
}

impl Connection {
    /// A connection on which no request has begun.
    pub(crate) fn new(due: Time) -> Self {
        Connection {
            stage: Stage::AwaitRequest { seen: 0 },
            exchange: Exchange::default(),
            buffer: Vec::new(),
            unread: 0,
            half_closed: false,
            until: None,
            due: Some(due),
        }
    }

    pub(crate) fn handle(
        &mut self,
        rest: &Rest,
        event: Event<'_, Then>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream: Stream::OWN, bytes } => self.bytes(rest, bytes, out),
            Event::Answer { then, answer } => match then {
                Then::Authenticated => self.authenticated(rest, answer, out),
                Then::Reserved => self.reserved(rest, answer, failed, out),
                Then::KeyKnown => self.key_known(rest, answer, failed, out)?,
                Then::Retaken => self.retaken(rest, answer, failed, out),
                Then::Submitted { n } => self.submitted(rest, (n, answer), failed, out),
                Then::Asked => self.told(rest, answer, out),
                Then::Reached => self.reached(rest, answer, out)?,
                Then::Fetched => self.fetched(rest, answer, out)?,
                Then::Taken => self.taken(rest, answer, failed, out)?,
                _ => {}
            },
            Event::Timeout { .. } => self.alarm_rang(rest, out),
            Event::End { stream: Stream::OWN } => self.client_finished(rest, out),
            Event::Closed { stream: Stream::OWN } => self.client_gone(out),
            Event::Drain { until } => self.drain(rest, until, out),
            _ => {}
        }
        Ok(())
    }

    /// When it has to be told of the time.
    pub(crate) fn due(&self) -> Option<Time> {
        self.due
    }

    pub(crate) fn at_boundary(&self) -> bool {
        matches!(self.stage, Stage::AwaitRequest { .. }) && !self.half_closed && self.until.is_none()
    }

    pub(crate) fn owes_an_answer(&self) -> bool {
        !self.exchange.answered && !matches!(self.stage, Stage::Over)
    }

    fn bytes(&mut self, rest: &Rest, bytes: &[u8], out: &mut Out<'_, Conversation>) {
        self.unread = bytes.len() as u64;
        match self.stage {
            Stage::AwaitRequest { seen } => self.await_request(rest, seen, bytes, out),
            Stage::ReadBody => self.read_body(rest, bytes, out),
            Stage::Discard => self.discard(rest, bytes, out),
            // The body waits until it is known who asks, and the next request for its turn.
            _ => {}
        }
    }

    fn alarm_rang(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        if self.due.is_none_or(|due| due > out.now()) {
            return;
        }
        self.due = None;
        match self.stage {
            Stage::AwaitRequest { seen: 0 } => self.close(out),
            Stage::AwaitRequest { .. } => self.refuse_unread(rest, &Kind::TooSlow.because("the head"), out),
            Stage::ReadBody => self.refuse_and_close(rest, &Kind::TooSlow.because("the body"), out),
            Stage::Discard => self.end_exchange(rest, false, out),
            Stage::Fetch(_) => self.fetch(rest, out),
            _ => {}
        }
    }

    /// The client will send no more. It still gets the answers to what it has sent.
    fn client_finished(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        self.half_closed = true;
        if self.unread > 0 {
            // What is unread is delivered once more, and is then found to be a request or the piece of one.
            return;
        }
        match &mut self.stage {
            Stage::AwaitRequest { .. } => self.close(out),
            Stage::ReadBody => self.cut_off(rest, out),
            Stage::Discard => self.end_exchange(rest, false, out),
            // A client that has gone looks the same: it is not waited for.
            Stage::Fetch(waiting) => {
                waiting.until = out.now();
                self.due = Some(out.now());
            }
            _ => {}
        }
    }

    /// The client's connection is gone. What was submitted stays submitted.
    fn client_gone(&mut self, out: &mut Out<'_, Conversation>) {
        if !matches!(self.stage, Stage::AwaitRequest { .. } | Stage::Over) {
            if !self.exchange.answered {
                self.exchange.status = CLIENT_GONE;
            }
            self.tell(out);
        }
        self.stage = Stage::Over;
        self.due = None;
    }

    fn drain(&mut self, rest: &Rest, until: Time, out: &mut Out<'_, Conversation>) {
        self.until = Some(until);
        match &mut self.stage {
            Stage::AwaitRequest { seen: 0 } if self.unread == 0 => self.close(out),
            Stage::Fetch(waiting) => {
                waiting.until = out.now();
                self.fetch(rest, out);
            }
            // What is under way gets its answer, with `Connection: close`.
            _ => {}
        }
    }

    /// Consumes what the client sent.
    fn consume(&mut self, n: usize, out: &mut Out<'_, Conversation>) {
        self.unread = self.unread.saturating_sub(n as u64);
        self.exchange.bytes_in += n as u64;
        out.consume(n);
    }

    /// The request is there: does what it asks for.
    fn perform(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        self.due = None;
        match self.exchange.operation.clone() {
            Some(Operation::Describe) => self.describe(rest, out),
            Some(Operation::Submit) => self.submit(rest, out),
            Some(Operation::List { before, limit }) => self.ask_for_list(rest, before, limit, out),
            Some(Operation::Query { id }) => self.ask_for_one(rest, id, out),
            Some(Operation::Cancel { id }) => self.ask_to_cancel(rest, id, out),
            Some(Operation::Fetch { wait_s, .. }) => self.begin_fetching(rest, wait_s, out),
            Some(Operation::Acknowledge { .. }) => self.acknowledge(out),
            None => self.refuse(rest, &Kind::Broken.because("nothing was asked"), out),
        }
    }

    /// The exchange is over: the next one may begin, or the connection ends.
    fn end_exchange(&mut self, rest: &Rest, keeps: bool, out: &mut Out<'_, Conversation>) {
        self.tell(out);
        self.exchange = Exchange::default();
        self.buffer = Vec::new();
        if !keeps || self.half_closed && self.unread == 0 {
            return self.close(out);
        }
        self.stage = Stage::AwaitRequest { seen: 0 };
        self.due = Some(out.now() + rest.config.timeouts.idle);
    }

    /// Ends the connection, once what was sent has left.
    fn close(&mut self, out: &mut Out<'_, Conversation>) {
        self.stage = Stage::Over;
        self.due = None;
        out.close(Stream::OWN);
    }

    /// Tells the host, once, how the request ended.
    fn tell(&mut self, out: &mut Out<'_, Conversation>) {
        let untold = std::mem::take(&mut self.exchange.untold);
        if let Some(entry) = self.exchange.entry.take() {
            entry.write(&self.exchange, out);
        } else if untold {
            out.ended(self.exchange.outcome(), out.now().since(self.exchange.began));
        }
    }

    /// What its record says of a problem.
    fn note(&mut self, problem: &Problem) {
        if let Some(entry) = &mut self.exchange.entry {
            entry.problem = problem.kind.name().rsplit(':').next().unwrap_or_default().to_owned();
        }
    }
}
