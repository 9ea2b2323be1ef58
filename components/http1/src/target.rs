//! The request target in its four forms, and the path by which a route is chosen.

use std::borrow::Cow;

/// A request target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'b> {
    /// Of the absolute form: it stands for `Host`.
    pub authority: Option<&'b [u8]>,
    /// The path: it begins with `/`, or is `*`, or empty where an absolute form has none.
    pub path: &'b str,
    /// The path with its query.
    pub rest: &'b str,
    /// Whether the path is the plain one already.
    plain: bool,
}

impl<'b> Target<'b> {
    #[inline]
    pub(crate) fn read(method: &str, target: &'b str) -> Option<Self> {
        if target.as_bytes().first() == Some(&b'/') && method != "CONNECT" {
            return Target::of(None, target);
        }
        Target::read_other(method, target)
    }

    #[cold]
    fn read_other(method: &str, target: &'b str) -> Option<Self> {
        if method == "CONNECT" {
            authority_host(target.as_bytes())?;
            return Some(Target { authority: Some(target.as_bytes()), path: "", rest: "", plain: true });
        }
        if target == "*" {
            return (method == "OPTIONS").then_some(Target { authority: None, path: "*", rest: "*", plain: true });
        }
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        authority_host(authority.as_bytes())?;
        // Without a path it is the server itself that is asked (RFC 9112, 3.2.4).
        let rest = if rest.is_empty() && method == "OPTIONS" { "*" } else { rest };
        Target::of(Some(authority.as_bytes()), rest)
    }

    #[inline]
    fn of(authority: Option<&'b [u8]>, rest: &'b str) -> Option<Self> {
        let bytes = rest.as_bytes();
        let (mut end, mut plain) = (bytes.len(), true);
        for (at, byte) in bytes.iter().enumerate() {
            if !SPECIAL[usize::from(*byte)] {
                continue;
            }
            match byte {
                b'?' => {
                    end = at;
                    // A fragment is never sent.
                    if memchr::memchr(b'#', &bytes[at..]).is_some() {
                        return None;
                    }
                    break;
                }
                b'#' => return None,
                b'%' => plain = false,
                _ => plain &= at == 0 || bytes[at - 1] != b'/',
            }
        }
        Some(Target { authority, path: &rest[..end], rest, plain })
    }

    /// The [plain path](plain_path).
    #[inline]
    pub fn plain_path(&self) -> Option<Cow<'b, str>> {
        if self.plain {
            Some(Cow::Borrowed(if self.path.is_empty() { "/" } else { self.path }))
        } else {
            simplified(self.path).map(Cow::Owned)
        }
    }

    /// Writes the target in its origin form.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        if !self.rest.starts_with(['/', '*']) {
            to.push(b'/');
        }
        to.extend_from_slice(self.rest.as_bytes());
    }
}

/// The host of `host[:port]`. `None` where that is not what it is; an empty host is none.
#[inline]
pub fn authority_host(authority: &[u8]) -> Option<&[u8]> {
    let end = match authority.first()? {
        b'[' => {
            let end = memchr::memchr(b']', authority)? + 1;
            let address = &authority[1..end - 1];
            let digits = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if address.is_empty() || !address.iter().all(digits) {
                return None;
            }
            end
        }
        _ => name_length(authority),
    };
    let (host, port) = authority.split_at(end);
    (!host.is_empty() && (port.is_empty() || is_port(port))).then_some(host)
}

/// How many characters of a registered name come first. Four at a time: this runs for each request.
#[inline]
fn name_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some([a, b, c, d]) = bytes.get(at..at + 4) {
        if !(NAME[usize::from(*a)] & NAME[usize::from(*b)] & NAME[usize::from(*c)] & NAME[usize::from(*d)]) {
            break;
        }
        at += 4;
    }
    while bytes.get(at).is_some_and(|byte| NAME[usize::from(*byte)]) {
        at += 1;
    }
    at
}

fn is_port(port: &[u8]) -> bool {
    let Some((b':', digits)) = port.split_first() else { return false };
    digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit)
}

/// What a registered name consists of: unreserved characters, sub-delimiters and `%`.
static NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let it = byte as u8;
        table[byte] = it.is_ascii_alphanumeric()
            || matches!(it, b'-' | b'.' | b'_' | b'~' | b'%')
            || matches!(it, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        byte += 1;
    }
    table
};

