//! One request to a webhook, and its answer. Whatever is not 2xx is a failure; a redirection is one as well, since only the operator
//! says where events go.

use tandem_component::prelude::*;
use tandem_http1::{ResponseHead, Slots};

use super::owed::Told;
use super::{Lane, Resident, Stage};
use crate::Rest;
use crate::config::Webhook;
use crate::framing::Framing;
use crate::session::{Conversation, Then};
use crate::signature::sign;
use crate::tables::{self, Name};

/// Events that go together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) names: Vec<Name>,
    /// The request's body.
    body: String,
}

/// A request that was sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Posting {
    pub(super) stream: Stream,
    /// The connection has served before.
    reused: bool,
    batch: Batch,
    /// When it is given up.
    pub(super) until: Time,
    /// What the head of the answer has said.
    head: Option<Head>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    status: u16,
    /// The connection can serve again.
    keep: bool,
    body: Framing,
}

/// How far an answer is.
enum Progress {
    /// There is more to come.
    More,
    /// It is through; whether the connection can serve again.
    Through { keep: bool },
}

impl Batch {
    pub(super) fn of(events: &[tables::Event]) -> Self {
        let mut fit = 0;
        let mut bytes = 0;
        for event in events {
            bytes += event.body.len() + 1;
            if fit > 0 && bytes > BODY_MAX {
                break;
            }
            fit += 1;
        }
        let events = &events[..fit];
        let body = format!("{{\"events\":{}}}", tables::list(events));
        Batch { names: events.iter().map(Name::from).collect(), body }
    }

    fn request(&self, webhook: &Webhook, now: Time) -> Vec<u8> {
        let signature = sign(webhook.secret.as_bytes(), now.nanos() / 1_000_000_000, self.body.as_bytes());
        let (path, host, length) = (&webhook.path, webhook.host(), self.body.len());
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tandem-rest/{}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nTandem-Signature: {signature}\r\n\r\n{}",
            env!("CARGO_PKG_VERSION"),
            self.body
        )
        .into_bytes()
    }
}

impl Posting {
    /// Reads on in the answer.
    fn read(&mut self, bytes: &[u8], out: &mut Out<'_, Conversation>) -> Result<Progress, &'static str> {
        let mut at = 0;
        while self.head.is_none() {
            let mut slots = Slots::new();
            let Some(head) = ResponseHead::read(&bytes[at..], &mut slots, HEAD_MAX)? else {
                out.consume(at);
                return Ok(Progress::More);
            };
            at += head.length;
            match head.status {
                101 => return Err("it changes the protocol"),
                100..200 => {}
                status => {
                    let body = Framing::of(head.body, ANSWER_MAX).map_err(|_| "the answer is too long")?;
                    let keep = head.connection.persists(head.minor) && body != Framing::ToEnd;
                    self.head = Some(Head { status, keep, body });
                }
            }
        }
        let Some(head) = &mut self.head else { return Ok(Progress::More) };
        // What a server says beside its status, nobody reads: it ends the answer where that has no other end.
        if head.body == Framing::ToEnd {
            out.consume(bytes.len());
            return Ok(Progress::Through { keep: false });
        }
        at += head.body.take(&bytes[at..], |_| {}).map_err(|_| "the answer's body cannot be read")?;
        out.consume(at);
        Ok(if head.body.is_through() { Progress::Through { keep: head.keep } } else { Progress::More })
    }
}

impl Resident {
    /// A connection, or none.
    pub(super) fn dialed(&mut self, rest: &Rest, account: &str, answer: Answer<'_>, out: &mut Out<'_, Conversation>) {
        let lane = self.lanes.get_mut(account);
        let (stream, reused) = match answer {
            Answer::Dialed { stream, reused, .. } => (stream, reused),
            other => {
                let Some(lane) = lane.filter(|lane| matches!(lane.stage, Stage::Dial { .. })) else { return };
                return lane.fail(rest, account, &format!("{other:?}"), out);
            }
        };
        let Some(lane) = lane else { return out.release(stream) };
        let (Stage::Dial { batch, .. }, Some(webhook)) = (&mut lane.stage, rest.config.webhook(account)) else {
            lane.rest(out.now());
            return out.release(stream);
        };
        let batch = std::mem::take(batch);
        out.send(stream, &batch.request(webhook, out.now()));
        let until = out.now() + rest.config.webhooks.timeout;
        lane.stage = Stage::Post(Box::new(Posting { stream, reused, batch, until, head: None }));
    }

