//! A doorkeeper: a command a line, and an answer that comes when it does.
//!
//! `login N ACCOUNT SECRET` is answered by `N welcome ACCOUNT`, `N no` or `N later`; `forget N` takes the question back, and
//! says `N forgotten` or `N unknown`; `ping` says `pong` at once, `version` which version answers.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use tandem_component::Token;
use tandem_component::prelude::*;

/// The protocol.
pub struct Doorkeeper {
    version: String,
}

/// One connection: what it asked.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    asked: BTreeMap<u64, Token>,
}

/// Which login it was.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    /// By its number.
    Login {
        /// The number.
        n: u64,
    },
}

impl Component for Doorkeeper {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), starting: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Doorkeeper { version: starting.version.to_owned() })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation { asked: BTreeMap::new() })
    }
}

impl Session for Conversation {
    type Component = Doorkeeper;
    type Then = Waiting;

    fn handle(&mut self, it: &Doorkeeper, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { bytes, .. } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
                self.obey(it, line, out);
                out.consume(end + 1);
            }
            Event::Answer { then: Waiting::Login { n }, answer } => {
                self.asked.remove(&n);
                let answer = match answer {
                    Answer::Authenticated(Some(account)) => format!("{n} welcome {}\n", account.name()),
                    Answer::Authenticated(None) => format!("{n} no\n"),
                    _ => format!("{n} later\n"),
                };
                out.send(Stream::OWN, answer.as_bytes());
            }
            Event::End { stream } => out.close(stream),
            Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

impl Conversation {
    fn obey(&mut self, it: &Doorkeeper, line: &str, out: &mut Out<'_, Self>) {
        let mut words = line.splitn(4, ' ');
        let verb = words.next().unwrap_or_default();
        let n = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        match verb {
            "login" => {
                let (account, secret) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let token = out.authenticate(account, secret.as_bytes(), Waiting::Login { n });
                self.asked.insert(n, token);
            }
            "forget" => {
                let then = self.asked.remove(&n).and_then(|token| out.cancel(token));
                let word = if then.is_some() { "forgotten" } else { "unknown" };
                out.send(Stream::OWN, format!("{n} {word}\n").as_bytes());
            }
            "ping" => out.send(Stream::OWN, b"pong\n"),
            "version" => out.send(Stream::OWN, format!("{}\n", it.version).as_bytes()),
            _ => out.send(Stream::OWN, b"what\n"),
        }
    }
}

export_component!(Doorkeeper);
