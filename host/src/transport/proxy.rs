//! The PROXY protocol: what a proxy in front of us says first on a connection, that of whom it is.
//!
//! The header comes before all else, TLS included. Of a connection no more is read than belongs to it: what follows stays with the
//! kernel, for whoever reads next.
//!
//! The rules are those of HAProxy's `proxy-protocol.txt`. They are read here and not by a library because that also has to say how much
//! of what is there may be taken, and whether what has come so far can become one at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use serde::Deserialize;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::config::Span;

pub mod header;
mod network;

use header::Step;
pub use network::Network;

/// So much of a header is read at a time.
const AT_ONCE: usize = 256;

/// `proxy_protocol = { from = ["10.0.0.0/8"] }` of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxies {
    /// Who is believed. Nobody else connects there: one listener has one way of beginning, so that nothing has to be guessed, and nobody
    /// gets past the proxies.
    pub from: Vec<Network>,
    /// How long the header may take.
    #[serde(default = "Proxies::timeout")]
    pub timeout: Span,
}

impl Proxies {
    fn timeout() -> Span {
        Span::seconds(10)
    }

    /// Whether somebody is one of them.
    pub fn has(&self, peer: IpAddr) -> bool {
        self.from.iter().any(|network| network.has(peer))
    }

    /// What a type cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.from.is_empty() {
            return Err("nobody is believed, so nobody could connect; write from = [\"10.0.0.0/8\"]".into());
        }
        if self.timeout.get().is_zero() {
            return Err("timeout: at least 1ms: within no time there is no header".into());
        }
        Ok(())
    }
}

/// A header that is being read.
#[derive(Debug, Default)]
pub struct Header(Vec<u8>);

impl Header {
    /// Whose connection it is; nobody's but the proxy's own, where the header says so.
    ///
    /// # Errors
    /// What comes is no header, which is [`InvalidData`](io::ErrorKind::InvalidData), or the connection is gone.
    pub fn poll(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<Option<SocketAddr>>> {
        loop {
            let wrong = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
            let mut buffer = [0; AT_ONCE];
            let wanted = match header::read(&self.0).map_err(wrong)? {
                Step::Whole(client) => return Poll::Ready(Ok(client)),
                Step::Bytes(n) => n.min(AT_ONCE),
                Step::Line(n) => {
                    let mut seen = ReadBuf::new(&mut buffer[..n.min(AT_ONCE)]);
                    ready!(stream.poll_peek(cx, &mut seen))?;
                    let end = seen.filled().iter().position(|byte| *byte == b'\n');
                    // At the end of the connection there is nothing to be seen, and reading says so.
                    end.map_or(seen.filled().len().max(1), |end| end + 1)
                }
            };
            match stream.try_read(&mut buffer[..wanted]) {
                Ok(0) => {
                    let reason = "the other side went before its PROXY header was over";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
                }
                Ok(n) => self.0.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_read_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
