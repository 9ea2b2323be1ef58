//! Holds sessions open and talks on some of them: `hold echo|smpp PORT COUNT HOT PAUSE_MS`.
//!
//! Says `open` once all are. The first `HOT` of them then ask, take the answer and pause, for ever; the others are silent. Each
//! line that it reads is answered by the figures since the last one. At the end of its input every session has to answer once
//! more, which shows those that were closed or have forgotten something.
//!
//! An SMPP session has an account of its own, `b0`, `b1` and so on. It has submitted a message and holds back its response to the
//! receipt, so it has a window open for as long as it lives. Those that ask submit messages, but for each tenth, which asks
//! whether the link is there: only its waits are taken, since a submission waits for the disk.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

/// So many are opened, and asked in the end, at a time.
const AT_ONCE: usize = 64;
/// The kernel has some 28,000 ports for connections to one address.
const AN_ADDRESS: usize = 20_000;
const ANSWER_MAX: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "usage: hold echo|smpp PORT COUNT HOT PAUSE_MS");
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok()).ok_or_else(wrong);
    let protocol = match arguments.first().map(String::as_str) {
        Some("echo") => Protocol::Echo,
        Some("smpp") => Protocol::Smpp,
        _ => return Err(wrong()),
    };
    let port = u16::try_from(number(1)?).map_err(|_| wrong())?;
    let (count, hot) = (number(2)?, number(3)?);
    let pause = Duration::from_millis(number(4)? as u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, hold(protocol, port, count, hot.min(count), pause))
}

async fn hold(protocol: Protocol, port: u16, count: usize, hot: usize, pause: Duration) -> io::Result<()> {
    let mut silent = open_all(protocol, port, count).await?;
    let mut lines = lines();
    say(&format!("open {}", silent.len()))?;

    let figures = Rc::new(Figures::default());
    let mut asking = JoinSet::new();
    for (n, session) in silent.drain(..hot).enumerate() {
        let begin = pause.mul_f64(n as f64 / hot as f64);
        asking.spawn_local(ask_on(session, Rc::clone(&figures), begin, pause));
    }
    while lines.recv().await.is_some() {
        say(&figures.take())?;
    }
    figures.over.set(true);
    while let Some(session) = asking.join_next().await {
        silent.extend(session.map_err(io::Error::other)?);
    }
    ask_all(silent, &figures).await;
    say(&figures.take())
}

/// What is said on a session.
#[derive(Clone, Copy)]
enum Protocol {
    Echo,
    Smpp,
}

/// One connection.
struct Session {
    number: usize,
    protocol: Protocol,
    stream: TcpStream,
    unread: Vec<u8>,
    asked: u32,
    /// The receipts that it has not acknowledged.
    receipts: Vec<u32>,
}

/// What was seen since it was last said.
#[derive(Default)]
struct Figures {
    waits: RefCell<Vec<Duration>>,
    failed: Cell<usize>,
    over: Cell<bool>,
}

impl Figures {
    fn saw(&self, asked: Instant) {
        self.waits.borrow_mut().push(asked.elapsed());
    }

    fn failed(&self, error: &io::Error) {
        if self.failed.replace(self.failed.get() + 1) == 0 {
            eprintln!("hold: {error}");
        }
    }

    /// `failed` is of all time: it is one too many whenever it was.
    fn take(&self) -> String {
        let mut waits = self.waits.take();
        waits.sort_unstable();
        let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).or(waits.last());
        let ms = |wait: Option<&Duration>| wait.map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
        let (median, most, worst) = (ms(at(0.5)), ms(at(0.999)), ms(waits.last()));
        format!(
            r#"{{"answers": {}, "p50_ms": {median:.3}, "p999_ms": {most:.3}, "worst_ms": {worst:.3}, "failed": {}}}"#,
            waits.len(),
            self.failed.get()
        )
    }
}

async fn open_all(protocol: Protocol, port: u16, count: usize) -> io::Result<Vec<Session>> {
    let (mut sessions, mut opening, mut next) = (Vec::with_capacity(count), JoinSet::new(), 0);
    while sessions.len() < count {
        while next < count && opening.len() < AT_ONCE {
            let last = u8::try_from(1 + next / AN_ADDRESS).map_err(io::Error::other)?;
            let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
            opening.spawn_local(Session::open(protocol, address, next));
            next += 1;
        }
        if let Some(opened) = opening.join_next().await {
            sessions.push(opened.map_err(io::Error::other)??);
        }
    }
    Ok(sessions)
}

/// Asks for as long as it is answered. A session that is not has failed, and is given back no more.
async fn ask_on(mut session: Session, figures: Rc<Figures>, begin: Duration, pause: Duration) -> Option<Session> {
    sleep(begin).await;
    while !figures.over.get() {
        let asked = Instant::now();
        if let Err(error) = session.ask().await {
            figures.failed(&error);
            return None;
        }
        if session.prompt() {
            figures.saw(asked);
        }
        sleep(pause).await;
    }
    Some(session)
}

