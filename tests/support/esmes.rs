//! ESMEs that are not ours, run by a script under `tests/peers`: [`Esmes`], what they do, and what they have seen.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde::Deserialize;

use crate::patience::{PATIENCE, eventually};
use crate::peer::{Peer, in_javascript, in_python};

/// Running ESMEs. They submit and take receipts until they are told to finish. Whether what they submit goes `beyond` the
/// gateway, they have to know: it cannot be cancelled then, and there are replies.
#[derive(Debug)]
pub struct Esmes {
    peer: Peer,
    /// Ends when they are told to finish.
    stdin: Option<ChildStdin>,
    said: Receiver<String>,
    /// How far they were when they last said it.
    progress: Progress,
}

/// How far ESMEs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Progress {
    /// ESMEs that are bound.
    pub binds: u64,
    /// `submit_sm` that were answered.
    pub answered: u64,
    /// Receipts that came.
    pub receipts: u64,
}

/// What ESMEs have seen until they unbound.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// Each `submit_sm` that was answered.
    pub messages: Vec<Submitted>,
    /// For each receipt, the message's name.
    pub receipts: Vec<String>,
    /// Each reply, as an SMSC beyond the gateway sends them.
    pub replies: Vec<String>,
    /// `enquire_link` of the gateway.
    pub enquired: u64,
    /// Responses to `enquire_link` of their own.
    pub enquiries_answered: u64,
    /// Whatever should not have come.
    pub unexpected: Vec<String>,
}

/// A message that was submitted.
#[derive(Debug, Deserialize)]
pub struct Submitted {
    /// What its response calls it.
    pub id: String,
    /// From which address.
    pub source: String,
    /// What was submitted, in hexadecimal digits.
    pub content: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Report { report: Report },
    Progress(Progress),
}

/// What the ESMEs bind as: `quiet` submits nothing, `late` binds when it is told to, and `steady` is there where messages go
/// beyond the gateway, and submits one after the other. Each submits from an address of its own: `100` the first, and so on.
pub const ACCOUNTS: [&str; 5] = ["busy", "pair", "steady", "late", "quiet"];

impl Esmes {
    /// Those of smpplib, in Python; nothing where it is not installed.
    pub fn of_smpplib(port: u16, beyond: bool) -> Option<Self> {
        in_python("esmes.py").map(|mut command| Esmes::start(&mut command, port, beyond))
    }

    /// Those of npm's smpp, in JavaScript; nothing where it is not installed.
    pub fn of_node_smpp(port: u16, beyond: bool) -> Option<Self> {
        in_javascript("esmes.js").map(|mut command| Esmes::start(&mut command, port, beyond))
    }

    fn start(command: &mut Command, port: u16, beyond: bool) -> Self {
        command.arg(port.to_string()).args(beyond.then_some("beyond")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut peer = Peer::start(command);
        let (say, said) = channel();
        let stdout = BufReader::new(peer.child.stdout.take().expect("it is piped"));
        // Ends with the script, or with the test. How many lines wait is bounded by how long a test takes.
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Esmes { stdin: peer.child.stdin.take(), peer, said, progress: Progress::default() }
    }

    /// Waits until they are so far.
    ///
    /// # Panics
    /// Where they end before that, or within [`PATIENCE`] are not so far.
    pub fn until(&mut self, what: &str, so_far: impl Fn(Progress) -> bool) -> Progress {
        eventually(what, || {
            self.listen();
            so_far(self.progress).then_some(self.progress)
        })
    }

    /// How far they are now.
    ///
    /// # Panics
    /// Where they have ended.
    pub fn progress(&mut self) -> Progress {
        self.listen();
        self.progress
    }

    /// Has another one bind, and waits until it is bound.
    ///
    /// # Panics
    /// Where it is not.
    pub fn bind(&mut self) {
        let binds = self.progress.binds;
        self.stdin.as_mut().expect("they were not told to finish").write_all(b"bind\n").expect("they listen");
        self.until("another bind", |now| now.binds == binds + 1);
    }

    /// Has them submit no more, and waits until all that is owed to them has come.
    ///
    /// # Panics
    /// Where that does not come within [`PATIENCE`].
    pub fn finish(mut self) -> Report {
        self.stdin = None;
        let begun = Instant::now();
        let report = loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.said.recv_timeout(left).map(|line| read(&line)) {
                Ok(Line::Report { report }) => break report,
                Ok(Line::Progress(progress)) => self.progress = progress,
                Err(error) => panic!("the ESMEs do not finish: {error}; {:?}", self.progress),
            }
        };
        assert!(self.peer.ended().success(), "they have ended by themselves");
        report
    }

    fn listen(&mut self) {
        while let Ok(line) = self.said.try_recv() {
            match read(&line) {
                Line::Progress(progress) => self.progress = progress,
                Line::Report { .. } => panic!("nobody has told them to finish"),
            }
        }
        let ended = self.peer.child.try_wait().expect("the child is ours");
        assert!(ended.is_none(), "the ESMEs have ended: {ended:?}");
    }
}

impl Report {
    /// The names of all messages.
    ///
    /// # Panics
    /// Where two have the same.
    pub fn names(&self) -> BTreeSet<&str> {
        let names: BTreeSet<&str> = self.messages.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(names.len(), self.messages.len(), "each message has a name of its own");
        names
    }
}

fn read(line: &str) -> Line {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("what the ESMEs say is no JSON: {error}: {line}"))
}
