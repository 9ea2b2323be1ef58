//! The applications: connections over HTTP/1.1 with a request under way on each, one message in each request.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::figures::Figures;
use crate::marked;

/// What takes longer is not answered at all: Kannel forgets a request now and then.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const HEADERS_MAX: usize = 64;

/// Posts for as long as it is told, and says what has come of it. A request is what it is given, with a number of its own, from
/// `first` on; it was taken where the response is of success and its body has `taken` in it.
pub(crate) async fn post(
    port: u16,
    connections: u32,
    span: Duration,
    first: u64,
    request: Vec<u8>,
    taken: &str,
) -> io::Result<()> {
    let place = marked::place(&request).ok_or_else(|| io::Error::other("the request has no place for a number"))?;
    let figures = Rc::new(RefCell::new(Figures::begin()));
    let (until, next, mut posting) = (Instant::now() + span, Rc::new(Cell::new(first)), JoinSet::new());
    for _ in 0..connections {
        let (mut request, taken) = (request.clone(), taken.to_owned());
        let (next, figures) = (Rc::clone(&next), Rc::clone(&figures));
        posting.spawn_local(async move {
            let mut connection = Connection::open(port).await?;
            loop {
                let begun = Instant::now();
                if begun >= until {
                    return io::Result::Ok(());
                }
                let number = next.replace(next.get() + 1);
                marked::write(&mut request, place, number);
                match timeout(ANSWER_MAX, connection.ask(&request, taken.as_bytes())).await {
                    Ok(was_taken) => figures.borrow_mut().answered(was_taken?, begun, Instant::now()),
                    Err(_) => {
                        figures.borrow_mut().unanswered(number);
                        connection.ends = true;
                    }
                }
                if connection.ends {
                    connection = Connection::open(port).await?;
                }
            }
        });
    }
    while let Some(done) = posting.join_next().await {
        done.map_err(io::Error::other)??;
    }
    let figures = Rc::into_inner(figures).expect("all who had it are done");
    figures.into_inner().print();
    Ok(())
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    /// The server closes it.
    ends: bool,
}

impl Connection {
    async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, unread: Vec::new(), ends: false })
    }

    /// Whether what is asked was taken.
    async fn ask(&mut self, request: &[u8], taken: &[u8]) -> io::Result<bool> {
        self.stream.write_all(request).await?;
        self.unread.clear();
        loop {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, body, ends)) = response(&self.unread)? {
                self.ends = ends;
                let says_so = body.windows(taken.len()).any(|window| window == taken);
                return Ok((200..300).contains(&status) && says_so);
            }
        }
    }
}

/// The status and the body of a response, and whether the connection ends with it; nothing while not all of it is there. A body in
/// chunks is as it came, which is enough to find a word in it.
fn response(bytes: &[u8]) -> io::Result<Option<(u16, &[u8], bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(bytes).map_err(io::Error::other)? else { return Ok(None) };
    let field = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let (status, rest) = (head.code.unwrap_or_default(), &bytes[head_bytes..]);
    let ends = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let whole = match field("content-length").and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => rest.len() >= length,
        None if field("transfer-encoding").is_some() => rest.ends_with(b"0\r\n\r\n"),
        None => return Err(io::Error::other("a response whose length nobody knows")),
    };
    Ok(whole.then_some((status, rest, ends)))
}
