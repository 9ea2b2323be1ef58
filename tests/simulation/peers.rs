//! The peers, who know the truth: what they have said, what was answered, and so what must be. They look at nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::Break;
use super::chance::Chance;
use super::components::{knows_c, knows_d};

/// A peer: a row of its own, and one connection at a time.
pub(crate) struct Client {
    /// Its row.
    pub(crate) id: u64,
    next: u64,
    pub(crate) connection: Option<Connection>,
    rows: Rows,
}

/// What is known of its row: what was acknowledged must be there, what was not may be.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    told: u64,
    by_c: u64,
    last_d: u64,
    /// Of these it will never be known.
    maybe: u64,
}

/// A connection of it.
pub(crate) struct Connection {
    stream: UnixStream,
    unsent: Vec<u8>,
    read: Vec<u8>,
    /// What was asked and not answered, by its number.
    asked: BTreeMap<u64, Asked>,
    /// Those that are answered in their order.
    counted: VecDeque<u64>,
    /// What was answered to them: how many, and how many by editions that know of c and of d.
    answered: (u64, u64, u64),
    /// It was told goodbye.
    pub(crate) goodbye: bool,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Count,
    Write,
    Read(Rows),
    Admission(u64),
    Call,
    Time,
}

/// What a peer has found.
#[derive(Default)]
pub(crate) struct Heard {
    /// The lines, for the trace.
    pub(crate) lines: String,
    /// How many units it was admitted.
    pub(crate) units: u64,
    /// Its connection is at its end.
    pub(crate) closed: bool,
}

impl Client {
    pub(crate) fn new(id: u64) -> Self {
        Client { id, next: 0, connection: None, rows: Rows::default() }
    }

    /// Has another connection, and the end of it that is the gateway's.
    pub(crate) fn connect(&mut self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("it does not block");
        theirs.set_nonblocking(true).expect("it does not block");
        self.connection = Some(Connection {
            stream: ours,
            unsent: Vec::new(),
            read: Vec::new(),
            asked: BTreeMap::new(),
            counted: VecDeque::new(),
            answered: (0, 0, 0),
            goodbye: false,
        });
        theirs
    }

    /// Its connection is no more: what was not answered will not be.
    pub(crate) fn lose(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        self.rows.maybe += connection.asked.values().filter(|asked| matches!(asked, Asked::Write)).count() as u64;
    }

    /// How much it waits for.
    pub(crate) fn waits_for(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.asked.len())
    }

    /// Thinks of something to say. What it is, for the trace.
    pub(crate) fn ask(&mut self, chance: &mut Chance, breaks: Break) -> String {
        let (id, rows) = (self.id, self.rows);
        self.next += 1;
        let n = id * 1_000_000 + self.next;
        let (line, asked) = match chance.below(20) {
            0..8 => (format!("e {n}"), Asked::Count),
            8..12 => (format!("w {n} {id}"), Asked::Write),
            12..14 => (format!("r {n} {id}"), Asked::Read(rows)),
            14..17 => {
                let units = 1 + chance.below(3);
                (format!("m {n} {units}"), Asked::Admission(units))
            }
            17..19 => (format!("c {n}"), Asked::Call),
            _ => (format!("t {n} {}", 1 + chance.below(200)), Asked::Time),
        };
        self.say(n, &line, asked, chance, breaks);
        line
    }

    /// Asks for its row.
    pub(crate) fn ask_row(&mut self, chance: &mut Chance) {
        let (id, rows) = (self.id, self.rows);
        self.next += 1;
        let n = id * 1_000_000 + self.next;
        self.say(n, &format!("r {n} {id}"), Asked::Read(rows), chance, Break::Nothing);
    }

    fn say(&mut self, n: u64, line: &str, asked: Asked, chance: &mut Chance, breaks: Break) {
        let Some(connection) = &mut self.connection else { return };
        connection.asked.insert(n, asked);
        if matches!(asked, Asked::Count) {
            connection.counted.push_back(n);
        }
        let times = match breaks {
            Break::DeliversTwice if chance.percent(5) => 2,
            Break::LosesALine if chance.percent(5) => 0,
            _ => 1,
        };
        for _ in 0..times {
            connection.unsent.extend_from_slice(line.as_bytes());
            connection.unsent.push(b'\n');
        }
    }

    /// Sends some of what it has to say, maybe half a line of it. Says how much.
    pub(crate) fn send(&mut self, chance: &mut Chance, all: bool) -> usize {
        let Some(connection) = &mut self.connection else { return 0 };
        let length = connection.unsent.len();
        if length == 0 {
            return 0;
        }
        let some = if all || chance.percent(70) { length } else { 1 + chance.place(length) };
        match connection.stream.write(&connection.unsent[..some]) {
            Ok(sent) => {
                connection.unsent.drain(..sent);
                sent
            }
            // The gateway has closed it, which reading will tell.
            Err(_) => 0,
        }
    }

    /// Hears what was answered, and compares it with what must be.
    pub(crate) fn hear(&mut self) -> Result<Heard, String> {
        let mut heard = Heard::default();
        let Some(connection) = &mut self.connection else { return Ok(heard) };
        let mut buffer = [0; 4096];
        loop {
            match connection.stream.read(&mut buffer) {
                Ok(0) => {
                    heard.closed = true;
                    break;
                }
                Ok(read) => connection.read.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A reset: the gateway was killed with bytes unread.
                Err(_) => {
                    heard.closed = true;
                    break;
                }
            }
        }
        while let Some(end) = connection.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = connection.read.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let _ = write!(heard.lines, " [{line}]");
            if line == "bye" {
                connection.goodbye = true;
                continue;
            }
            heard.units += connection
                .answer(&line, &mut self.rows)
                .map_err(|why| format!("client {}: {why}; it was answered {line:?}", self.id))?;
        }
        Ok(heard)
    }
}

