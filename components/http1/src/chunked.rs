//! A chunked body as it is passed on: [`Chunked`].
//!
//! What comes in goes out as the same bytes where that is possible: sizes and data in one run. Taken out are chunk
//! extensions, which are for one hop, and those trailers that would have meant something in a head.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Header, Status};
use serde::{Deserialize, Serialize};

use crate::fields::{Mask, Name, known, offset};

/// Where a chunked body stands. Between two deliveries nothing is held of it but this: a line that is not whole stays
/// unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunked {
    at: At,
    /// How many bytes of data may still begin.
    budget: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum At {
    Size,
    Data { rest: u64 },
    DataEnd,
    Trailers,
    Through,
}

/// What of a chunked body is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Chunks and trailers.
    Chunks,
    /// The data alone: the receiver speaks HTTP/1.0.
    Data,
}

/// How far a body was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How many bytes were read.
    pub taken: usize,
    /// Whether the body is through.
    pub through: bool,
}

/// Why a chunked body cannot go on. Where it ends is then not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchunkable {
    /// It is not in chunks, or could be read in two ways.
    Malformed(&'static str),
    /// It has more data than it may.
    TooLarge,
}

/// The longest line of a chunk's size and extensions.
const LINE_MAX: usize = 512;

/// The most trailers, and the most bytes of them.
const TRAILERS_MAX: usize = 32;
const TRAILER_BYTES_MAX: usize = 8 << 10;

impl Chunked {
    /// The beginning of a body of at most so many bytes of data.
    pub fn new(budget: u64) -> Self {
        Chunked { at: At::Size, budget }
    }

    /// Reads what came in as far as it can, and gives `emit` what to pass on, in a few runs.
    ///
    /// # Errors
    /// What was emitted until then may have been sent; the body will never be through.
    pub fn pass(&mut self, bytes: &[u8], keep: Keep, mut emit: impl FnMut(&[u8])) -> Result<Passed, Unchunkable> {
        let mut at = 0;
        // What was read and is to be emitted as it is.
        let mut run = 0..0;
        loop {
            let rest = &bytes[at..];
            let (taken, verbatim) = match self.at {
                At::Size => {
                    let Some(line) = SizeLine::read(rest)? else { break };
                    self.budget = self.budget.checked_sub(line.size).ok_or(Unchunkable::TooLarge)?;
                    self.at = if line.size == 0 { At::Trailers } else { At::Data { rest: line.size } };
                    if keep == Keep::Chunks && line.extended {
                        flush(&mut run, bytes, &mut emit);
                        emit(&rest[..line.digits]);
                        emit(b"\r\n");
                    }
                    (line.length, keep == Keep::Chunks && !line.extended)
                }
                At::Data { rest: 0 } => {
                    self.at = At::DataEnd;
                    (0, false)
                }
                At::Data { rest: left } => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    if n == 0 {
                        break;
                    }
                    self.at = At::Data { rest: left - n as u64 };
                    (n, true)
                }
                At::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.at = At::Size;
                        (2, keep == Keep::Chunks)
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Unchunkable::Malformed("a chunk does not end with CRLF")),
                },
                At::Trailers => {
                    let mut list = [EMPTY_HEADER; TRAILERS_MAX];
                    let Some(trailers) = Trailers::read(rest, &mut list)? else { break };
                    self.at = At::Through;
                    let whole = keep == Keep::Chunks && trailers.removed.is_empty();
                    if keep == Keep::Chunks && !whole {
                        flush(&mut run, bytes, &mut emit);
                        trailers.emit(&mut emit);
                    }
                    (trailers.length, whole)
                }
                At::Through => break,
            };
            if verbatim {
                if run.end != at {
                    flush(&mut run, bytes, &mut emit);
                    run = at..at;
                }
                run.end = at + taken;
            }
            at += taken;
        }
        flush(&mut run, bytes, &mut emit);
        Ok(Passed { taken: at, through: self.at == At::Through })
    }

    /// How much data of the present chunk is still to come.
    pub fn data_left(&self) -> u64 {
        match self.at {
            At::Data { rest } => rest,
            _ => 0,
        }
    }

    /// So much data of the present chunk was moved by other means.
    pub fn skip(&mut self, moved: u64) {
        if let At::Data { rest } = &mut self.at {
            *rest = rest.saturating_sub(moved);
        }
    }
}

