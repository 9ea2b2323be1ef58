//! What is still to come of a body, and takes it: [`Framing`].

use tandem_component::prelude::*;
use tandem_http1::{Body, Chunked, Keep, Unchunkable};

/// What is still to come of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Framing {
    /// Nothing.
    #[default]
    Through,
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
    /// All until the stream ends.
    ToEnd,
}

impl Framing {
    /// A body of which so much may come.
    ///
    /// # Errors
    /// It says itself that it is longer.
    pub(crate) fn of(body: Body, max: u64) -> Result<Self, Unchunkable> {
        match body {
            Body::Empty => Ok(Framing::Through),
            Body::Length(length) if length > max => Err(Unchunkable::TooLarge),
            Body::Length(left) => Ok(Framing::Length { left }),
            Body::Chunked => Ok(Framing::Chunks { chunks: Chunked::new(max) }),
            Body::ToEnd => Ok(Framing::ToEnd),
        }
    }

    pub(crate) fn is_through(&self) -> bool {
        *self == Framing::Through
    }

    /// Takes what is there of it, and says how many bytes that were.
    ///
    /// # Errors
    /// It cannot go on, and where it ends nobody knows.
    pub(crate) fn take(&mut self, bytes: &[u8], mut emit: impl FnMut(&[u8])) -> Result<usize, Unchunkable> {
        match self {
            Framing::Through => Ok(0),
            Framing::ToEnd => {
                emit(bytes);
                Ok(bytes.len())
            }
            Framing::Length { left } => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                emit(&bytes[..n]);
                *left -= n as u64;
                if *left == 0 {
                    *self = Framing::Through;
                }
                Ok(n)
            }
            Framing::Chunks { chunks } => {
                let passed = chunks.pass(bytes, Keep::Data, emit)?;
                if passed.through {
                    *self = Framing::Through;
                }
                Ok(passed.taken)
            }
        }
    }
}
