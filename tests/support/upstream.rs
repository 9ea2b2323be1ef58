//! A small HTTP server with threads, to stand behind the gateway: what it does is said by the target of the request.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::bytes::Bytes;
use crate::patience::PATIENCE;
use crate::websocket::{ACCEPT, KEY};

/// The server. It ends, with all of its connections, when it is dropped.
///
/// | target | answer |
/// |---|---|
/// | `/name` | the server's name |
/// | `/login/N` | sets the cookie `sid` to N |
/// | `/echo…` | `METHOD target ` and the body |
/// | `/bytes/N` | the first N of [`Bytes`], with their length |
/// | `/chunked/N` | the same, chunked, with a trailer |
/// | `/until-close/N` | the same, ended by the close of the connection |
/// | `/count` | how many bytes the body had, or where it differs from [`Bytes`] |
/// | `/slow/MS` | `slow`, after so many milliseconds |
/// | `/trickle/N/MS` | N letters, so many milliseconds apart |
/// | `/status/NNN` | this status |
/// | `/dies` | the connection is closed before a byte of an answer |
/// | `/dies/N` | … after N bytes of a body that was to have 1,000,000 |
/// | `/websocket` | a tunnel that echoes frames |
#[derive(Debug)]
pub struct Upstream {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    address: SocketAddr,
    stopped: AtomicBool,
    /// While it is set, every request is answered by closing the connection.
    failing: AtomicBool,
    accepted: AtomicUsize,
    requests: AtomicUsize,
    /// Held for a moment by whoever adds a connection, and by the one who closes them all.
    connections: Mutex<Vec<TcpStream>>,
}

impl Upstream {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// Where there is none.
    pub fn start(name: &str) -> Self {
        // Tests of another checkout may take the port in between.
        let listener = (0..10).find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, crate::port::free_port())).ok());
        Upstream::serve(name, listener.expect("there is a free port"))
    }

    /// Starts one where another was.
    ///
    /// # Panics
    /// Where the address is taken.
    pub fn start_at(name: &str, address: SocketAddr) -> Self {
        Upstream::serve(
            name,
            TcpListener::bind(address).unwrap_or_else(|error| panic!("upstream at {address}: {error}")),
        )
    }

    fn serve(name: &str, listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            address,
            stopped: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Upstream { shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many requests it has read.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// From now on, or no more: every request is answered by closing the connection.
    pub fn fail(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::SeqCst);
    }

    /// Closes every connection, and goes on accepting.
    pub fn disconnect(&self) {
        let mut connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in connections.drain(..) {
            // It may be closed already, which is what is wanted.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.shared.address);
        self.disconnect();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(connection) = connection else { continue };
            self.accepted.fetch_add(1, Ordering::SeqCst);
            let Ok(second) = connection.try_clone() else { continue };
            self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(second);
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // What ends a connection here is what the test does to it, and is seen at its other end.
                let _ = Connection::new(connection, &shared).and_then(Connection::serve);
            });
        }
    }
}

struct Connection<'s> {
    stream: TcpStream,
    unread: Vec<u8>,
    shared: &'s Shared,
}

/// What is known of a request once its head is read.
struct Request {
    method: String,
    target: String,
    length: u64,
    chunked: bool,
    expects: bool,
    key: Option<String>,
    /// What it says of a trace, line by line.
    trace: String,
}

/// How an answer goes out.
enum Framing {
    Length,
    Chunked,
    Close,
}

