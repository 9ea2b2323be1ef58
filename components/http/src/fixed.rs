//! Answers of our own: a route's fixed one, and those that refuse. Written once, when the component starts.

use std::collections::BTreeMap;

/// An answer that is the same for all but for its date and whether the connection stays.
#[derive(Debug)]
pub(crate) struct Fixed {
    status: u16,
    /// The status line and the fields that do not change.
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Fixed {
    /// Writes an answer. `served_by` is a whole line or empty.
    ///
    /// # Errors
    /// The status is none, or may not have a body and has one.
    pub(crate) fn new(
        status: u16,
        body: Option<&str>,
        headers: &BTreeMap<String, String>,
        served_by: &str,
    ) -> Result<Self, String> {
        if !(200..=599).contains(&status) {
            return Err(format!("status: {status} is not between 200 and 599"));
        }
        let bodiless = matches!(status, 204 | 304);
        if bodiless && body.is_some() {
            return Err(format!("body: an answer with status {status} has none"));
        }
        let body = body.unwrap_or_default();
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        if !body.is_empty() && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            head.push_str("Content-Type: text/plain; charset=utf-8\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !bodiless {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str(served_by);
        Ok(Fixed { status, head: head.into_bytes(), body: body.as_bytes().to_vec() })
    }

    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The status line and the fields that do not change; the date and the empty line are to follow.
    #[inline]
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The body.
    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Whether this is a field that an answer gets from us: one that stands twice would be read in two ways.
pub(crate) fn is_own_field(name: &str) -> bool {
    let own = ["connection", "content-length", "date", "transfer-encoding", "upgrade"];
    own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The words for a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::Fixed;
    use std::collections::BTreeMap;

    #[test]
    fn an_answer_is_written_once() {
        let headers = BTreeMap::from([("Location".to_owned(), "/b".to_owned())]);
        let fixed = Fixed::new(301, None, &headers, "x-served-by: t\r\n").unwrap();
        let text = "HTTP/1.1 301 Moved Permanently\r\nLocation: /b\r\nContent-Length: 0\r\nx-served-by: t\r\n";
        assert_eq!(String::from_utf8_lossy(fixed.head()), text);
        assert_eq!(Fixed::new(204, Some("x"), &headers, "").unwrap_err(), "body: an answer with status 204 has none");
        assert_eq!(Fixed::new(99, None, &headers, "").unwrap_err(), "status: 99 is not between 200 and 599");
    }
}
