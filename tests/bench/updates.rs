//! Durable updates, through the gateway and beside it: `updates gateway PORT CONNECTIONS WINDOW SECONDS put|count` and
//! `updates sqlite FILE SECONDS`.
//!
//! Through the gateway each connection has as many updates of rows of the ledger under way as its window allows, each of which is
//! answered once it is committed; `count` asks for as much and stores nothing, so it shows what connections and protocol allow. Beside it SQLite gets the same
//! rows in the same table under the same settings, one thread, one prepared statement, [`BATCH`] updates a transaction.
//!
//! Either begins once it has read a line, so that what counts along is there first.

mod cpu;

use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rusqlite::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

/// So many updates are one transaction of the bare SQLite.
const BATCH: usize = 64;
/// So many rows are written again and again.
const ROWS: usize = 65_536;
/// A row's text is so long.
const TEXT_BYTES: usize = 100;
const ANSWER_MAX: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
    let (updates, took) = match words[..] {
        ["gateway", port, connections, window, seconds, verb @ ("put" | "count")] => {
            let port = u16::try_from(number(port)?).map_err(io::Error::other)?;
            let (connections, window) = (number(connections)? as usize, number(window)? as usize);
            let span = Duration::from_secs(number(seconds)?);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            LocalSet::new().block_on(&runtime, gateway(port, connections, window, span, verb == "put"))?
        }
        ["sqlite", file, seconds] => sqlite(Path::new(file), Duration::from_secs(number(seconds)?))?,
        _ => {
            let usage =
                "usage: updates gateway PORT CONNECTIONS WINDOW SECONDS put|count, or updates sqlite FILE SECONDS";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, usage));
        }
    };
    println!(r#"{{"updates": {updates}, "seconds": {:.6}, "cpu_seconds": {:.6}}}"#, took.as_secs_f64(), cpu::seconds());
    Ok(())
}

/// How many updates were answered, and within what time.
async fn gateway(
    port: u16,
    connections: usize,
    window: usize,
    span: Duration,
    stores: bool,
) -> io::Result<(usize, Duration)> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    wait_for_a_line()?;
    let (begun, answered) = (Instant::now(), Rc::new(Cell::new(0)));
    let mut asking = JoinSet::new();
    for (n, stream) in streams.into_iter().enumerate() {
        let rows = (n..ROWS).step_by(connections).cycle();
        asking.spawn_local(ask(stream, rows, window, stores, begun + span, Rc::clone(&answered)));
    }
    while let Some(done) = asking.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok((answered.get(), begun.elapsed()))
}

fn wait_for_a_line() -> io::Result<()> {
    io::stdin().read_line(&mut String::new()).map(drop)
}

/// Keeps the window full, and reads the answers: as many as come at once are followed by as many updates in one write.
async fn ask(
    mut stream: TcpStream,
    mut rows: impl Iterator<Item = usize>,
    window: usize,
    stores: bool,
    until: Instant,
    answered: Rc<Cell<usize>>,
) -> io::Result<()> {
    let (verb, expected): (_, &[u8]) = if stores { ("put", b"ok ") } else { ("count", b"counted ") };
    let (mut lines, mut answers) = (Vec::new(), BytesMut::with_capacity(64 * 1024));
    let (mut under_way, mut n) = (0, 0);
    loop {
        lines.clear();
        while under_way < window && Instant::now() < until {
            lines.extend(format!("{verb} {} ", rows.next().unwrap_or_default()).as_bytes());
            lines.extend(text(n));
            lines.push(b'\n');
            (under_way, n) = (under_way + 1, n + 1);
        }
        stream.write_all(&lines).await?;
        if under_way == 0 {
            return Ok(());
        }
        if timeout(ANSWER_MAX, stream.read_buf(&mut answers)).await?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(end) = answers.iter().position(|byte| *byte == b'\n') {
            let answer = answers.split_to(end + 1);
            if !answer.starts_with(expected) {
                return Err(io::Error::other(String::from_utf8_lossy(&answer)));
            }
            under_way -= 1;
            answered.set(answered.get() + 1);
        }
    }
}

fn text(n: usize) -> impl Iterator<Item = u8> {
    let letter = b'a' + (n % 26) as u8;
    std::iter::repeat_n(letter, TEXT_BYTES)
}

/// Writes the ledger's rows as the gateway's store does, in a file opened as that opens its own.
fn sqlite(file: &Path, span: Duration) -> io::Result<(usize, Duration)> {
    let mut connection = opened(file).map_err(io::Error::other)?;
    wait_for_a_line()?;
    write(&mut connection, span).map_err(io::Error::other)
}

fn opened(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS entries (id INTEGER, name TEXT DEFAULT 'nobody', amount INTEGER DEFAULT 0, \
         PRIMARY KEY (id)) STRICT; CREATE INDEX IF NOT EXISTS amounts ON entries (amount)",
    )?;
    Ok(connection)
}

fn write(connection: &mut Connection, span: Duration) -> rusqlite::Result<(usize, Duration)> {
    let (begun, mut updates) = (Instant::now(), 0);
    while begun.elapsed() < span {
        let transaction = connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT INTO entries (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            )?;
            for n in updates..updates + BATCH {
                let name: String = text(n / ROWS).map(char::from).collect();
                put.execute(((n % ROWS) as i64, name))?;
            }
        }
        transaction.commit()?;
        updates += BATCH;
    }
    Ok((updates, begun.elapsed()))
}
