use std::time::Duration;

use tandem_component::prelude::*;

/// Answers each line with its number, and how often it was said by anybody so far.
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

/// How often each line was said.
const SAID: Table = Table {
    name: "said",
    key: &["line"],
    columns: &[Column::new("line", Kind::Text), Column::new("n", Kind::Integer).or(Literal::Integer(0)).indexed()],
};

/// What is read of a row.
#[derive(Deserialize)]
struct Said {
    n: i64,
}

/// One connection. The first two fields are those of version 1; what was added has a default.
#[derive(Serialize, Deserialize)]
pub struct Talk {
    lines: u64,
    idle: Option<Token>,
    /// The row of a line is on its way; the next line stays unread until it is there.
    #[serde(default)]
    counting: bool,
    /// Behind it there is another one.
    #[serde(default)]
    more: bool,
    /// What the last line was to add could not be stored.
    #[serde(default)]
    unstored: bool,
    /// To be closed, as soon as what was said is answered.
    #[serde(default)]
    ending: bool,
}

/// What it waits for.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    Idle,
    Counted { line: String },
}

impl Component for Lines {
    type Config = Config;
    type Session = Talk;
    const TABLES: &'static [Table] = &[SAID];
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Lines { idle: Duration::from_secs(config.idle_s) })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Talk, Refusal> {
        Ok(Talk { lines: 0, idle: None, counting: false, more: false, unstored: false, ending: false })
    }
}

impl Session for Talk {
    type Component = Lines;
    type Then = Waiting;

    fn handle(&mut self, lines: &Lines, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => self.wait(lines, out),
            Event::Bytes { stream, bytes } => {
                let line_end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
                match line_end(bytes) {
                    end if self.counting => self.more = end.is_some(),
                    Some(end) => {
                        out.consume(end + 1);
                        self.more = line_end(&bytes[end + 1..]).is_some();
                        if std::mem::take(&mut self.unstored) {
                            out.send(stream, b"come again later\n");
                        } else {
                            let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
                            out.add(&SAID, &line, "n", 1);
                            out.get(&SAID, &line, Waiting::Counted { line: line.clone() });
                            self.counting = true;
                            self.wait(lines, out);
                        }
                    }
                    None if bytes.len() > LINE_MAX => {
                        out.send(stream, b"too long\n");
                        out.close(stream);
                    }
                    None => {}
                }
                self.close(out);
            }
            Event::Answer { then: Waiting::Counted { line }, answer } => {
                self.counting = false;
                match answer {
                    Answer::Row(Some(row)) => {
                        let Said { n } = row.read()?;
                        self.lines += 1;
                        out.send(Stream::OWN, format!("{} {line}: {n}\n", self.lines).as_bytes());
                    }
                    // It was counted, and how often cannot be read now.
                    _ => out.send(Stream::OWN, b"come again later\n"),
                }
                self.close(out);
            }
            // None of what the last event told has happened, and it comes again.
            Event::StoreFailed { .. } => self.unstored = true,
            Event::End { .. } | Event::Timeout { then: Waiting::Idle } | Event::Drain { .. } => {
                self.ending = true;
                self.close(out);
            }
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        !self.counting
    }
}

impl Talk {
    /// Closes it where it is to end, and nobody is owed an answer.
    fn close(&self, out: &mut Out<'_, Self>) {
        if self.ending && !self.counting && !self.more {
            out.send(Stream::OWN, b"bye\n");
            out.close(Stream::OWN);
        }
    }

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
