//! A doorkeeper: a command a line, and an answer that comes when it does.
//!
//! `login N ACCOUNT SECRET` is answered by `N welcome ACCOUNT`, `N no` or `N later`; `forget N` takes the question back, and
//! says `N forgotten` or `N unknown`; `ping` says `pong` at once, `version` which version answers.
//!
//! `admit N ACCOUNT [UNITS] [SENDER]`, `hold N ACCOUNT` (held until `done N`) and `session N ACCOUNT` are answered by `N admitted`,
//! `N refused LIMIT [UNTIL]` or `N later`. `flood N ACCOUNT` asks so many times, one after the other, and then says how many
//! were admitted and how many refused: `flooded A R`. `call N SERVICE` says `N called`, or `N failed WHY`; `dial N UPSTREAM` says `N dialed`,
//! or as much.

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
    /// What is held.
    #[serde(default)]
    held: BTreeMap<u64, Token>,
    #[serde(default)]
    flood: Option<Flood>,
}

/// Many admissions, one after the other.
#[derive(Serialize, Deserialize)]
struct Flood {
    account: String,
    left: u64,
    admitted: u64,
    refused: u64,
}

/// Which login it was.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    /// By its number.
    Login {
        /// The number.
        n: u64,
    },
    /// An admission, by its number.
    Admission {
        /// The number.
        n: u64,
    },
    /// A call or a dial, by its number.
    Elsewhere {
        /// The number.
        n: u64,
    },
    /// The next one of many.
    Flood,
}

impl Component for Doorkeeper {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), starting: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Doorkeeper { version: starting.version.to_owned() })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation { asked: BTreeMap::new(), held: BTreeMap::new(), flood: None })
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
                    Answer::Suspended(account) => format!("{n} suspended {}\n", account.name()),
                    Answer::PutOff { until } => format!("{n} in {}\n", until.since(out.now()).as_secs()),
                    _ => format!("{n} later\n"),
                };
                out.send(Stream::OWN, answer.as_bytes());
            }
            Event::Answer { then: Waiting::Admission { n }, answer } => {
                let answer = match answer {
                    Answer::Admitted => format!("{n} admitted\n"),
                    Answer::Refused { limit, frees_at: Some(at) } => {
                        format!("{n} refused {limit} {}\n", at.since(out.now()).as_millis())
                    }
                    Answer::Refused { limit, frees_at: None } => format!("{n} refused {limit}\n"),
                    _ => format!("{n} later\n"),
                };
                out.send(Stream::OWN, answer.as_bytes());
            }
            Event::Answer { then: Waiting::Elsewhere { n }, answer } => {
                let answer = match answer {
                    Answer::CallFailed(why) => format!("{n} failed {why:?}\n"),
                    Answer::DialFailed { why, .. } => format!("{n} failed {why:?}\n"),
                    Answer::Dialed { stream, .. } => {
                        out.close(stream);
                        format!("{n} dialed\n")
                    }
                    _ => format!("{n} called\n"),
                };
                out.send(Stream::OWN, answer.as_bytes());
            }
            Event::Request { id, .. } => out.answer(id, &()),
            Event::Answer { then: Waiting::Flood, answer } => {
                if let Some(flood) = &mut self.flood {
                    match answer {
                        Answer::Admitted => flood.admitted += 1,
                        _ => flood.refused += 1,
                    }
                }
                self.flood(out);
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
    /// Asks for the next one of many, or says what came of them.
    fn flood(&mut self, out: &mut Out<'_, Self>) {
        let Some(flood) = &mut self.flood else { return };
        if flood.left == 0 {
            out.send(Stream::OWN, format!("flooded {} {}\n", flood.admitted, flood.refused).as_bytes());
            self.flood = None;
            return;
        }
        flood.left -= 1;
        out.admit(flood.account.as_str(), Waiting::Flood);
    }

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
            "admit" | "hold" | "session" => {
                let account = words.next().unwrap_or_default();
                let mut more = words.next().unwrap_or_default().split(' ');
                let admission = match verb {
                    "hold" => Admission::of(account).held(),
                    "session" => Admission::session(account),
                    _ => Admission::of(account),
                };
                let admission = match more.next().and_then(|units| units.parse().ok()) {
                    Some(units) => admission.units(units),
                    None => admission,
                };
                let admission = more.next().map_or(admission, |sender| admission.sender(sender));
                let token = out.admit(admission, Waiting::Admission { n });
                if verb != "admit" {
                    self.held.insert(n, token);
                }
            }
            "done" => {
                if let Some(token) = self.held.remove(&n) {
                    out.done(token);
                }
                out.send(Stream::OWN, format!("{n} done\n").as_bytes());
            }
            "call" => drop(out.call(words.next().unwrap_or_default(), &(), Waiting::Elsewhere { n })),
            "dial" => drop(out.dial(words.next().unwrap_or_default(), Waiting::Elsewhere { n })),
            "flood" => {
                let account = words.next().unwrap_or_default().to_owned();
                self.flood = Some(Flood { account, left: n, admitted: 0, refused: 0 });
                self.flood(out);
            }
            "ping" => out.send(Stream::OWN, b"pong\n"),
            "version" => out.send(Stream::OWN, format!("{}\n", it.version).as_bytes()),
            _ => out.send(Stream::OWN, b"what\n"),
        }
    }
}

export_component!(Doorkeeper);