    /// The answer comes in.
    pub(super) fn answer_comes(
        &mut self,
        rest: &Rest,
        stream: Stream,
        bytes: &[u8],
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) {
        let Some((account, lane)) = self.lanes.iter_mut().find(|(_, lane)| lane.posts_on(stream)) else {
            return out.consume(bytes.len());
        };
        let Stage::Post(posting) = &mut lane.stage else { return };
        match posting.read(bytes, out) {
            Ok(Progress::More) => {}
            Ok(Progress::Through { keep: true }) => {
                out.release(stream);
                lane.settle(rest, account, failed, out);
            }
            Ok(Progress::Through { keep: false }) => {
                out.close(stream);
                lane.settle(rest, account, failed, out);
            }
            Err(why) => lane.fail(rest, account, why, out),
        }
    }

    /// The server has closed its connection or finished.
    pub(super) fn server_gone(&mut self, rest: &Rest, stream: Stream, failed: bool, out: &mut Out<'_, Conversation>) {
        let Some((account, lane)) = self.lanes.iter_mut().find(|(_, lane)| lane.posts_on(stream)) else { return };
        let Stage::Post(posting) = &mut lane.stage else { return };
        match &posting.head {
            // Its end is the answer's.
            Some(head) if head.body == Framing::ToEnd => {
                out.close(stream);
                lane.settle(rest, account, failed, out);
            }
            // A kept connection that was dead already: the request has not been seen, as far as anybody can tell.
            None if posting.reused => {
                let batch = std::mem::take(&mut posting.batch);
                out.abort(stream);
                let Some(webhook) = rest.config.webhook(account) else { return lane.rest(out.now()) };
                let dial = Dial::to(&webhook.upstream).fresh();
                let dial = out.dial(dial, Then::Dialed { account: account.clone() });
                lane.stage = Stage::Dial { dial, batch, fresh: true };
            }
            _ => lane.fail(rest, account, "the connection ends before the answer does", out),
        }
    }
}

impl Lane {
    fn posts_on(&self, stream: Stream) -> bool {
        matches!(&self.stage, Stage::Post(posting) if posting.stream == stream)
    }

    /// The answer is there.
    fn settle(&mut self, rest: &Rest, account: &str, failed: bool, out: &mut Out<'_, Conversation>) {
        let Stage::Post(posting) = &mut self.stage else { return };
        let status = posting.head.as_ref().map_or(0, |head| head.status);
        let batch = std::mem::take(&mut posting.batch);
        if (200..300).contains(&status) {
            let duration = rest.config.webhooks.timeout.saturating_sub(posting.until.since(out.now()));
            let record = Record { account, duration, bytes_out: batch.body.len() as u64, ..Record::of(Outcome::Done) };
            let events = batch.names.len();
            out.record(record, &Told { event: "webhook", events, failures: self.failures, why: "" });
            self.told(account, &batch, failed, out);
        } else {
            self.rest(out.now());
            self.fail(rest, account, &format!("it answers {status}"), out);
        }
    }
}

/// The longest head of an answer, and the longest body.
const HEAD_MAX: usize = 16 << 10;
const ANSWER_MAX: u64 = 64 << 10;
/// The longest body of a request, if it has more than one event.
const BODY_MAX: usize = 256 << 10;
