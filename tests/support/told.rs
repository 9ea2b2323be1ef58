//! An ESME that is not ours and asks what a test tells it: [`Told`], of npm's smpp.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

use crate::patience::PATIENCE;
use crate::peer::{Peer, in_javascript};

/// It runs until it is dropped.
#[derive(Debug)]
pub struct Told {
    _peer: Peer,
    stdin: ChildStdin,
    said: Receiver<String>,
}

impl Told {
    /// Connects to where ESMEs bind; nothing where the library is not installed.
    ///
    /// # Panics
    /// Where it cannot be run.
    pub fn connect(port: u16) -> Option<Self> {
        let mut command = in_javascript("told.js")?;
        let mut peer = Peer::start(command.arg(port.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let stdout = BufReader::new(peer.child.stdout.take().expect("it is piped"));
        let (say, said) = channel();
        // Ends with the script, or with the test.
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Some(Told { stdin: peer.child.stdin.take().expect("it is piped"), _peer: peer, said })
    }

    /// Sends requests at once, each a command with its parameters.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn say(&mut self, requests: &[(&str, Value)]) {
        let line = serde_json::to_string(requests).expect("they are JSON");
        self.stdin.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    /// What answers the requests that were sent at once, in their order.
    ///
    /// # Panics
    /// Where they are not answered within [`PATIENCE`].
    pub fn hear(&mut self) -> Vec<Value> {
        let said = self.said.recv_timeout(PATIENCE).expect("the ESME is answered");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("what the ESME says is no JSON: {error}: {said}"))
    }

    /// Sends requests: what answers them.
    ///
    /// # Panics
    /// As [`say`](Told::say) and [`hear`](Told::hear).
    pub fn ask(&mut self, requests: &[(&str, Value)]) -> Vec<Value> {
        self.say(requests);
        self.hear()
    }

    /// The statuses of what answers.
    ///
    /// # Panics
    /// As [`ask`](Told::ask); and where the connection was closed instead.
    pub fn statuses(&mut self, requests: &[(&str, Value)]) -> Vec<u32> {
        self.ask(requests).iter().map(status).collect()
    }

    /// Binds as a transceiver, on another connection than before where it is bound already: the status.
    ///
    /// # Panics
    /// As [`statuses`](Told::statuses).
    pub fn bind(&mut self, account: &str) -> u32 {
        let bind = json!({ "system_id": account, "password": "secret" });
        self.statuses(&[("connect", Value::Null), ("bind_transceiver", bind)])[0]
    }

    /// Submits as many messages at once, from an address: how many were answered by each status, in the order of the first.
    ///
    /// # Panics
    /// As [`statuses`](Told::statuses).
    pub fn submit(&mut self, count: usize, from: &str) -> Vec<(u32, usize)> {
        let mut counts: Vec<(u32, usize)> = Vec::new();
        for status in self.statuses(&vec![("submit_sm", message(from)); count]) {
            match counts.iter_mut().find(|one| one.0 == status) {
                Some(one) => one.1 += 1,
                None => counts.push((status, 1)),
            }
        }
        counts
    }
}

/// The parameters of a `submit_sm` from an address to `200`.
pub fn message(from: &str) -> Value {
    json!({ "source_addr": from, "destination_addr": "200", "short_message": "hello" })
}

/// The status of an answer.
///
/// # Panics
/// Where there is none.
pub fn status(answer: &Value) -> u32 {
    let status = answer["status"].as_u64().and_then(|status| u32::try_from(status).ok());
    status.unwrap_or_else(|| panic!("no status: {answer}"))
}
