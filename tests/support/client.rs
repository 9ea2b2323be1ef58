//! An HTTP/1.1 client that hides nothing: it holds one connection, never makes it anew, and says what it saw.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::gateway::loopback;
use crate::patience::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields in their order, names as they came.
    pub fields: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The statuses of the 1xx answers before it.
    pub interim: Vec<u16>,
    /// The fields after a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody accepts.
    pub fn connect(address: SocketAddr) -> Self {
        Client::try_connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    /// Connects, if somebody accepts.
    ///
    /// # Errors
    /// The system's.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Client::with(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// Connects from an address of the loopback, by which a peer is told from others.
    ///
    /// # Errors
    /// The system's.
    pub fn connect_from(peer: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((peer, 0)).into())?;
        socket.connect_timeout(&loopback(port).into(), PATIENCE)?;
        Client::with(socket.into())
    }

    /// The other side of a connection that was made to us.
    ///
    /// # Panics
    /// Where the system does not take the socket's options.
    pub fn over(stream: TcpStream) -> Self {
        Client::with(stream).expect("a socket has these options")
    }

    fn with(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, unread: Vec::new() })
    }

    /// The socket, for another thread that sends while this one reads.
    ///
    /// # Panics
    /// Where the process has no descriptor left.
    pub fn socket(&self) -> TcpStream {
        self.stream.try_clone().expect("there is a descriptor left")
    }

    /// Our own port, by which the kernel lists the connection.
    ///
    /// # Panics
    /// Never: a connected socket has a port.
    pub fn port(&self) -> u16 {
        self.stream.local_addr().expect("a connected socket has an address").port()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends no more.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Asks for a target and reads the answer.
    ///
    /// # Errors
    /// See [`answer`](Client::answer).
    pub fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())?;
        self.answer("GET")
    }

    /// Sends a body of known length and reads the answer.
    ///
    /// # Errors
    /// See [`answer`](Client::answer).
    pub fn post(&mut self, target: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat())?;
        self.answer("POST")
    }

    /// Reads the next answer, which is one to `method`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the connection was closed before or in it, `InvalidData` where it is no HTTP, and the
    /// system's own: a reset, or nothing for [`PATIENCE`].
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut body = Vec::new();
        let mut answer = self.answer_into(method, |piece| body.extend_from_slice(piece))?;
        answer.body = body;
        Ok(answer)
    }

    /// Reads the next answer and gives its body away piece by piece.
    ///
    /// # Errors
    /// As for [`answer`](Client::answer).
    pub fn answer_into(&mut self, method: &str, mut body: impl FnMut(&[u8])) -> io::Result<Answer> {
        let mut interim = Vec::new();
        let mut answer = loop {
            let answer = self.head()?;
            if !(100..200).contains(&answer.status) || answer.status == 101 {
                break answer;
            }
            interim.push(answer.status);
        };
        answer.interim = interim;
        if method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return Ok(answer);
        }
        if answer.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            answer.trailers = self.chunks(&mut body)?;
        } else if let Some(length) = answer.field("content-length") {
            let length = length.parse().map_err(|_| invalid(format!("Content-Length: {length}")))?;
            self.exactly(length, &mut body)?;
        } else {
            while !self.unread.is_empty() || self.more()? {
                body(&std::mem::take(&mut self.unread));
            }
        }
        Ok(answer)
    }

    /// Reads so many bytes as they come, of a protocol that is no HTTP.
    ///
    /// # Errors
    /// As for [`answer`](Client::answer).
    pub fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        self.exactly(length as u64, &mut |piece: &[u8]| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Reads a line, of a protocol that has such.
    ///
    /// # Errors
    /// As for [`answer`](Client::answer).
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether the other side has closed in order: nothing more comes, and no reset.
    ///
    /// # Errors
    /// As for [`answer`](Client::answer); `InvalidData` where bytes come.
    pub fn closed(&mut self) -> io::Result<()> {
        if self.unread.is_empty() && !self.more()? {
            return Ok(());
        }
        Err(invalid(format!("bytes where a close was expected: {:?}", String::from_utf8_lossy(&self.unread))))
    }

    fn head(&mut self) -> io::Result<Answer> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut head = httparse::Response::new(&mut fields);
            match head.parse(&self.unread).map_err(|error| {
                invalid(format!("{error}: {:?}", String::from_utf8_lossy(&self.unread[..self.unread.len().min(200)])))
            })? {
                httparse::Status::Complete(length) => {
                    let answer = Answer {
                        status: head.code.expect("a whole head has a status"),
                        fields: owned(head.headers),
                        body: Vec::new(),
                        interim: Vec::new(),
                        trailers: Vec::new(),
                    };
                    self.unread.drain(..length);
                    return Ok(answer);
                }
                httparse::Status::Partial => self.some("head")?,
            }
        }
    }

    fn exactly(&mut self, length: u64, body: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.unread.is_empty() {
                self.some("body")?;
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.unread.len());
            body(&self.unread[..now]);
            self.unread.drain(..now);
            left -= now as u64;
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut impl FnMut(&[u8])) -> io::Result<Vec<(String, String)>> {
        loop {
            let (begin, size) = loop {
                match httparse::parse_chunk_size(&self.unread).map_err(|_| invalid("a chunk's size".into()))? {
                    httparse::Status::Complete(chunk) => break chunk,
                    httparse::Status::Partial => self.some("chunk size")?,
                }
            };
            self.unread.drain(..begin);
            if size == 0 {
                return self.trailers();
            }
            self.exactly(size, body)?;
            let mut end = Vec::new();
            self.exactly(2, &mut |piece: &[u8]| end.extend_from_slice(piece))?;
            if end != b"\r\n" {
                return Err(invalid(format!("{end:?} after a chunk")));
            }
        }
    }

    fn trailers(&mut self) -> io::Result<Vec<(String, String)>> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 32];
            match httparse::parse_headers(&self.unread, &mut fields).map_err(|error| invalid(error.to_string()))? {
                httparse::Status::Complete((length, fields)) => {
                    let fields = owned(fields);
                    self.unread.drain(..length);
                    return Ok(fields);
                }
                httparse::Status::Partial => self.some("trailers")?,
            }
        }
    }

    /// Reads something; the end of the connection is an error here.
    fn some(&mut self, within: &str) -> io::Result<()> {
        if self.more()? {
            return Ok(());
        }
        let place = if self.unread.is_empty() && within == "head" { "before an answer" } else { within };
        Err(io::Error::new(ErrorKind::UnexpectedEof, format!("the connection was closed: {place}")))
    }

    fn more(&mut self) -> io::Result<bool> {
        const PIECE: usize = 64 * 1024;
        let old = self.unread.len();
        self.unread.resize(old + PIECE, 0);
        let read = loop {
            match self.stream.read(&mut self.unread[old..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.unread.truncate(old + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

impl Answer {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The number of the version that answered: `1.2.0` of `x-served-by: http@1.2.0#3fa9c1`.
    ///
    /// # Panics
    /// Where the answer does not say.
    pub fn served_by(&self) -> &str {
        let version = self.field("x-served-by").unwrap_or_else(|| panic!("no x-served-by: {self:?}"));
        let number = version.split_once('@').map_or(version, |(_, number)| number);
        number.split_once('#').map_or(number, |(number, _)| number)
    }

    /// Whether the other side means to close the connection.
    pub fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.to_ascii_lowercase().contains("close"))
    }
}

fn owned(fields: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|field| (field.name.to_owned(), text(field.value))).collect()
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
