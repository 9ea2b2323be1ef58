//! Panics in the entry that it is told, of each that the host may call: by its configuration where no peer has a say yet, and by a line
//! where one has.
//!
//! | said | answered, or what happens |
//! |---|---|
//! | `at ENTRY` | `armed`: the session panics in that entry, whenever it is called |
//! | `do EVENT` | what brings that event about |
//! | anything else | the version, and the line |
//!
//! With `ends = true` it does not panic there, but ends the process.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserializer, Serializer};
use tandem_component::prelude::*;

const NOTES: Table = Table {
    name: "notes",
    key: &["id"],
    columns: &[Column::new("id", Kind::Integer), Column::new("text", Kind::Text).or(Literal::Null).unique()],
};

#[derive(Serialize)]
struct Note {
    id: i64,
    text: &'static str,
}

/// The protocol.
pub struct Entries {
    number: String,
    at: Option<Entry>,
}

/// `[service.NAME.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where versions panic, by their numbers. Not in the examination.
    #[serde(default)]
    at: BTreeMap<String, Entry>,
    /// They do not panic, they end the process.
    #[serde(default)]
    ends: bool,
    /// Where it is there, reading the configuration panics.
    #[serde(default, rename = "unreadable")]
    _unreadable: Option<Unreadable>,
}

struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("as it was told, at config");
    }
}

/// An entry that is called before a peer has said anything.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// It is started, …
    Start,
    /// … and stopped.
    Stop,
    /// A session is opened on a connection,
    Open,
    /// … for one request,
    OpenForRequest,
    /// … told so,
    Opened,
    /// … read as another version has written it,
    State,
    /// … and told that it goes on here.
    Resumed,
}

/// Reading a state knows no component, so the library has it: it has one service.
static READS_NO_STATE: AtomicBool = AtomicBool::new(false);
/// So it has whether that ends the process.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Panics, or worse.
#[track_caller]
fn fall(at: &str) {
    if ENDS.load(Ordering::Relaxed) {
        std::process::abort();
    }
    panic!("as it was told, at {at}");
}

/// One conversation.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    /// Where it panics.
    at: String,
    state: Trap,
    kept: Vec<RequestId>,
    /// It is known whose the line at hand is.
    routed: bool,
}

/// A part of the state that cannot be written where it is set.
struct Trap(bool);

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 {
            fall("export");
        }
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if READS_NO_STATE.load(Ordering::Relaxed) {
            fall("state");
        }
        <()>::deserialize(deserializer).map(|()| Trap(false))
    }
}

impl Component for Entries {
    type Config = Config;
    type Session = Conversation;
    const TABLES: &'static [Table] = &[NOTES];
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let number = starting.version.split(['@', '#']).nth(1).unwrap_or_default().to_owned();
        let examined = std::env::args().nth(1).is_some_and(|command| command == "examine");
        let at = config.at.get(&number).copied().filter(|_| !examined);
        ENDS.store(config.ends, Ordering::Relaxed);
        READS_NO_STATE.store(at == Some(Entry::State), Ordering::Relaxed);
        let entries = Entries { number, at };
        entries.pass(Entry::Start, "start");
        Ok(entries)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
        match opening.transport {
            Transport::Call => self.pass(Entry::OpenForRequest, "open-for-request"),
            _ => self.pass(Entry::Open, "open"),
        }
        Ok(Conversation { at: String::new(), state: Trap(false), kept: Vec::new(), routed: false })
    }
}

impl Entries {
    #[track_caller]
    fn pass(&self, entry: Entry, name: &str) {
        if self.at == Some(entry) {
            fall(name);
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        // One that did not start is dropped as well, while it panics.
        if !std::thread::panicking() {
            self.pass(Entry::Stop, "stop");
        }
    }
}

impl Session for Conversation {
    type Component = Entries;
    type Then = ();

