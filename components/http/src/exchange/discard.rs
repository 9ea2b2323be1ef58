//! Answers without a server, and throws away the body that nobody wants.

use tandem_component::prelude::*;
use tandem_http1::{Body, Chunked, Keep, RequestHead, Unchunkable};

use crate::Http;
use crate::fixed::Fixed;
use crate::session::{Conversation, Stage};

/// What is left of a request's body that nobody wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Discarded {
    /// So many bytes.
    Length {
        /// How many.
        left: u64,
    },
    /// Chunks.
    Chunks {
        /// Where they stand.
        chunks: Chunked,
    },
}

/// How much of an unwanted body is read to keep the connection.
const DISCARD_MAX: u64 = 64 << 10;

/// What becomes of an unwanted body.
enum Unwanted {
    /// So much was there, and is all of it.
    Whole(usize),
    /// So much was there, and this is to come.
    Part(usize, Discarded),
    /// The connection is not worth it.
    TooMuch,
}

impl Default for Discarded {
    fn default() -> Self {
        Discarded::Length { left: 0 }
    }
}

impl Conversation {
    /// Answers without a server. The request's body is thrown away where that is cheaper than the connection.
    pub(crate) fn answer_here(
        &mut self,
        http: &Http,
        head: &RequestHead<'_, '_>,
        answer: &Fixed,
        allow: &str,
        bytes: &[u8],
        out: &mut Out<'_, Self>,
    ) {
        let unwanted = match unwanted(head, &bytes[head.length..]) {
            Ok(unwanted) if self.exchange.keep && self.until.is_none() => unwanted,
            Ok(_) => Unwanted::TooMuch,
            Err(reason) => return self.refuse_and_close(http, reason.into(), out),
        };
        let keeps = !matches!(unwanted, Unwanted::TooMuch);
        self.say(http, answer, allow, keeps, out);
        match unwanted {
            Unwanted::Whole(body) => {
                self.exchange.bytes_in += body as u64;
                self.consume(head.length + body, out);
                self.end_exchange(http, true, out);
            }
            Unwanted::Part(body, rest) => {
                self.exchange.bytes_in += body as u64;
                self.consume(head.length + body, out);
                self.stage = Stage::Discard { rest };
                self.alarm.set(out.now() + http.timeouts.body);
            }
            Unwanted::TooMuch => self.end_exchange(http, false, out),
        }
    }

    /// Throws away what came in of a body that nobody wants.
    #[cold]
    pub(crate) fn discard(&mut self, http: &Http, mut rest: Discarded, bytes: &[u8], out: &mut Out<'_, Self>) {
        let (taken, through) = match &mut rest {
            Discarded::Length { left } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Discarded::Chunks { chunks } => match chunks.pass(bytes, Keep::Data, |_| {}) {
                Ok(passed) => (passed.taken, passed.through),
                // The answer is out; what is left is to end.
                Err(_) => return self.end_exchange(http, false, out),
            },
        };
        self.exchange.bytes_in += taken as u64;
        self.consume(taken, out);
        if through {
            return self.end_exchange(http, self.keeps(), out);
        }
        if self.half_closed {
            return self.end_exchange(http, false, out);
        }
        self.stage = Stage::Discard { rest };
        self.alarm.set(out.now() + http.timeouts.body);
    }
}

/// What becomes of a body that nobody wants, by what of it is there.
fn unwanted(head: &RequestHead<'_, '_>, rest: &[u8]) -> Result<Unwanted, Unchunkable> {
    match head.body {
        Body::Empty | Body::ToEnd => Ok(Unwanted::Whole(0)),
        Body::Length(length) if length <= rest.len() as u64 => {
            Ok(Unwanted::Whole(usize::try_from(length).unwrap_or(usize::MAX)))
        }
        // Who waits for a `100 Continue` may send the body or the next request: nobody can tell.
        _ if head.expects_continue => Ok(Unwanted::TooMuch),
        Body::Length(length) if length > DISCARD_MAX => Ok(Unwanted::TooMuch),
        Body::Length(length) => Ok(Unwanted::Part(rest.len(), Discarded::Length { left: length - rest.len() as u64 })),
        Body::Chunked => {
            let mut chunks = Chunked::new(DISCARD_MAX);
            match chunks.pass(rest, Keep::Data, |_| {}) {
                Ok(passed) if passed.through => Ok(Unwanted::Whole(passed.taken)),
                Ok(passed) => Ok(Unwanted::Part(passed.taken, Discarded::Chunks { chunks })),
                Err(Unchunkable::TooLarge) => Ok(Unwanted::TooMuch),
                Err(malformed) => Err(malformed),
            }
        }
    }
}
