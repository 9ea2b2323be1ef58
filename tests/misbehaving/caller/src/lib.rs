//! The side that connects: it says hello, answers each line with the version that answers and how many there were, and ends its
//! session as a line tells it to.

#![forbid(unsafe_code)]

use tandem_component::prelude::*;

/// The protocol.
pub struct Caller {
    settings: Settings,
    version: String,
}

/// What it may be told to do wrong.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// To open no session.
    refuses: bool,
    /// Not to start.
    does_not_start: bool,
    /// To say no goodbye.
    stays: bool,
}

/// One conversation.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    /// What it says first.
    hello: String,
    /// How many lines there were.
    lines: u64,
}

impl Component for Caller {
    type Config = Option<Settings>;
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(settings: Option<Settings>, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let settings = settings.unwrap_or_default();
        if settings.does_not_start {
            return Err("it was told not to start".into());
        }
        Ok(Caller { settings, version: starting.version.to_owned() })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
        if self.settings.refuses {
            return Err("it was told to refuse".into());
        }
        let Opening { session, transport, role, peer, local, .. } = opening;
        let hello = format!("hello {role:?} {transport:?} {peer} {local} {session}\n");
        Ok(Conversation { hello, lines: 0 })
    }
}

impl Session for Conversation {
    type Component = Caller;
    type Then = ();

    fn handle(&mut self, caller: &Caller, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => out.send(Stream::OWN, self.hello.as_bytes()),
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                self.lines += 1;
                match &bytes[..end] {
                    b"close" => out.close(stream),
                    b"abort" => out.abort(stream),
                    b"panic" => panic!("as it was told"),
                    b"give up" => return Err("as it was told".into()),
                    _ => out.send(stream, format!("{} {}\n", self.lines, caller.version).as_bytes()),
                }
                out.consume(end + 1);
            }
            Event::End { stream } => out.close(stream),
            Event::Drain { .. } if !caller.settings.stays => {
                out.send(Stream::OWN, b"goodbye\n");
                out.close(Stream::OWN);
            }
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

export_component!(Caller);
