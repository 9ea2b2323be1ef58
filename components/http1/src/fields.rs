//! The fields of a head: which of them a hop cares about, and how a head is written on without some of them.
//!
//! A head that is passed on is not built field by field: its lines are copied in as few runs as possible, from the bytes
//! that came in. That is sound because reading has made sure that each line ends with CRLF.

use std::mem::MaybeUninit;
use std::ops::{BitOr, BitOrAssign};

use httparse::Header;

use crate::FIELDS_MAX;

/// Room for the fields of one head. It lies on the caller's stack and is not initialised, which makes it free.
pub struct Slots<'b>(pub(crate) [MaybeUninit<Header<'b>>; FIELDS_MAX]);

impl Slots<'_> {
    /// Room for [`FIELDS_MAX`] fields.
    #[inline]
    pub fn new() -> Self {
        Slots([const { MaybeUninit::uninit() }; FIELDS_MAX])
    }
}

impl Default for Slots<'_> {
    fn default() -> Self {
        Slots::new()
    }
}

/// Some of the fields of one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask(u128);

impl Mask {
    /// None of them.
    pub const NONE: Mask = Mask(0);

    #[inline]
    pub(crate) fn add(&mut self, at: usize) {
        self.0 |= 1 << at;
    }

    /// Whether it has none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are not in the other.
    #[inline]
    #[must_use]
    pub fn without(self, other: Mask) -> Mask {
        Mask(self.0 & !other.0)
    }

    /// Takes the first out.
    #[inline]
    fn pop(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let at = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(at)
    }
}

impl BitOr for Mask {
    type Output = Mask;
    fn bitor(self, other: Mask) -> Mask {
        Mask(self.0 | other.0)
    }
}

impl BitOrAssign for Mask {
    fn bitor_assign(&mut self, other: Mask) {
        self.0 |= other.0;
    }
}

/// The options of `Connection` that mean something to a hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `close`.
    pub close: bool,
    /// `keep-alive`.
    pub keep_alive: bool,
    /// `upgrade`.
    pub upgrade: bool,
    /// The name of some other field.
    pub(crate) nominates: bool,
}

impl Connection {
    #[inline]
    pub(crate) fn read(&mut self, value: &[u8]) {
        if !self.option(value) {
            self.read_list(value);
        }
    }

    /// One option; `false` where it is none of ours.
    #[inline]
    fn option(&mut self, option: &[u8]) -> bool {
        match option.len() {
            5 if is(option, b"close") => self.close = true,
            7 if is(option, b"upgrade") => self.upgrade = true,
            10 if is(option, b"keep-alive") => self.keep_alive = true,
            _ => return false,
        }
        true
    }

    #[cold]
    fn read_list(&mut self, value: &[u8]) {
        for option in tokens(value) {
            if !self.option(option) {
                self.nominates = true;
            }
        }
    }

    /// Whether the connection outlives the message, by HTTP/1.`minor`.
    #[inline]
    pub fn persists(self, minor: u8) -> bool {
        !self.close && (minor == 1 || self.keep_alive)
    }
}

/// The fields of one head, as they stand in its bytes.
pub struct Fields<'h, 'b> {
    bytes: &'b [u8],
    list: &'h [Header<'b>],
    /// Where the last line ends.
    end: usize,
}

impl<'h, 'b> Fields<'h, 'b> {
    /// The fields of a head whose empty line ends at `length`. `None` where a line does not end with CRLF.
    #[inline]
    pub(crate) fn new(bytes: &'b [u8], list: &'h [Header<'b>], length: usize) -> Option<Self> {
        let end = length - 2;
        if bytes.get(end) != Some(&b'\r') || bytes.get(end.wrapping_sub(2)) != Some(&b'\r') {
            return None;
        }
        Some(Fields { bytes, list, end })
    }

    /// Where the line of a field starts; for the one after the last, where the lines end.
    #[inline]
    pub(crate) fn line(&self, at: usize) -> usize {
        self.list.get(at).map_or(self.end, |field| offset(self.bytes, field.name.as_bytes()))
    }

    /// Whether the line before this field's ends with CRLF. With [`Fields::new`] this covers each line.
    #[inline]
    pub(crate) fn follows_crlf(&self, field: &Header<'b>) -> bool {
        self.bytes.get(offset(self.bytes, field.name.as_bytes()).wrapping_sub(2)) == Some(&b'\r')
    }

    #[inline]
    pub(crate) fn list(&self) -> &'h [Header<'b>] {
        self.list
    }

