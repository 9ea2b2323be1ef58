use std::time::Duration;

use tandem_component::prelude::*;

/// Answers each line with its number. Whoever says nothing for too long is sent away.
pub struct Lines {
    idle: Duration,
}

/// `[service.NAME.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For how many seconds a peer may say nothing.
    #[serde(default = "minute")]
    idle_s: u64,
}

/// One connection.
#[derive(Serialize, Deserialize)]
pub struct Talk {
    lines: u64,
    idle: Option<Token>,
}

/// What it waits for.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    Idle,
}

impl Component for Lines {
    type Config = Config;
    type Session = Talk;
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, _: &Starting<'_>) -> Result<Self, Refusal> {
        if config.idle_s == 0 {
            return Err("idle_s is 0: nobody could say anything".into());
        }
        Ok(Lines { idle: Duration::from_secs(config.idle_s) })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Talk, Refusal> {
        Ok(Talk { lines: 0, idle: None })
    }
}

impl Session for Talk {
    type Component = Lines;
    type Then = Waiting;

    fn handle(&mut self, lines: &Lines, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => self.wait(lines, out),
            Event::Bytes { stream, bytes } => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.lines += 1;
                    out.send(stream, format!("{} ", self.lines).as_bytes());
                    out.send(stream, &bytes[..=end]);
                    out.consume(end + 1);
                    self.wait(lines, out);
                }
                None if bytes.len() > LINE_MAX => {
                    out.send(stream, b"too long\n");
                    out.close(stream);
                }
                // Not whole yet: it stays unread, and comes again with what follows.
                None => {}
            },
            Event::End { stream } => out.close(stream),
            Event::Timeout { then: Waiting::Idle } | Event::Drain { .. } => {
                out.send(Stream::OWN, b"bye\n");
                out.close(Stream::OWN);
            }
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }

    fn last_words(&mut self, _: &Lines, out: &mut Out<'_, Self>) {
        out.send(Stream::OWN, b"sorry\n");
    }
}

impl Talk {
    /// Waits anew for a peer that says nothing.
    fn wait(&mut self, lines: &Lines, out: &mut Out<'_, Self>) {
        if let Some(earlier) = self.idle.take() {
            out.cancel(earlier);
        }
        self.idle = Some(out.after(lines.idle, Waiting::Idle));
    }
}

/// The longest line, in bytes.
const LINE_MAX: usize = 1024;

fn minute() -> u64 {
    60
}
