//! Durable updates, through the gateway and beside it: `updates gateway PORT CONNECTIONS SECONDS put|count` and
//! `updates sqlite FILE SECONDS`.
//!
//! Through the gateway each connection has one update of a row of the ledger under way, which is answered once it is committed;
//! `count` asks for as much and stores nothing, so it shows what connections and protocol allow. Beside it SQLite gets the same
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
        ["gateway", port, connections, seconds, verb @ ("put" | "count")] => {
            let port = u16::try_from(number(port)?).map_err(io::Error::other)?;
            let span = Duration::from_secs(number(seconds)?);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            LocalSet::new().block_on(&runtime, gateway(port, number(connections)? as usize, span, verb == "put"))?
        }
        ["sqlite", file, seconds] => sqlite(Path::new(file), Duration::from_secs(number(seconds)?))?,
        _ => {
            let usage = "usage: updates gateway PORT CONNECTIONS SECONDS put|count, or updates sqlite FILE SECONDS";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, usage));
        }
    };
    println!(r#"{{"updates": {updates}, "seconds": {:.6}, "cpu_seconds": {:.6}}}"#, took.as_secs_f64(), cpu::seconds());
    Ok(())
}

/// How many updates were answered, and within what time.
async fn gateway(port: u16, connections: usize, span: Duration, stores: bool) -> io::Result<(usize, Duration)> {
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
        asking.spawn_local(ask(stream, n, connections, stores, begun + span, Rc::clone(&answered)));
    }
    while let Some(done) = asking.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok((answered.get(), begun.elapsed()))
}

fn wait_for_a_line() -> io::Result<()> {
    io::stdin().read_line(&mut String::new()).map(drop)
}

/// Asks and waits for the answer, again and again. No two connections have a row in common.
async fn ask(
    mut stream: TcpStream,
    first: usize,
    step: usize,
    stores: bool,
    until: Instant,
    answered: Rc<Cell<usize>>,
) -> io::Result<()> {
    let (mut line, mut answer) = (Vec::new(), [0; 64]);
    for n in 0.. {
        if n % 16 == 0 && Instant::now() >= until {
            break;
        }
        let id = (first + n * step) % ROWS;
        line.clear();
        let verb = if stores { "put" } else { "count" };
        line.extend(format!("{verb} {id} ").as_bytes());
        line.extend(text(n));
        line.push(b'\n');
        stream.write_all(&line).await?;
        // The answer is short, and there is one at a time: it comes in one piece.
        let length = timeout(ANSWER_MAX, stream.read(&mut answer)).await??;
        let expected: &[u8] = if stores { b"ok " } else { b"counted " };
        if !answer[..length].starts_with(expected) || answer[length - 1] != b'\n' {
            return Err(io::Error::other(String::from_utf8_lossy(&answer[..length])));
        }
        answered.set(answered.get() + 1);
    }
    Ok(())
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
