//! The head of an answer: [`ResponseHead`].

use httparse::Status;

use crate::fields::{Connection, Fields, Mask, Name, Slots, known};
use crate::framing::{Body, Framing, Said};

/// The head of an answer, borrowed from the bytes that it was read from.
pub struct ResponseHead<'h, 'b> {
    /// 0 or 1: of HTTP/1.0 or 1.1.
    pub minor: u8,
    /// The status, from 100 to 999.
    pub status: u16,
    /// How many bytes the head takes.
    pub length: usize,
    /// The body that follows, by status and fields. Whether the request was a HEAD is for the caller to know.
    pub body: Body,
    /// The options of `Connection`.
    pub connection: Connection,
    /// Whether it has a `Date`.
    pub has_date: bool,
    /// The fields that are for this hop alone, `Upgrade` and `Transfer-Encoding` among them.
    pub hop: Mask,
    /// `Upgrade`.
    pub upgrade: Mask,
    /// `Transfer-Encoding`.
    pub coding: Mask,
    /// `Content-Length`.
    pub content_length: Mask,
    /// All fields.
    pub fields: Fields<'h, 'b>,
}

impl<'h, 'b> ResponseHead<'h, 'b> {
    /// Reads a head from the front of what came in. `None`: there is more to come.
    ///
    /// # Errors
    /// The head cannot be used; the reason is for the operator.
    #[inline]
    pub fn read(bytes: &'b [u8], slots: &'h mut Slots<'b>, limit: usize) -> Result<Option<Self>, &'static str> {
        if bytes.first().is_some_and(|byte| *byte != b'H') {
            return Err("not HTTP");
        }
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots.0) {
            Ok(Status::Complete(length)) if length <= limit => length,
            Ok(Status::Partial) if bytes.len() < limit => return Ok(None),
            Ok(_) => return Err("the head is too large"),
            Err(_) => return Err("a malformed head"),
        };
        let (Some(status @ 100..), Some(minor)) = (parsed.code, parsed.version) else { return Err("the status line") };
        let fields = Fields::new(bytes, parsed.headers, length).ok_or("a line does not end with CRLF")?;
        let mut head = ResponseHead {
            minor,
            status,
            length,
            body: Body::Empty,
            connection: Connection::default(),
            has_date: false,
            hop: Mask::NONE,
            upgrade: Mask::NONE,
            coding: Mask::NONE,
            content_length: Mask::NONE,
            fields,
        };
        head.examine()?;
        Ok(Some(head))
    }

    #[inline]
    fn examine(&mut self) -> Result<(), &'static str> {
        let mut framing = Framing::default();
        for (at, field) in self.fields.list().iter().enumerate() {
            if !self.fields.follows_crlf(field) {
                return Err("a line does not end with CRLF");
            }
            match known(field.name) {
                Name::Other
                | Name::Host
                | Name::Expect
                | Name::Http2Settings
                | Name::XForwardedFor
                | Name::XForwardedHost
                | Name::XForwardedProto => {}
                Name::Date => self.has_date = true,
                Name::ContentLength => {
                    framing.length(field.value);
                    self.content_length.add(at);
                }
                Name::TransferEncoding => {
                    framing.coding(field.value);
                    self.coding.add(at);
                    self.hop.add(at);
                }
                Name::Connection => {
                    self.connection.read(field.value);
                    self.hop.add(at);
                }
                Name::Upgrade => {
                    self.upgrade.add(at);
                    self.hop.add(at);
                }
                Name::KeepAlive
                | Name::ProxyConnection
                | Name::ProxyAuthenticate
                | Name::ProxyAuthorization
                | Name::Te => self.hop.add(at),
            }
        }
        if self.connection.nominates {
            self.hop |= self.fields.nominated();
        }
        let said = framing.said(self.minor);
        self.body = match (self.status, said) {
            (_, Said::Wrong(reason)) => return Err(reason),
            (_, Said::Coded) => return Err("a transfer coding other than chunked"),
            (100..200 | 204 | 304, _) | (_, Said::Length(0)) => Body::Empty,
            (_, Said::Length(length)) => Body::Length(length),
            (_, Said::Chunked) => Body::Chunked,
            (_, Said::Nothing) => Body::ToEnd,
        };
        Ok(())
    }

    /// Writes the status line, as HTTP/1.1, and the fields but for those of `removed`. The empty line is left for the
    /// caller.
    #[inline]
    pub fn copy(&self, removed: Mask, to: &mut Vec<u8>) {
        if self.minor == 1 {
            return self.fields.copy(0, removed, to);
        }
        to.extend_from_slice(b"HTTP/1.1");
        self.fields.copy(b"HTTP/1.0".len(), removed, to);
    }
}
