//! A bare relay, the comparator of the bench: `relay LISTEN UPSTREAM`.
//!
//! It shows what two sockets, one head each way and a pool cost on a current-thread runtime when nothing else is done. It routes,
//! rewrites, limits, times and logs nothing, and serves what the bench sends: requests without a body and answers with a
//! `Content-Length`. Anything else ends the connection.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let mut addresses = std::env::args().skip(1);
    let (Some(listen), Some(upstream), None) = (addresses.next(), addresses.next(), addresses.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: relay LISTEN UPSTREAM"));
    };
    let upstream = upstream.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, accept(listen, upstream))
}

async fn accept(listen: String, upstream: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let pool = Rc::new(Pool { upstream, idle: RefCell::default() });
    loop {
        let (client, _) = listener.accept().await?;
        let pool = pool.clone();
        // A connection that fails ends alone; the load generator counts it.
        tokio::task::spawn_local(async move { relay(client, &pool).await });
    }
}

/// Upstream connections with nothing under way.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<TcpStream>>,
}

impl Pool {
    async fn take(&self) -> io::Result<TcpStream> {
        let idle = self.idle.borrow_mut().pop();
        if let Some(stream) = idle {
            return Ok(stream);
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn put(&self, stream: TcpStream) {
        self.idle.borrow_mut().push(stream);
    }
}

/// One client connection: request after request until the client closes.
async fn relay(mut client: TcpStream, pool: &Pool) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut unread = Vec::with_capacity(BUFFER_BYTES);
    let mut answer = Vec::with_capacity(BUFFER_BYTES);
    while let Some(head) = read_head(&mut client, &mut unread, request_head).await? {
        let mut upstream = pool.take().await?;
        upstream.write_all(&unread[..head.bytes]).await?;
        unread.drain(..head.bytes);

        let Some(head) = read_head(&mut upstream, &mut answer, answer_head).await? else {
            return Err(malformed("the upstream closed before its answer"));
        };
        let mut left = head.bytes + head.body_bytes;
        loop {
            let Some(after) = left.checked_sub(answer.len()) else {
                return Err(malformed("the upstream sent more than its answer"));
            };
            left = after;
            client.write_all(&answer).await?;
            answer.clear();
            if left == 0 {
                break;
            }
            if upstream.read_buf(&mut answer).await? == 0 {
                return Err(malformed("the upstream closed within its answer"));
            }
        }
        pool.put(upstream);
    }
    Ok(())
}

struct Head {
    bytes: usize,
    body_bytes: usize,
}

/// Reads until `parse` finds a whole head at the beginning of `buffer`; `None` if the stream ends before one begins.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    parse: fn(&[u8]) -> io::Result<Option<Head>>,
) -> io::Result<Option<Head>> {
    loop {
        if !buffer.is_empty()
            && let Some(head) = parse(buffer)?
        {
            return Ok(Some(head));
        }
        if buffer.len() >= BUFFER_BYTES {
            return Err(malformed("a head without end"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(malformed("half a head")) };
        }
    }
}

fn request_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(malformed)? else { return Ok(None) };
    if header(request.headers, "content-length").is_some() || header(request.headers, "transfer-encoding").is_some() {
        return Err(malformed("a request with a body"));
    }
    Ok(Some(Head { bytes: length, body_bytes: 0 }))
}

fn answer_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = answer.parse(bytes).map_err(malformed)? else { return Ok(None) };
    let body_bytes = header(answer.headers, "content-length")
        .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
        .ok_or_else(|| malformed("an answer without a length"))?;
    Ok(Some(Head { bytes: length, body_bytes }))
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn malformed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