/// What needs a closer look in a path.
static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    table[b'?' as usize] = true;
    table[b'#' as usize] = true;
    table[b'%' as usize] = true;
    table[b'/' as usize] = true;
    table[b'.' as usize] = true;
    table
};

/// The path that routes are chosen by: decoded, without `.`, `..` and empty segments, so that one resource has one
/// path. What is sent on is the path as it came.
///
/// `None` where it leads out of the root, or is not encoded rightly.
///
/// ```
/// use tandem_http1::plain_path;
/// assert_eq!(plain_path("/a//b/../%63").unwrap(), "/a/c");
/// assert_eq!(plain_path("/../etc"), None);
/// ```
pub fn plain_path(path: &str) -> Option<Cow<'_, str>> {
    Target { authority: None, path, rest: path, plain: false }.plain_path()
}

#[cold]
fn simplified(path: &str) -> Option<String> {
    let decoded = decoded(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let last = decoded.rsplit('/').next()?;
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            name => segments.push(name),
        }
    }
    let mut plain = String::with_capacity(decoded.len());
    for segment in &segments {
        plain.push('/');
        plain.push_str(segment);
    }
    if plain.is_empty() || matches!(last, "" | "." | "..") {
        plain.push('/');
    }
    Some(plain)
}

/// Decodes `%41`. What is no UTF-8 stays recognisable as something else than any configured path.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
        match u8::try_from(high * 16 + low).ok()? {
            0 => return None,
            byte => bytes.push(byte),
        }
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Target, authority_host, plain_path};

    #[test]
    fn each_form_is_taken_apart() {
        let read = |method, target| Target::read(method, target);
        assert_eq!(read("GET", "/a?b").map(|t| (t.path, t.rest)), Some(("/a", "/a?b")));
        let absolute = read("GET", "http://h:1?q").unwrap();
        assert_eq!((absolute.authority, absolute.path, absolute.rest), (Some(&b"h:1"[..]), "", "?q"));
        let mut written = Vec::new();
        absolute.write(&mut written);
        assert_eq!(written, b"/?q");
        assert_eq!(read("OPTIONS", "*").map(|t| t.path), Some("*"));
        assert_eq!(read("OPTIONS", "http://h").map(|t| t.path), Some("*"));
        assert_eq!(read("CONNECT", "h:1").and_then(|t| t.authority), Some(&b"h:1"[..]));
        for (method, target) in [
            ("GET", "*"),
            ("GET", "a"),
            ("GET", "/a#b"),
            ("GET", "/a?b#c"),
            ("GET", "http://user@h/"),
            ("GET", "http:///a"),
            ("GET", "ftp://h/a"),
            ("CONNECT", "/a"),
        ] {
            assert_eq!(read(method, target), None, "{method} {target}");
        }
    }

    #[test]
    fn a_host_is_checked() {
        for (authority, host) in [
            ("example.com", Some("example.com")),
            ("example.com:8080", Some("example.com")),
            ("example.com:", Some("example.com")),
            ("[::1]:80", Some("[::1]")),
            ("", None),
            (":80", None),
            ("a b", None),
            ("a@b", None),
            ("a/b", None),
            ("a:b", None),
            ("a:1:2", None),
            ("[::1", None),
            ("[]", None),
            ("[::1]x", None),
            ("a\u{e9}", None),
        ] {
            assert_eq!(authority_host(authority.as_bytes()), host.map(str::as_bytes), "{authority}");
        }
    }

    #[test]
    fn one_resource_has_one_path() {
        for (path, plain) in [
            ("/", Some("/")),
            ("", Some("/")),
            ("/a/b", Some("/a/b")),
            ("/%61dmin", Some("/admin")),
            ("/a/../admin", Some("/admin")),
            ("/a/%2e%2e/admin", Some("/admin")),
            ("//admin", Some("/admin")),
            ("/./admin/", Some("/admin/")),
            ("/a/..", Some("/")),
            ("/a/.b", Some("/a/.b")),
            ("/..", None),
            ("/a/../../b", None),
            ("/%", None),
            ("/%6", None),
            ("/%zz", None),
            ("/%00", None),
        ] {
            assert_eq!(plain_path(path).as_deref(), plain, "{path}");
        }
    }
}
