//! An SMSC that is not ours, which the gateway binds to as an ESME: [`Beyond`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::bytes::Chance;
use crate::patience::eventually;
use crate::peer::{Peer, in_javascript, in_python};
use crate::port::free_port;
use crate::process::established;

/// A running one, made of a library by a script under `tests/peers`.
#[derive(Debug)]
pub struct Beyond {
    script: fn() -> Option<Command>,
    peer: Peer,
    /// Where it listens.
    pub port: u16,
    log: PathBuf,
    seed: u64,
}

/// What it has seen and done.
#[derive(Debug, Default)]
pub struct Happened {
    /// What was submitted to it, in its order.
    pub taken: Vec<Taken>,
    /// For each receipt that was answered for good, the message's name and the status.
    pub receipted: Vec<(String, u32)>,
    /// The same for replies, by their text.
    pub replied: Vec<(String, u32)>,
    /// How often it was bound, unbound, asked whether it is there, and answered when it asked.
    pub counts: BTreeMap<&'static str, usize>,
    /// Statuses of `deliver_sm_resp` that had it send again.
    pub later: BTreeSet<u32>,
    /// Whatever should not have come.
    pub wrong: Vec<String>,
}

/// A message that was submitted to it.
#[derive(Debug, Deserialize)]
pub struct Taken {
    /// What it calls the message.
    #[serde(rename = "took")]
    pub id: String,
    /// From which address.
    pub source: String,
    /// In hexadecimal digits.
    pub content: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Took(Taken),
    Receipted { receipted: String, status: u32 },
    Replied { replied: String, status: u32 },
    Later { later: u32 },
    Wrong { wrong: String },
    Other(BTreeMap<String, bool>),
}

impl Beyond {
    /// Starts one of npm's smpp, in JavaScript; nothing where it is not installed.
    pub fn of_node_smpp(directory: &Path) -> Option<Self> {
        Beyond::start(|| in_javascript("smsc.js"), directory)
    }

    /// Starts one of smpp.twisted, in Python; nothing where it is not installed.
    pub fn of_twisted(directory: &Path) -> Option<Self> {
        Beyond::start(|| in_python("smsc.py"), directory)
    }

    fn start(script: fn() -> Option<Command>, directory: &Path) -> Option<Self> {
        let (port, log, seed) = (free_port(), directory.join("beyond.log"), Chance::new().draw());
        let peer = run(&mut script()?, port, &log, seed, 1);
        Some(Beyond { script, peer, port, log, seed })
    }

    /// Kills it. It is [started](Beyond::start_again) later, or never.
    ///
    /// # Panics
    /// Never: the child is ours.
    pub fn kill(&mut self) {
        self.peer.child.kill().expect("the child is ours");
        self.peer.child.wait().expect("the child is ours");
    }

    /// Starts it after it was killed. It goes on from what it has written down.
    ///
    /// # Panics
    /// Where it does not listen.
    pub fn start_again(&mut self) {
        let before = self.happened().count("listening");
        self.seed = self.seed.wrapping_add(1);
        let mut command = (self.script)().expect("it was there before");
        self.peer = run(&mut command, self.port, &self.log, self.seed, before + 1);
    }

    /// The gateway's connections to it that are there now.
    pub fn connections(&self) -> BTreeSet<u16> {
        established(self.port)
    }

    /// All that has happened until now.
    ///
    /// # Panics
    /// Where it has written what nobody here knows.
    pub fn happened(&self) -> Happened {
        happened(&self.log)
    }
}

impl Happened {
    /// How often something has happened that is only counted.
    pub fn count(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }
}

/// Runs one, and waits until it listens for the `nth` time.
fn run(command: &mut Command, port: u16, log: &Path, seed: u64, nth: usize) -> Peer {
    let peer = Peer::start(command.arg(port.to_string()).arg(log).arg(seed.to_string()));
    eventually("the SMSC listens", || (log.exists() && happened(log).count("listening") == nth).then_some(()));
    peer
}

fn happened(log: &Path) -> Happened {
    const COUNTED: [&str; 6] = ["listening", "bound", "unbound", "closed", "enquired", "enquiry_answered"];
    let text = fs::read_to_string(log).expect("the SMSC writes a log");
    let mut all = Happened::default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        match serde_json::from_str(line).unwrap_or_else(|error| panic!("what the SMSC says: {error}: {line}")) {
            Line::Took(message) => all.taken.push(message),
            Line::Receipted { receipted, status } => all.receipted.push((receipted, status)),
            Line::Replied { replied, status } => all.replied.push((replied, status)),
            Line::Later { later } => drop(all.later.insert(later)),
            Line::Wrong { wrong } => all.wrong.push(wrong),
            Line::Other(counted) => {
                let known = COUNTED.into_iter().find(|what| counted.contains_key(*what));
                *all.counts.entry(known.unwrap_or_else(|| panic!("the SMSC says {line}"))).or_default() += 1;
            }
        }
    }
    all
}
