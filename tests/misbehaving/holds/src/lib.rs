//! Answers each line with its version's number in front, and does not come back from the call that the line says: `hold at export`.
//!
//! `hold` is held at once, and `admit ACCOUNT` holds an admission for as long as the session is there. After `stay` it says goodbye and
//! stays. A request is answered as a line is.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::sync::OnceLock;

use serde::Serializer;
use tandem_component::prelude::*;

/// The protocol.
pub struct Holds {
    number: String,
    opens_without: Option<PathBuf>,
}

/// `[service.NAME.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is held comes back once this file is there.
    comes_back_with: PathBuf,
    /// It is held where a session is opened, or the component started, while this file is there.
    opens_without: Option<PathBuf>,
    /// It is held where the component is started while this file is there, unless it is being examined.
    starts_without: Option<PathBuf>,
}

/// One conversation.
#[derive(Deserialize)]
#[serde(from = "State")]
pub struct Conversation {
    state: State,
    /// It was resumed by this version.
    resumed: bool,
}

/// What is exported of it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// The call that it does not come back from.
    at: Option<At>,
    /// It says goodbye, and leaves the end to its peer.
    stays: bool,
}

/// A call that may be held.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// As it is exported.
    Export,
    /// As it is resumed.
    Resume,
    /// As it is exported by the version that has resumed it.
    Again,
    /// As it is asked whether nothing is half done.
    Boundary,
    /// As it is closed.
    Close,
    /// As it is told to say goodbye.
    Drain,
    /// As it says its last words.
    Words,
}

/// What an answer continues.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    /// An admission.
    Admission,
}

/// Of this library.
static COMES_BACK_WITH: OnceLock<PathBuf> = OnceLock::new();

fn hold() {
    tracing::info!("holds its thread");
    while !COMES_BACK_WITH.get().is_some_and(|file| file.exists()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

impl Component for Holds {
    type Config = Settings;
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(settings: Settings, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let Settings { comes_back_with, opens_without, starts_without } = settings;
        // Each service has the same.
        let _ = COMES_BACK_WITH.set(comes_back_with);
        let examined = std::env::args().nth(1).is_some_and(|command| command == "examine");
        if !examined && starts_without.is_some_and(|file| file.exists()) {
            hold();
        }
        let number = starting.version.split(['@', '#']).nth(1).unwrap_or_default().to_owned();
        Ok(Holds { number, opens_without })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        if self.opens_without.as_ref().is_some_and(|file| file.exists()) {
            hold();
        }
        Ok(Conversation::from(State::default()))
    }
}

impl From<State> for Conversation {
    fn from(state: State) -> Self {
        Conversation { state, resumed: false }
    }
}

impl Serialize for Conversation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hold_at(if self.resumed { At::Again } else { At::Export });
        self.state.serialize(serializer)
    }
}

impl Conversation {
    fn hold_at(&self, at: At) {
        if self.state.at == Some(at) {
            hold();
        }
    }
}

impl Session for Conversation {
    type Component = Holds;
    type Then = Waiting;

    fn handle(&mut self, holds: &Holds, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { bytes, .. } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
                match line.split_once(' ') {
                    Some(("hold", at)) => {
                        self.state.at = Some(match at {
                            "at export" => At::Export,
                            "at resume" => At::Resume,
                            "at again" => At::Again,
                            "at boundary" => At::Boundary,
                            "at close" => At::Close,
                            "at drain" => At::Drain,
                            "at words" => At::Words,
                            _ => return Err("there is no such call".into()),
                        });
                    }
                    Some(("admit", account)) => {
                        out.admit(Admission::of(account).held(), Waiting::Admission);
                        out.consume(end + 1);
                        return Ok(());
                    }
                    _ if line == "hold" => hold(),
                    _ if line == "stay" => self.state.stays = true,
                    _ if line == "panic" => panic!("as it was told"),
                    _ => {}
                }
                out.send(Stream::OWN, format!("{} {line}\n", holds.number).as_bytes());
                out.consume(end + 1);
            }
            Event::Answer { then: Waiting::Admission, answer } => {
                let said: &[u8] = if matches!(answer, Answer::Admitted) { b"admitted\n" } else { b"refused\n" };
                out.send(Stream::OWN, said);
            }
            Event::Request { id, request } => {
                let text: String = request.read().map_err(|misfit| misfit.to_string())?;
                if text == "hold" {
                    hold();
                }
                out.answer(id, &format!("{} {text}", holds.number));
            }
            Event::End { .. } => out.close(Stream::OWN),
            Event::Drain { .. } => {
                self.hold_at(At::Drain);
                match self.state.stays {
                    true => out.send(Stream::OWN, b"goodbye\n"),
                    false => out.close(Stream::OWN),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        self.hold_at(At::Boundary);
        true
    }

    fn resumed(&mut self, _: &Holds, _: &Opening<'_>) -> Result<(), Refusal> {
        self.hold_at(At::Resume);
        self.resumed = true;
        // What holds one version as it is closed does not hold the next one.
        self.state.at = self.state.at.filter(|at| *at != At::Close);
        Ok(())
    }

    fn last_words(&mut self, _: &Holds, _: &mut Out<'_, Self>) {
        self.hold_at(At::Words);
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.hold_at(At::Close);
    }
}

export_component!(Holds);
