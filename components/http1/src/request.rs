//! The head of a request: [`RequestHead`].

use httparse::{Error, Status};

use crate::fields::{Connection, Fields, Mask, Name, Slots, known, offset, tokens};
use crate::framing::{Body, Framing, Said};
use crate::target::{Target, authority_host};

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The whole head.
    pub head: usize,
    /// The request target.
    pub target: usize,
    /// The number of fields, at most [`FIELDS_MAX`](crate::FIELDS_MAX).
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { head: 32 << 10, target: 8 << 10, fields: 100 }
    }
}

/// Why a request's head cannot be used. Where one body ends and the next request begins is then not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not HTTP, or could be read in two ways.
    Malformed(&'static str),
    /// A version that is neither 1.0 nor 1.1.
    Version,
    /// The target is over its limit.
    TargetTooLong,
    /// The head is over its limit, or has too many fields.
    TooLarge,
    /// A body in a coding other than `chunked`.
    Coding,
    /// HTTP/1.0, a method that has a body, and no length.
    LengthRequired,
}

/// The head of a request, borrowed from the bytes that it was read from.
pub struct RequestHead<'h, 'b> {
    /// The method, in the case in which it came.
    pub method: &'b str,
    /// The request target, as it came.
    pub target: &'b str,
    /// 0 or 1: of HTTP/1.0 or 1.1.
    pub minor: u8,
    /// How many bytes the head takes, with the empty lines before it.
    pub length: usize,
    /// The body that follows.
    pub body: Body,
    /// `Host` as it came: checked, and there in HTTP/1.1.
    pub host: Option<&'b [u8]>,
    /// The options of `Connection`.
    pub connection: Connection,
    /// `Expect: 100-continue`, which HTTP/1.0 does not have.
    pub expects_continue: bool,
    /// The fields that are for this hop alone, `Upgrade` among them.
    pub hop: Mask,
    /// `Upgrade`, where it was asked for by `Connection` as well, in HTTP/1.1, is not for h2c, and no body follows: a
    /// server may switch before it has read one, and nobody could tell then whose bytes those are.
    pub upgrade: Mask,
    /// `Host`.
    pub host_field: Mask,
    /// `X-Forwarded-For`.
    pub forwarded_for: Mask,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host`.
    pub forwarded: Mask,
    /// All fields.
    pub fields: Fields<'h, 'b>,
}

impl<'h, 'b> RequestHead<'h, 'b> {
    /// Reads a head from the front of what came in. `None`: there is more to come.
    ///
    /// # Errors
    /// The head cannot be used, nor can what follows it.
    #[inline]
    pub fn read(bytes: &'b [u8], slots: &'h mut Slots<'b>, limits: &Limits) -> Result<Option<Self>, Unreadable> {
        let skipped = match bytes.first() {
            Some(b'\r' | b'\n') => blank_lines(bytes)?,
            _ => 0,
        };
        let bytes = &bytes[skipped..];
        let mut parsed = httparse::Request::new(&mut []);
        let length = match parsed.parse_with_uninit_headers(bytes, &mut slots.0[..limits.fields]) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return incomplete(bytes, limits),
            Err(error) => return Err(unreadable(error, bytes)),
        };
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Unreadable::Malformed("the request line"));
        };
        if target.len() > limits.target || method.len() + target.len() + LINE_REST > limits.target + LINE_ROOM {
            return Err(Unreadable::TargetTooLong);
        }
        if length > limits.head {
            return Err(Unreadable::TooLarge);
        }
        let fields = Fields::new(bytes, parsed.headers, length).ok_or(BARE_LF)?;
        let mut head = RequestHead {
            method,
            target,
            minor,
            length: skipped + length,
            body: Body::Empty,
            host: None,
            connection: Connection::default(),
            expects_continue: false,
            hop: Mask::NONE,
            upgrade: Mask::NONE,
            host_field: Mask::NONE,
            forwarded_for: Mask::NONE,
            forwarded: Mask::NONE,
            fields,
        };
        head.examine()?;
        Ok(Some(head))
    }

    /// Reads what the fields say of framing, host and hop.
    #[inline]
    fn examine(&mut self) -> Result<(), Unreadable> {
        let mut framing = Framing::default();
        let mut upgrade_elsewhere = false;
        for (at, field) in self.fields.list().iter().enumerate() {
            if !self.fields.follows_crlf(field) {
                return Err(BARE_LF);
            }
            match known(field.name) {
                Name::Other | Name::Date | Name::ProxyAuthenticate => {}
                Name::Host => {
                    if self.host.is_some() {
                        return Err(Unreadable::Malformed("more than one Host"));
                    }
                    authority_host(field.value).ok_or(Unreadable::Malformed("the Host is not one"))?;
                    self.host = Some(field.value);
                    self.host_field.add(at);
                }
                Name::ContentLength => framing.length(field.value),
                Name::TransferEncoding => {
                    framing.coding(field.value);
                    self.hop.add(at);
                }
                Name::Connection => {
                    self.connection.read(field.value);
                    self.hop.add(at);
                }
                Name::Upgrade => {
                    upgrade_elsewhere |= tokens(field.value).any(|token| token.eq_ignore_ascii_case(b"h2c"));
                    self.upgrade.add(at);
                    self.hop.add(at);
                }
                Name::Expect => {
                    if field.value.eq_ignore_ascii_case(b"100-continue") {
                        self.expects_continue = self.minor == 1;
                        if self.minor == 0 {
                            self.hop.add(at);
                        }
                    }
                }
                Name::XForwardedFor => self.forwarded_for.add(at),
                Name::XForwardedHost | Name::XForwardedProto => self.forwarded.add(at),
                Name::KeepAlive | Name::ProxyConnection | Name::ProxyAuthorization | Name::Te | Name::Http2Settings => {
                    self.hop.add(at)
                }
            }
        }
        if !self.connection.upgrade || self.minor == 0 || upgrade_elsewhere {
            self.upgrade = Mask::NONE;
        }
        if self.connection.nominates {
            self.hop |= self.fields.nominated();
        }
        if self.host.is_none() && self.minor == 1 {
            return Err(Unreadable::Malformed("no Host"));
        }
        self.body = match framing.said(self.minor) {
            Said::Nothing if self.minor == 0 && matches!(self.method, "POST" | "PUT" | "PATCH") => {
                return Err(Unreadable::LengthRequired);
            }
            Said::Nothing | Said::Length(0) => Body::Empty,
            Said::Length(length) => Body::Length(length),
            Said::Chunked => Body::Chunked,
            Said::Coded => return Err(Unreadable::Coding),
            Said::Wrong(reason) => return Err(Unreadable::Malformed(reason)),
        };
        if self.body != Body::Empty {
            self.upgrade = Mask::NONE;
        }
        Ok(())
    }

    /// The target, taken apart.
    ///
    /// # Errors
    /// It is none of the four forms, or not the one for this method.
    #[inline]
    pub fn target(&self) -> Result<Target<'b>, Unreadable> {
        Target::read(self.method, self.target).ok_or(Unreadable::Malformed("the request target"))
    }

    /// Writes the request line and the fields but for those of `removed`, with the target in its origin form. The empty
    /// line is left for the caller, who has fields of its own to add.
    #[inline]
    pub fn copy(&self, target: &Target<'_>, removed: Mask, to: &mut Vec<u8>) {
        if self.minor == 1 && target.authority.is_none() {
            return self.fields.copy(0, removed, to);
        }
        to.extend_from_slice(self.method.as_bytes());
        to.push(b' ');
        target.write(to);
        to.extend_from_slice(b" HTTP/1.1\r\n");
        self.fields.copy(self.fields.start(), removed, to);
    }
}

const BARE_LF: Unreadable = Unreadable::Malformed("a line does not end with CRLF");

/// What of a request line is neither method nor target: two spaces, the version, CRLF.
const LINE_REST: usize = " ".len() + " HTTP/1.1".len() + "\r\n".len();

/// How much may stand beside the target in its line. A line that is longer is refused whether or not its end is there, so
/// that a request is the same in one piece and in many.
const LINE_ROOM: usize = 64;

/// How many empty lines are tolerated before a request line.
const BLANK_LINES_MAX: usize = 4;

/// How many bytes of empty lines come first.
///
/// # Errors
/// There are too many of them, or they are not empty lines.
#[cold]
pub fn blank_lines(bytes: &[u8]) -> Result<usize, Unreadable> {
    let mut at = 0;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) if at < 2 * BLANK_LINES_MAX => at += 2,
            (Some(b'\r'), None) => return Ok(at),
            (Some(b'\r' | b'\n'), _) => return Err(Unreadable::Malformed("empty lines before the request line")),
            _ => return Ok(at),
        }
    }
}

#[cold]
fn incomplete<T>(bytes: &[u8], limits: &Limits) -> Result<Option<T>, Unreadable> {
    let line_max = limits.target + LINE_ROOM;
    if bytes.len() > line_max && memchr::memchr(b'\n', &bytes[..line_max]).is_none() {
        Err(Unreadable::TargetTooLong)
    } else if bytes.len() >= limits.head {
        Err(Unreadable::TooLarge)
    } else {
        Ok(None)
    }
}

#[cold]
fn unreadable(error: Error, bytes: &[u8]) -> Unreadable {
    match error {
        Error::TooManyHeaders => Unreadable::TooLarge,
        Error::Version if is_other_version(bytes) => Unreadable::Version,
        Error::Version => Unreadable::Malformed("the version"),
        Error::HeaderName => Unreadable::Malformed("a field's name"),
        Error::HeaderValue => Unreadable::Malformed("a field's value"),
        Error::NewLine => Unreadable::Malformed("a line's end"),
        Error::Token | Error::Status => Unreadable::Malformed("the request line"),
    }
}

/// Whether the request line ends with a version of HTTP that is not ours, rather than with something else.
fn is_other_version(bytes: &[u8]) -> bool {
    let Some(version) = memchr::memchr_iter(b' ', bytes).nth(1).map(|at| &bytes[at + 1..]) else { return false };
    match version.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', minor, ..]) => minor.is_ascii_digit(),
        Some([b'1', ..]) => false,
        Some([major, ..]) => major.is_ascii_digit(),
        _ => false,
    }
}

impl RequestHead<'_, '_> {
    /// Where the target begins in the bytes that were read, less the empty lines before the head.
    #[doc(hidden)]
    pub fn target_at(&self) -> usize {
        offset(self.fields.start_line(), self.target.as_bytes())
    }
}