    /// What stands before the first field: the start line, with its CRLF.
    pub fn start_line(&self) -> &'b [u8] {
        &self.bytes[..self.line(0)]
    }

    /// The value of the first field of this name.
    pub fn find(&self, name: &str) -> Option<&'b [u8]> {
        self.list.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The values of all fields of this name, in their order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        self.list.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Where the fields of this name are.
    pub fn named(&self, name: &str) -> Mask {
        let mut named = Mask::NONE;
        let fields = self.list.iter().enumerate().filter(|(_, field)| field.name.eq_ignore_ascii_case(name));
        fields.for_each(|(at, _)| named.add(at));
        named
    }

    /// The values of some fields, in their order.
    pub fn values(&self, mut some: Mask) -> impl Iterator<Item = &'b [u8]> {
        std::iter::from_fn(move || some.pop()).map(|at| self.list[at].value)
    }

    /// Writes all lines but those of `removed`, from the byte at `from` on: from the first line, or from before the start
    /// line to take it along.
    #[inline]
    pub fn copy(&self, from: usize, removed: Mask, to: &mut Vec<u8>) {
        let (mut from, mut removed) = (from, removed);
        while let Some(at) = removed.pop() {
            let line = self.line(at);
            if line > from {
                to.extend_from_slice(&self.bytes[from..line]);
            }
            from = self.line(at + 1);
        }
        to.extend_from_slice(&self.bytes[from..self.end]);
    }

    /// Where the first field's line starts.
    #[inline]
    pub fn start(&self) -> usize {
        self.line(0)
    }

    /// The fields that `Connection` names, but for those that no hop may take out.
    #[cold]
    pub(crate) fn nominated(&self) -> Mask {
        let mut named = Mask::NONE;
        let connections = self.list.iter().filter(|field| known(field.name) == Name::Connection);
        for option in connections.flat_map(|field| tokens(field.value)) {
            for (at, field) in self.list.iter().enumerate() {
                let taken_out = field.name.as_bytes().eq_ignore_ascii_case(option);
                if taken_out && !matches!(known(field.name), Name::Host | Name::ContentLength) {
                    named.add(at);
                }
            }
        }
        named
    }
}

/// Where a part of some bytes begins in them.
#[inline]
pub(crate) fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// A field that a hop cares about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Connection,
    ContentLength,
    Date,
    Expect,
    Host,
    Http2Settings,
    KeepAlive,
    Other,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    TransferEncoding,
    Upgrade,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
}

/// Which field this is: by its length, then by whole words.
#[inline(always)]
pub(crate) fn known(name: &str) -> Name {
    let name = name.as_bytes();
    match name.len() {
        2 if is(name, b"te") => Name::Te,
        4 if is(name, b"host") => Name::Host,
        4 if is(name, b"date") => Name::Date,
        6 if is(name, b"expect") => Name::Expect,
        7 if is(name, b"upgrade") => Name::Upgrade,
        10 if is(name, b"connection") => Name::Connection,
        10 if is(name, b"keep-alive") => Name::KeepAlive,
        14 if is(name, b"content-length") => Name::ContentLength,
        14 if is(name, b"http2-settings") => Name::Http2Settings,
        15 if is(name, b"x-forwarded-for") => Name::XForwardedFor,
        16 if is(name, b"x-forwarded-host") => Name::XForwardedHost,
        16 if is(name, b"proxy-connection") => Name::ProxyConnection,
        17 if is(name, b"x-forwarded-proto") => Name::XForwardedProto,
        17 if is(name, b"transfer-encoding") => Name::TransferEncoding,
        18 if is(name, b"proxy-authenticate") => Name::ProxyAuthenticate,
        19 if is(name, b"proxy-authorization") => Name::ProxyAuthorization,
        _ => Name::Other,
    }
}

/// Whether these bytes are a text of lower-case letters, digits and hyphens, in any case.
///
/// A bit makes a letter lower-case, and leaves digits and hyphens; that nothing else becomes one of them but control
/// characters, which no field has, makes it exact. Words overlap, so that each length is covered by two or three.
#[inline(always)]
fn is<const N: usize>(bytes: &[u8], lower: &[u8; N]) -> bool {
    let Ok(bytes) = <&[u8; N]>::try_from(bytes) else { return false };
    let differ = |at: usize| (eight(bytes, at) | 0x2020_2020_2020_2020) ^ eight(lower, at);
    let differ_four = |at: usize| (four(bytes, at) | 0x2020_2020) ^ four(lower, at);
    match N {
        17.. => differ(0) | differ(8) | differ(N - 8) == 0,
        8..17 => differ(0) | differ(N - 8) == 0,
        4..8 => differ_four(0) | differ_four(N - 4) == 0,
        _ => bytes.iter().zip(lower).all(|(byte, lower)| byte | 0x20 == *lower),
    }
}

#[inline(always)]
fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[inline(always)]
fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The elements of a list that are not empty.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether this is a token: a method, or a field's name.
pub fn is_token(text: &str) -> bool {
    let special = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || special(byte))
}

/// Whether this can be a field's value: no control characters, no space at its ends.
pub fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)) && text.trim_ascii() == text
}

#[cfg(test)]
mod tests {
    use super::{Connection, Name, is_field_value, is_token, known};

    #[test]
    fn a_field_is_known_in_any_case() {
        assert_eq!(known("Content-Length"), Name::ContentLength);
        assert_eq!(known("TRANSFER-ENCODING"), Name::TransferEncoding);
        assert_eq!(known("content-lengty"), Name::Other);
        assert_eq!(known("te"), Name::Te);
        assert_eq!(known("x"), Name::Other);
    }

    #[test]
    fn options_of_connection_are_read_from_a_list() {
        let mut connection = Connection::default();
        connection.read(b" Keep-Alive ,, X-Secret");
        assert!(connection.keep_alive && connection.nominates && !connection.close);
        assert!(connection.persists(0) && connection.persists(1));
        connection.read(b"close");
        assert!(!connection.persists(1));
    }

    #[test]
    fn configured_fields_are_checked() {
        assert!(is_token("x-served-by") && !is_token("x served") && !is_token(""));
        assert!(is_field_value("a b") && !is_field_value("a\r\nb") && !is_field_value(" a"));
    }
}
