use std::time::Duration;

use tandem_component::prelude::*;

/// Counts the lines that another service, the guard, lets pass, and tells whoever asks how often one was said.
pub struct Lines {
    idle: Duration,
    guard: String,
}

/// `[service.NAME.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For how many seconds a peer may say nothing.
    #[serde(default = "minute")]
    idle_s: u64,
    /// The service that says whether a line may be counted.
    guard: String,
}

/// What the guard is asked. It answers with a `bool`.
#[derive(Serialize, Deserialize)]
pub struct May {
    pub line: String,
}

/// What we are asked.
#[derive(Serialize, Deserialize)]
pub struct HowOften {
    pub line: String,
}

/// What we answer: a number, or why there is none.
pub type Times = Result<i64, String>;

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

/// One connection, or one request.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Talk {
    lines: u64,
    idle: Option<Token>,
    /// The guard is asked about a line, or its row is on its way; the next line stays unread until it is there.
    counting: bool,
    /// Behind it there is another one.
    more: bool,
    /// What the last line was to add could not be stored.
    unstored: bool,
    /// To be closed, as soon as what was said is answered.
    ending: bool,
    /// Opened for a request alone: there is nobody who could say nothing for too long.
    peerless: bool,
}

/// What it waits for.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    Idle,
    Counted {
        line: String,
    },
    /// The guard's answer.
    Allowed {
        line: String,
    },
    /// The row that somebody has asked for.
    Told {
        id: RequestId,
    },
}

impl Component for Lines {
    type Config = Config;
    type Session = Talk;
    const TABLES: &'static [Table] = &[SAID];
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Lines { idle: Duration::from_secs(config.idle_s), guard: config.guard })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Talk, Refusal> {
        Ok(Talk { peerless: opening.transport == Transport::Call, ..Talk::default() })
    }
}

impl Session for Talk {
    type Component = Lines;
    type Then = Waiting;

    fn handle(&mut self, lines: &Lines, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened if !self.peerless => self.wait(lines, out),
            Event::Bytes { bytes, .. } => {
                let line_end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
                match line_end(bytes) {
                    end if self.counting => self.more = end.is_some(),
                    Some(end) => {
                        out.consume(end + 1);
                        self.more = line_end(&bytes[end + 1..]).is_some();
                        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
                        let call = Call::to(&lines.guard).within(Duration::from_secs(2));
                        out.call(call, &May { line: line.clone() }, Waiting::Allowed { line });
                        self.counting = true;
                        self.wait(lines, out);
                    }
                    None if bytes.len() > LINE_MAX => self.ending = true,
                    None => {}
                }
                self.close(out);
            }
            // Its answer comes again where nothing could be stored.
            Event::Answer { then: Waiting::Allowed { .. }, .. } if std::mem::take(&mut self.unstored) => {
                self.answer("come again later", out);
            }
            Event::Answer { then: Waiting::Allowed { line }, answer } => match answer {
                Answer::Answered(response) => match response.read::<bool>() {
                    Ok(true) => {
                        out.add(&SAID, &line, "n", 1);
                        out.get(&SAID, &line, Waiting::Counted { line: line.clone() });
                    }
                    Ok(false) => self.answer("not here", out),
                    // It is of a version that answers something else.
                    Err(_) => self.answer("come again later", out),
                },
                // Nobody serves, or not within two seconds.
                _ => self.answer("come again later", out),
            },
            Event::Answer { then: Waiting::Counted { line }, answer } => match answer {
                Answer::Row(Some(row)) => {
                    self.lines += 1;
                    let Said { n } = row.read()?;
                    self.answer(&format!("{} {line}: {n}", self.lines), out);
                }
                _ => self.answer("come again later", out),
            },
            Event::Request { id, request } => match request.read::<HowOften>() {
                Ok(HowOften { line }) => drop(out.get(&SAID, &line, Waiting::Told { id })),
                // Whoever asks has made the mistake, and is told.
                Err(misfit) => out.answer(id, &Times::Err(misfit.to_string())),
            },
            Event::Answer { then: Waiting::Told { id }, answer } => match answer {
                Answer::Row(Some(row)) => out.answer(id, &Times::Ok(row.read::<Said>()?.n)),
                Answer::Row(None) => out.answer(id, &Times::Ok(0)),
                _ => out.answer(id, &Times::Err("the store does not answer now".to_owned())),
            },
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
    /// Answers the line at hand.
    fn answer(&mut self, text: &str, out: &mut Out<'_, Self>) {
        self.counting = false;
        out.send(Stream::OWN, format!("{text}\n").as_bytes());
        self.close(out);
    }

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