impl Connection {
    /// Takes an answer: it answers something that was asked, once, and says what must be. How many units it admits.
    fn answer(&mut self, line: &str, rows: &mut Rows) -> Result<u64, String> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| -> Result<u64, String> {
            words.get(at).and_then(|word| word.parse().ok()).ok_or_else(|| "that is no answer".to_owned())
        };
        let (n, edition) = (number(1)?, number(2)?);
        let asked = self.asked.remove(&n).ok_or("an event was handled twice, or was never there")?;
        let knows_d = knows_d(u32::try_from(edition).map_err(|error| error.to_string())?);
        match (words[0], asked) {
            ("e", Asked::Count) => {
                if self.counted.pop_front() != Some(n) {
                    return Err("events were handled in another order than they came".to_owned());
                }
                let (a, c, d) = &mut self.answered;
                *a += 1;
                *c += u64::from(knows_c(edition));
                *d += u64::from(knows_d);
                let (a, c, d) = (*a, *c, *d);
                let said = (number(3)?, number(4)?, number(5)?);
                if said.0 != a {
                    return Err(format!("{a} events were answered, and the state has counted {}", said.0));
                }
                if knows_c(edition) && said.1 != c {
                    return Err(format!("the state has lost a column: c is {}, and {c} were counted", said.1));
                }
                if knows_d && said.2 != d {
                    return Err(format!("the state has lost a column: d is {}, and {d} were counted", said.2));
                }
            }
            ("w", Asked::Write) => {
                if words.get(3) == Some(&"done") {
                    rows.told += 1;
                    rows.by_c += u64::from(knows_c(edition));
                    if knows_d {
                        rows.last_d = rows.last_d.max(n);
                    }
                }
            }
            ("r", Asked::Read(then)) => {
                if words.get(3) == Some(&"failed") {
                    return Ok(0);
                }
                let open = self.asked.values().filter(|asked| matches!(asked, Asked::Write)).count() as u64;
                let most = rows.told + rows.maybe + open;
                let (told, by_c, last_d) = (number(3)?, number(4)?, number(5)?);
                if told < then.told {
                    return Err(format!("{} writes were acknowledged, and the row has {told}", then.told));
                }
                if told > most {
                    return Err(format!("a write was done twice: the row has {told} of {most}"));
                }
                if knows_c(edition) && by_c < then.by_c {
                    return Err(format!("the row has lost a column: c is {by_c}, and was {} at least", then.by_c));
                }
                if knows_d && last_d < then.last_d {
                    return Err(format!("the row has lost a column: d is of {last_d}, and was of {}", then.last_d));
                }
            }
            ("m", Asked::Admission(units)) => return Ok(if words.get(3) == Some(&"yes") { units } else { 0 }),
            ("c", Asked::Call) if words.get(3) != Some(&"garbled") => {}
            ("t", Asked::Time) => {}
            _ => return Err(format!("that is no answer to {asked:?}")),
        }
        Ok(0)
    }
}
