//! A body on its way from one stream to another: [`Passage`].
//!
//! Data of a known length is moved by the host, without this component seeing it. Chunks are read here, since their
//! framing has to be right before it is passed on; the data of a large chunk is again moved by the host.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_http1::{Chunked, Keep, Unchunkable};

use crate::session::{Conversation, Then};

/// A body on its way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) enum Passage {
    /// There is none, or it is through.
    #[default]
    Through,
    /// So many bytes.
    Counted {
        /// How many.
        length: u64,
        /// The host moves them.
        forward: Option<Token>,
    },
    /// Chunks.
    Chunked {
        /// Where they stand.
        chunks: Chunked,
        /// Whether the receiver, of HTTP/1.0, gets the data alone.
        bare: bool,
        /// The host moves data of the present chunk.
        forward: Option<Token>,
    },
    /// All until the sender closes.
    ToEnd {
        /// The host moves it.
        forward: Option<Token>,
    },
    /// It will never be through: one side has given up.
    Abandoned,
}

/// From where, to where, and how long it may stall.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// Where it comes from.
    pub(crate) from: Stream,
    /// Where it goes to.
    pub(crate) to: Stream,
    /// How long it may stall.
    pub(crate) idle: Duration,
    /// What the end of a forward continues.
    pub(crate) then: fn() -> Then,
}

/// How much of a chunk has to be missing before the host is asked to move it.
const FORWARD_MIN: u64 = 32 << 10;

impl Passage {
    /// Whether there is nothing left to pass.
    #[inline]
    pub(crate) fn is_through(&self) -> bool {
        matches!(self, Passage::Through)
    }

    /// Whether the host is moving data at present.
    pub(crate) fn is_forwarding(&self) -> bool {
        match self {
            Passage::Counted { forward, .. } | Passage::Chunked { forward, .. } | Passage::ToEnd { forward } => {
                forward.is_some()
            }
            Passage::Through | Passage::Abandoned => false,
        }
    }

    /// Lets the host begin, where it knows how much there is.
    pub(crate) fn begin(&mut self, way: Way, out: &mut Out<'_, Conversation>) {
        match self {
            Passage::Counted { length, forward } => {
                let bytes = Forward::bytes(way.from, way.to, *length).idle(way.idle);
                *forward = Some(out.forward(bytes, (way.then)()));
            }
            Passage::ToEnd { forward } => {
                let all = Forward::to_end(way.from, way.to).idle(way.idle);
                *forward = Some(out.forward(all, (way.then)()));
            }
            Passage::Through | Passage::Chunked { .. } | Passage::Abandoned => {}
        }
    }

    /// Passes on what came in, and says how much of it was read. `emit` takes what is to be sent.
    ///
    /// # Errors
    /// The chunks are not right; the body will never be through.
    pub(crate) fn pass(&mut self, bytes: &[u8], emit: impl FnMut(&[u8])) -> Result<usize, Unchunkable> {
        let Passage::Chunked { chunks, bare, forward: None } = self else { return Ok(0) };
        let keep = if *bare { Keep::Data } else { Keep::Chunks };
        let passed = chunks.pass(bytes, keep, emit)?;
        if passed.through {
            *self = Passage::Through;
        }
        Ok(passed.taken)
    }

    /// Lets the host move the rest of a large chunk. After what came in was passed on and consumed.
    pub(crate) fn forward_rest(&mut self, way: Way, out: &mut Out<'_, Conversation>) {
        let Passage::Chunked { chunks, forward: forward @ None, .. } = self else { return };
        if chunks.data_left() >= FORWARD_MIN {
            let data = Forward::bytes(way.from, way.to, chunks.data_left()).idle(way.idle);
            *forward = Some(out.forward(data, (way.then)()));
        }
    }

    /// The host has moved what it was asked to.
    pub(crate) fn forwarded(&mut self, bytes: u64) {
        match self {
            Passage::Chunked { chunks, forward, .. } => {
                chunks.skip(bytes);
                *forward = None;
            }
            Passage::Counted { .. } | Passage::ToEnd { .. } => *self = Passage::Through,
            Passage::Through | Passage::Abandoned => {}
        }
    }

    /// Goes on after a stall, in which the host had moved so many bytes.
    pub(crate) fn go_on(&mut self, moved: u64, way: Way, out: &mut Out<'_, Conversation>) {
        match self {
            Passage::Counted { length, .. } => *length -= moved,
            Passage::Chunked { chunks, forward, .. } => {
                chunks.skip(moved);
                let data = Forward::bytes(way.from, way.to, chunks.data_left()).idle(way.idle);
                *forward = Some(out.forward(data, (way.then)()));
            }
            Passage::ToEnd { .. } | Passage::Through | Passage::Abandoned => {}
        }
        self.begin(way, out);
    }

    /// Gives up what is not through.
    pub(crate) fn abandon(&mut self, out: &mut Out<'_, Conversation>) {
        if let Passage::Counted { forward: Some(token), .. }
        | Passage::Chunked { forward: Some(token), .. }
        | Passage::ToEnd { forward: Some(token) } = self
        {
            out.cancel(*token);
        }
        if !self.is_through() {
            *self = Passage::Abandoned;
        }
    }
}