impl<'s> Connection<'s> {
    fn new(stream: TcpStream, shared: &'s Shared) -> io::Result<Self> {
        // Longer than any test lets a connection idle; a test that hangs must not keep threads for good.
        stream.set_read_timeout(Some(PATIENCE * 20))?;
        stream.set_write_timeout(Some(PATIENCE * 2))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, unread: Vec::new(), shared })
    }

    fn serve(mut self) -> io::Result<()> {
        while let Some(request) = self.request()? {
            self.shared.requests.fetch_add(1, Ordering::SeqCst);
            if self.shared.failing.load(Ordering::SeqCst) {
                return self.stream.shutdown(Shutdown::Both);
            }
            if request.expects {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            self.answer(&request)?;
        }
        Ok(())
    }

    fn answer(&mut self, request: &Request) -> io::Result<()> {
        let mut words = request.target.split(['/', '?']).skip(1);
        let what = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        match what {
            "name" => {
                self.body(request, |_| ())?;
                let name = self.shared.name.clone();
                self.say(200, &name)
            }
            "login" => {
                let cookie = number().unwrap_or(0);
                let head =
                    format!("HTTP/1.1 200 OK\r\nSet-Cookie: sid={cookie}; Path=/\r\nContent-Length: 2\r\n\r\nin");
                self.stream.write_all(head.as_bytes())
            }
            "echo" => {
                let mut text = format!("{} {} ", request.method, request.target);
                self.body(request, |piece| text.push_str(&String::from_utf8_lossy(piece)))?;
                self.say(200, &text)
            }
            "trace" => self.say(200, &request.trace),
            "bytes" => self.bytes(number().unwrap_or(0), &Framing::Length),
            "chunked" => self.bytes(number().unwrap_or(0), &Framing::Chunked),
            "until-close" => self.bytes(number().unwrap_or(0), &Framing::Close),
            "count" => {
                let (mut bytes, mut wrong) = (Bytes::new(), None);
                self.body(request, |piece| {
                    if wrong.is_none() {
                        wrong = bytes.compare(piece).err();
                    }
                })?;
                match wrong {
                    None => self.say(200, &bytes.at().to_string()),
                    Some(at) => self.say(200, &format!("differs at {at}")),
                }
            }
            "slow" => {
                self.body(request, |_| ())?;
                thread::sleep(Duration::from_millis(number().unwrap_or(0)));
                self.say(200, "slow")
            }
            "trickle" => {
                let (letters, pause) = (number().unwrap_or(0), Duration::from_millis(number().unwrap_or(0)));
                self.stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {letters}\r\n\r\n").as_bytes())?;
                (0..letters).try_for_each(|letter| {
                    thread::sleep(pause);
                    self.stream.write_all(&[b'a' + (letter % 26) as u8])
                })
            }
            "status" => {
                self.body(request, |_| ())?;
                self.say(number().unwrap_or(500), "status")
            }
            "dies" => {
                if let Some(bytes) = number() {
                    self.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
                    let mut body = vec![0; usize::try_from(bytes).unwrap_or(0)];
                    Bytes::new().fill(&mut body);
                    self.stream.write_all(&body)?;
                }
                self.stream.shutdown(Shutdown::Both)
            }
            "websocket" if request.key.as_deref() == Some(KEY) => self.tunnel(),
            _ => self.say(404, "what is that"),
        }
    }

    fn say(&mut self, status: u64, text: &str) -> io::Result<()> {
        let (name, length) = (&self.shared.name, text.len());
        let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: {length}\r\nX-Server: {name}\r\n\r\n{text}");
        self.stream.write_all(answer.as_bytes())
    }

    fn bytes(&mut self, length: u64, framing: &Framing) -> io::Result<()> {
        let head = match framing {
            Framing::Length => format!("Content-Length: {length}\r\n"),
            Framing::Chunked => "Transfer-Encoding: chunked\r\nTrailer: x-end\r\n".to_owned(),
            Framing::Close => "Connection: close\r\n".to_owned(),
        };
        self.stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes())?;
        let mut bytes = Bytes::new();
        let mut piece = vec![0; PIECE];
        while bytes.at() < length {
            let now = usize::try_from(length - bytes.at()).unwrap_or(PIECE).min(PIECE);
            bytes.fill(&mut piece[..now]);
            if let Framing::Chunked = framing {
                self.stream.write_all(format!("{now:x}\r\n").as_bytes())?;
            }
            self.stream.write_all(&piece[..now])?;
            if let Framing::Chunked = framing {
                self.stream.write_all(b"\r\n")?;
            }
        }
        match framing {
            Framing::Length => Ok(()),
            Framing::Chunked => self.stream.write_all(b"0\r\nX-End: reached\r\n\r\n"),
            Framing::Close => self.stream.shutdown(Shutdown::Both),
        }
    }

    /// Echoes frames, unmasked, until the other side closes.
    fn tunnel(&mut self) -> io::Result<()> {
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        );
        self.stream.write_all(answer.as_bytes())?;
        loop {
            let start = self.take(2)?;
            let length = match start[1] & 0x7f {
                126 => u64::from(u16::from_be_bytes(self.take(2)?.try_into().expect("two bytes"))),
                127 => u64::from_be_bytes(self.take(8)?.try_into().expect("eight bytes")),
                length => length.into(),
            };
            let mask = self.take(4)?;
            let mut text = self.take(length)?;
            text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            let frame = [crate::websocket::header(0, text.len()).as_slice(), &text].concat();
            self.stream.write_all(&frame)?;
        }
    }

    /// The next request; nothing where the other side has closed between two.
    fn request(&mut self) -> io::Result<Option<Request>> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut head = httparse::Request::new(&mut fields);
            let parsed = head.parse(&self.unread).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            if let httparse::Status::Complete(length) = parsed {
                let field = |name: &str| {
                    let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
                    found.map(|field| String::from_utf8_lossy(field.value).into_owned())
                };
                let request = Request {
                    method: head.method.unwrap_or_default().to_owned(),
                    target: head.path.unwrap_or_default().to_owned(),
                    length: field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0),
                    chunked: field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")),
                    expects: field("expect").is_some(),
                    key: field("sec-websocket-key"),
                    trace: head
                        .headers
                        .iter()
                        .filter(|field| field.name.to_ascii_lowercase().starts_with("trace"))
                        .map(|field| format!("{}: {}\n", field.name, String::from_utf8_lossy(field.value)))
                        .collect(),
                };
                self.unread.drain(..length);
                return Ok(Some(request));
            }
            if !self.more()? {
                return if self.unread.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    fn body(&mut self, request: &Request, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
        if !request.chunked {
            return self.exactly(request.length, &mut piece);
        }
        loop {
            let (begin, size) = loop {
                match httparse::parse_chunk_size(&self.unread) {
                    Ok(httparse::Status::Complete(chunk)) => break chunk,
                    Ok(httparse::Status::Partial) => _ = self.more()?,
                    Err(_) => return Err(ErrorKind::InvalidData.into()),
                }
            };
            self.unread.drain(..begin);
            if size == 0 {
                while self.line()? != b"\r\n" {}
                return Ok(());
            }
            self.exactly(size, &mut piece)?;
            self.take(2)?;
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                return Ok(self.unread.drain(..=end).collect());
            }
            if !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.exactly(length, &mut |piece: &[u8]| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    fn exactly(&mut self, length: u64, piece: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.unread.is_empty() && !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.unread.len());
            piece(&self.unread[..now]);
            self.unread.drain(..now);
            left -= now as u64;
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<bool> {
        let old = self.unread.len();
        self.unread.resize(old + PIECE, 0);
        let read = self.stream.read(&mut self.unread[old..]);
        self.unread.truncate(old + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

const PIECE: usize = 256 * 1024;
