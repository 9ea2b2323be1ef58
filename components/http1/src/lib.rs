//! HTTP/1 messages as bytes: reads heads, framing, chunks and trailers, and writes heads on with fields taken out.
//!
//! What it leaves to others: connections, timeouts, limits' values, which status answers what, and what a proxy adds. It
//! is strict where RFC 9112 lets a recipient choose, since what two parties read differently can be smuggled: a line ends
//! with CRLF, a length stands once, `chunked` stands alone.
//!
//! Incomplete is not malformed: each reader answers `Ok(None)` until it has seen enough, and is then given all of it
//! again.
//!
//! ```
//! use tandem_http1::{Body, Limits, RequestHead, Slots};
//!
//! let bytes = b"POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi";
//! let mut slots = Slots::new();
//! let head = RequestHead::read(bytes, &mut slots, &Limits::default()).unwrap().unwrap();
//! assert_eq!((head.method, head.target, head.body), ("POST", "/a", Body::Length(2)));
//! assert_eq!(&bytes[head.length..], b"hi");
//! ```

#![forbid(unsafe_code)]

mod chunked;
pub mod config;
mod date;
mod fields;
mod framing;
mod request;
mod response;
mod target;

pub use chunked::{Chunked, Keep, Passed, Unchunkable};
pub use date::DateCache;
pub use fields::{Connection, Fields, Mask, Slots, is_field_value, is_token};
pub use framing::Body;
pub use request::{Limits, RequestHead, Unreadable, blank_lines};
pub use response::ResponseHead;
pub use target::{Target, authority_host, plain_path};

/// The most fields that a head can be read with.
pub const FIELDS_MAX: usize = 128;
