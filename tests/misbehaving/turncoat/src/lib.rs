//! Answers each line with its version and how many lines there were, but for the versions of which the configuration says that they
//! misbehave.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tandem_component::prelude::*;

/// The protocol.
pub struct Turncoat {
    number: String,
    misbehaves: Option<How>,
}

/// `[service.NAME.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How versions misbehave, by their numbers.
    #[serde(default)]
    misbehaves: BTreeMap<String, How>,
}

/// What a version does that it must not.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It panics at each line.
    Panics,
    /// It gives up at each line.
    Faults,
    /// It panics as a session opens.
    Opens,
    /// It panics at each hundredth line of a session.
    Seldom,
    /// It gives up what it does not know: the sessions of others.
    Refuses,
    /// It does nothing of what is asked, and says so.
    Fails,
    /// It takes its time, or says so.
    Slow,
    /// It gives up at a line that comes while it has more than `CROWD` sessions.
    Crowded,
}

/// How many sessions are too many where that is how it misbehaves.
const CROWD: usize = 12;
/// How many there are of all instances of this version.
static SESSIONS: AtomicUsize = AtomicUsize::new(0);

/// While it is there, there is a session more.
struct Present(());

impl Present {
    fn new() -> Self {
        SESSIONS.fetch_add(1, Ordering::Relaxed);
        Present(())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        SESSIONS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Serialize)]
struct Told {
    line: u64,
}

/// One conversation.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    lines: u64,
    #[serde(skip, default = "Present::new")]
    _present: Present,
}

impl Component for Turncoat {
    type Config = Config;
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let number = starting.version.split(['@', '#']).nth(1).unwrap_or_default().to_owned();
        let misbehaves = config.misbehaves.get(&number).copied();
        Ok(Turncoat { number, misbehaves })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        if self.misbehaves == Some(How::Opens) {
            panic!("as it was told");
        }
        Ok(Conversation { lines: 0, _present: Present::new() })
    }
}

impl Session for Conversation {
    type Component = Turncoat;
    type Then = ();

    fn handle(&mut self, turncoat: &Turncoat, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { bytes, .. } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                self.lines += 1;
                match turncoat.misbehaves {
                    Some(How::Panics) => panic!("as it was told"),
                    Some(How::Faults) => return Err("as it was told".into()),
                    Some(How::Crowded) if SESSIONS.load(Ordering::Relaxed) > CROWD => {
                        return Err("it is too much".into());
                    }
                    Some(How::Seldom) if self.lines.is_multiple_of(100) => panic!("as it was told"),
                    _ => {}
                }
                // `am NAME`: whose the session is.
                if let Some(name) = bytes[..end].strip_prefix(b"am ") {
                    out.authenticate(&String::from_utf8_lossy(name), b"secret", ());
                }
                let failed = turncoat.misbehaves == Some(How::Fails);
                let slow = turncoat.misbehaves == Some(How::Slow);
                let outcome = if failed { Outcome::Failed } else { Outcome::Done };
                let duration = Duration::from_millis(if slow { 20 } else { 1 });
                out.record(Record { duration, ..Record::of(outcome) }, &Told { line: self.lines });
                out.send(Stream::OWN, format!("{} {}\n", turncoat.number, self.lines).as_bytes());
                out.consume(end + 1);
            }
            Event::End { .. } | Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }

    fn resumed(&mut self, turncoat: &Turncoat, _: &Opening<'_>) -> Result<(), Refusal> {
        match turncoat.misbehaves {
            Some(How::Refuses) => Err("as it was told".into()),
            _ => Ok(()),
        }
    }
}

export_component!(Turncoat);
