//! Answers each line with its number in the conversation, and ends at `bye`.

use tandem_component::prelude::*;

/// The protocol, with its configuration: one for each service, shared by all of its sessions.
pub struct @TYPE@ {
    greeting: String,
}

/// `[service.NAME.config]` of the gateway's configuration.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What each answer begins with.
    #[serde(default = "hello")]
    greeting: String,
}

fn hello() -> String {
    "hello".into()
}

/// One session: a connection. It is data, so that the next version goes on with it. A field that a later version adds needs a default.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Conversation {
    /// How many lines there were.
    #[serde(default)]
    lines: u64,
}

impl Component for @TYPE@ {
    type Config = Config;
    type Session = Conversation;
    /// Sessions go on with the next version, between two events.
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, _: &Starting<'_>) -> Result<Self, Refusal> {
        if config.greeting.contains('\n') {
            return Err("greeting: it is one line".into());
        }
        Ok(@TYPE@ { greeting: config.greeting })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation::default())
    }
}

impl Session for Conversation {
    type Component = @TYPE@;
    /// What a session waits for beside its peer, such as a timer or an answer: nothing here.
    type Then = ();

    fn handle(&mut self, component: &@TYPE@, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream, bytes } => {
                // What is not consumed comes again, with what has come behind it.
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                self.lines += 1;
                out.send(stream, format!("{} {}\n", component.greeting, self.lines).as_bytes());
                if &bytes[..end] == b"bye" {
                    out.close(stream);
                }
                out.consume(end + 1);
            }
            // The peer has finished, or the gateway wants the session to end.
            Event::End { .. } | Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        // Nothing is ever half done here.
        true
    }
}

export_component!(@TYPE@);

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Harness<@TYPE@> {
        Harness::start(&Config { greeting: hello() }).expect("it starts")
    }

    #[test]
    fn each_line_is_answered_with_its_number() {
        let mut session = start();
        session.bytes(Stream::OWN, b"one\ntwo\nhal");
        assert_eq!(session.sent(Stream::OWN), b"hello 1\nhello 2\n");
        session.bytes(Stream::OWN, b"f\n");
        assert_eq!(session.sent(Stream::OWN), b"hello 3\n");
    }

    #[test]
    fn the_next_version_goes_on_counting() {
        let mut session = start();
        session.bytes(Stream::OWN, b"one\n");
        assert_eq!(session.sent(Stream::OWN), b"hello 1\n");
        // Its state is written, and read again as the next version does.
        let mut session = session.carry::<@TYPE@>(&Config { greeting: "good day".into() }).expect("it goes on");
        session.bytes(Stream::OWN, b"two\n");
        assert_eq!(session.sent(Stream::OWN), b"good day 2\n");
    }
}