    fn handle(&mut self, entries: &Entries, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        self.pass(name(&event));
        match event {
            Event::Opened => {
                entries.pass(Entry::Opened, "opened");
            }
            Event::Bytes { stream: Stream::OWN, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = String::from_utf8_lossy(&bytes[..end]);
                if line == "do routed" && !self.routed {
                    out.route(b"somebody");
                    return Ok(());
                }
                if let Some(answer) = self.obey(entries, &line, out)? {
                    out.send(Stream::OWN, answer.as_bytes());
                }
                out.consume(end + 1);
            }
            Event::Bytes { bytes, .. } => out.consume(bytes.len()),
            Event::Datagram { bytes } => {
                if let Some(answer) = self.obey(entries, &String::from_utf8_lossy(bytes), out)? {
                    out.send(Stream::OWN, answer.as_bytes());
                }
            }
            Event::Request { id, request } => {
                let text: String = request.read().map_err(|misfit| misfit.to_string())?;
                match text.split_once(' ') {
                    // It is asked again once it is armed: the session is one request's.
                    Some(("at", "request")) => panic!("as it was told, at request"),
                    Some(("at", entry)) => {
                        self.at = entry.to_owned();
                        self.kept.push(id);
                    }
                    _ => out.answer(id, &entries.number),
                }
            }
            Event::Routed { bound } => self.routed = bound.is_ok(),
            // It is told that the stream is gone, which one that closes it is not.
            Event::End { stream } if self.at == "closed" => out.finish(stream),
            Event::End { .. } | Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        self.pass("boundary");
        true
    }

    fn resumed(&mut self, entries: &Entries, _: &Opening<'_>) -> Result<(), Refusal> {
        entries.pass(Entry::Resumed, "resumed");
        Ok(())
    }

    fn last_words(&mut self, _: &Entries, out: &mut Out<'_, Self>) {
        self.pass("last-words");
        out.send(Stream::OWN, b"sorry\n");
    }
}

impl Conversation {
    #[track_caller]
    fn pass(&self, entry: &str) {
        if self.at == entry {
            fall(entry);
        }
    }

    /// Does what a line says.
    fn obey(&mut self, entries: &Entries, line: &str, out: &mut Out<'_, Self>) -> Result<Option<String>, Fault> {
        let (verb, what) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, what) {
            ("at", entry) => {
                self.at = entry.to_owned();
                self.state = Trap(entry == "export");
                return Ok(Some("armed\n".to_owned()));
            }
            ("do", "dialed") => drop(out.dial("there", ())),
            ("do", "dial-failed") => drop(out.dial("nowhere", ())),
            ("do", "forwarded") => drop(out.forward(Forward::bytes(Stream::OWN, Stream::OWN, 0), ())),
            ("do", "forward-failed") => drop(out.forward(Forward::bytes(Stream(99), Stream::OWN, 1), ())),
            ("do", "timeout") => drop(out.after(Duration::ZERO, ())),
            ("do", "writable") => drop(out.writable(Stream::OWN, ())),
            ("do", "row") => drop(out.get(&NOTES, &1, ())),
            ("do", "rows") => drop(out.scan(&Scan::of(&NOTES), ())),
            ("do", "changed") => drop(out.insert(&NOTES, &Note { id: 1, text: "first" }, ())),
            ("do", "store-failed") => {
                out.put(&NOTES, &Note { id: 2, text: "twice" });
                out.put(&NOTES, &Note { id: 3, text: "twice" });
            }
            ("do", "answered") => drop(out.call("alone", &"echo", ())),
            ("do", "call-failed") => drop(out.call("nobody", &"echo", ())),
            ("do", "authenticated") => drop(out.authenticate("nobody", b"secret", ())),
            ("do", "admitted") => drop(out.admit(Admission::of("nobody"), ())),
            ("do", "last-words") => return Err("as it was told".into()),
            _ => return Ok(Some(format!("{} {line}\n", entries.number))),
        }
        Ok(None)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.pass("close");
        }
    }
}

/// What an event is called in this protocol.
fn name(event: &Event<'_, ()>) -> &'static str {
    match event {
        Event::Opened => "opened",
        Event::Bytes { .. } => "bytes",
        Event::End { .. } => "end",
        Event::Datagram { .. } => "datagram",
        Event::Request { .. } => "request",
        Event::Withdrawn { .. } => "withdrawn",
        Event::Timeout { .. } => "timeout",
        Event::Writable { .. } => "writable",
        Event::Closed { .. } => "closed",
        Event::StoreFailed { .. } => "store-failed",
        Event::Routed { .. } => "routed",
        Event::Drain { .. } => "drain",
        Event::Answer { answer, .. } => match answer {
            Answer::Dialed { .. } => "dialed",
            Answer::DialFailed { .. } => "dial-failed",
            Answer::Forwarded { .. } => "forwarded",
            Answer::ForwardFailed { .. } => "forward-failed",
            Answer::Row(_) => "row",
            Answer::Rows(_) => "rows",
            Answer::Changed(_) => "changed",
            Answer::Answered(_) => "answered",
            Answer::CallFailed(_) => "call-failed",
            Answer::Authenticated(_) => "authenticated",
            Answer::Admitted => "admitted",
            _ => "another answer",
        },
        _ => "another event",
    }
}

export_component!(Entries);