fn flush(run: &mut Range<usize>, bytes: &[u8], emit: &mut impl FnMut(&[u8])) {
    if run.start < run.end {
        emit(&bytes[run.clone()]);
    }
    *run = 0..0;
}

/// The line before a chunk's data.
struct SizeLine {
    size: u64,
    /// How many digits the size has.
    digits: usize,
    /// Whether there is more than the size.
    extended: bool,
    length: usize,
}

impl SizeLine {
    fn read(bytes: &[u8]) -> Result<Option<Self>, Unchunkable> {
        const MALFORMED: Unchunkable = Unchunkable::Malformed("a chunk's size");
        // httparse takes no digits for a zero.
        if bytes.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err(MALFORMED);
        }
        let (length, size) = match httparse::parse_chunk_size(bytes) {
            Ok(Status::Complete(read)) => read,
            Ok(Status::Partial) if bytes.len() <= LINE_MAX => return Ok(None),
            Ok(Status::Partial) => return Err(Unchunkable::Malformed("a chunk's extensions are too long")),
            Err(_) => return Err(MALFORMED),
        };
        let line = &bytes[..length - 2];
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let extensions = &line[digits..];
        // httparse takes any bytes in extensions, and spaces without one.
        let printable = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if !extensions.is_empty() && (!extensions.contains(&b';') || !extensions.iter().all(printable)) {
            return Err(MALFORMED);
        }
        if length > LINE_MAX {
            return Err(Unchunkable::Malformed("a chunk's extensions are too long"));
        }
        Ok(Some(SizeLine { size, digits, extended: !extensions.is_empty(), length }))
    }
}

/// The fields after the last chunk, and the empty line.
struct Trailers<'h, 'b> {
    bytes: &'b [u8],
    list: &'h [Header<'b>],
    removed: Mask,
    length: usize,
}

impl<'h, 'b> Trailers<'h, 'b> {
    fn read(bytes: &'b [u8], list: &'h mut [Header<'b>]) -> Result<Option<Self>, Unchunkable> {
        const MALFORMED: Unchunkable = Unchunkable::Malformed("a trailer");
        let (length, list) = match httparse::parse_headers(bytes, list) {
            Ok(Status::Complete(read)) => read,
            Ok(Status::Partial) if bytes.len() < TRAILER_BYTES_MAX => return Ok(None),
            Ok(Status::Partial) => return Err(Unchunkable::TooLarge),
            Err(httparse::Error::TooManyHeaders) => return Err(Unchunkable::TooLarge),
            Err(_) => return Err(MALFORMED),
        };
        if length > TRAILER_BYTES_MAX {
            return Err(Unchunkable::TooLarge);
        }
        let end: &[u8] = if list.is_empty() { b"\r\n" } else { b"\r\n\r\n" };
        if !bytes[..length].ends_with(end) {
            return Err(MALFORMED);
        }
        let mut trailers = Trailers { bytes, list, removed: Mask::NONE, length };
        for (at, field) in list.iter().enumerate() {
            if at > 0 && bytes[trailers.line(at) - 2] != b'\r' {
                return Err(MALFORMED);
            }
            if belongs_in_a_head(field.name) {
                trailers.removed.add(at);
            }
        }
        Ok(Some(trailers))
    }

    fn line(&self, at: usize) -> usize {
        self.list.get(at).map_or(self.length - 2, |field| offset(self.bytes, field.name.as_bytes()))
    }

    fn emit(&self, emit: &mut impl FnMut(&[u8])) {
        for (at, field) in self.list.iter().enumerate() {
            if !belongs_in_a_head(field.name) {
                emit(&self.bytes[self.line(at)..self.line(at + 1)]);
            }
        }
        emit(b"\r\n");
    }
}

/// Whether a field means something before the body only (RFC 9110, 6.5.1): framing, routing, modifiers, authentication,
/// and how the content is to be processed.
fn belongs_in_a_head(name: &str) -> bool {
    const NAMES: [&str; 29] = [
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "cookie",
        "expires",
        "forwarded",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "max-forwards",
        "pragma",
        "range",
        "retry-after",
        "set-cookie",
        "trailer",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "x-http-method-override",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    known(name) != Name::Other || NAMES.iter().any(|one| one.eq_ignore_ascii_case(name))
}