/// Every session has to answer once more, all that it holds back acknowledged.
async fn ask_all(sessions: Vec<Session>, figures: &Figures) {
    let (mut left, mut asking) = (sessions.into_iter(), JoinSet::new());
    loop {
        let room = AT_ONCE - asking.len();
        for mut session in left.by_ref().take(room) {
            asking.spawn_local(async move {
                session.acknowledge().await?;
                session.ask().await
            });
        }
        match asking.join_next().await {
            Some(Ok(Err(error))) => figures.failed(&error),
            Some(Err(error)) => figures.failed(&io::Error::other(error)),
            Some(Ok(Ok(()))) => {}
            None => return,
        }
    }
}

impl Session {
    async fn open(protocol: Protocol, address: SocketAddr, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut session = Session { number, protocol, stream, unread: Vec::new(), asked: 0, receipts: Vec::new() };
        match protocol {
            Protocol::Echo => session.ask().await?,
            Protocol::Smpp => {
                let bind = format!("b{number}\0bench\0\0\x34\0\0\0");
                session.request(BIND_TRANSCEIVER, bind.as_bytes()).await?;
                session.request(SUBMIT_SM, &message(true)).await?;
                while session.receipts.is_empty() {
                    session.pdu().await?;
                }
            }
        }
        Ok(session)
    }

    /// Whether nothing but the gateway's processors is between its requests and their answers.
    fn prompt(&self) -> bool {
        matches!(self.protocol, Protocol::Echo) || self.number.is_multiple_of(10)
    }

    /// One request and its answer.
    async fn ask(&mut self) -> io::Result<()> {
        match self.protocol {
            Protocol::Echo => {
                self.asked += 1;
                let line = format!("{:016}", self.asked);
                self.stream.write_all(line.as_bytes()).await?;
                let mut answer = [0; 16];
                timeout(ANSWER_MAX, self.stream.read_exact(&mut answer)).await??;
                if answer == line.as_bytes() { Ok(()) } else { Err(io::Error::other("another echo")) }
            }
            Protocol::Smpp if self.prompt() => self.request(ENQUIRE_LINK, b"").await,
            Protocol::Smpp => self.request(SUBMIT_SM, &message(false)).await,
        }
    }

    /// One SMPP request and its response. Receipts that come meanwhile are not acknowledged.
    async fn request(&mut self, command: u32, body: &[u8]) -> io::Result<()> {
        self.asked += 1;
        self.stream.write_all(&pdu(command, self.asked, body)).await?;
        loop {
            let (id, status, sequence) = self.pdu().await?;
            if id == DELIVER_SM {
                continue;
            }
            if (id, status, sequence) != (command | RESPONSE, 0, self.asked) {
                return Err(io::Error::other(format!("{id:#x} {status:#x} {sequence} to {command:#x} {}", self.asked)));
            }
            return Ok(());
        }
    }

    /// The next PDU's id, status and number.
    async fn pdu(&mut self) -> io::Result<(u32, u32, u32)> {
        loop {
            let word = |at: usize| {
                self.unread.get(at..at + 4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            };
            if let (Some(length), Some(id), Some(status), Some(sequence)) = (word(0), word(4), word(8), word(12))
                && self.unread.len() >= length as usize
            {
                self.unread.drain(..length as usize);
                if id == DELIVER_SM {
                    self.receipts.push(sequence);
                }
                return Ok((id, status, sequence));
            }
            if timeout(ANSWER_MAX, self.stream.read_buf(&mut self.unread)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn acknowledge(&mut self) -> io::Result<()> {
        for receipt in std::mem::take(&mut self.receipts) {
            self.stream.write_all(&pdu(DELIVER_SM | RESPONSE, receipt, b"\0")).await?;
        }
        Ok(())
    }
}

fn pdu(command: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("a short body");
    [&length.to_be_bytes(), &command.to_be_bytes(), &[0; 4], &sequence.to_be_bytes(), body].concat()
}

/// The body of a `submit_sm`, with a receipt or without.
fn message(receipt: bool) -> Vec<u8> {
    // No service type; source and destination; class, protocol, priority, schedule and validity.
    let mut body = b"\0\x01\x01447700900001\0\x01\x01447700900002\0\0\0\0\0\0".to_vec();
    // Replaces none, coding, none of the predefined; the text with its length.
    body.extend([u8::from(receipt), 0, 0, 0, 5]);
    body.extend(b"hello");
    body
}

const BIND_TRANSCEIVER: u32 = 9;
const SUBMIT_SM: u32 = 4;
const DELIVER_SM: u32 = 5;
const ENQUIRE_LINK: u32 = 0x15;
const RESPONSE: u32 = 0x8000_0000;

/// What is read, a line each; a thread reads it, since the runtime has none for files.
fn lines() -> mpsc::UnboundedReceiver<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).all(|_| sender.send(()).is_ok()));
    receiver
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}
