//! Passes what comes in on to more streams at once than the runtime lets a task serve in one turn (128 reads and writes
//! with tokio), and says it back.

#![forbid(unsafe_code)]

use tandem_component::prelude::*;

/// More than a turn has budget for.
const STREAMS: usize = 200;

/// The protocol: `ready` once all is connected, then whatever comes in, back and on.
pub struct FansOut;

/// One conversation.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    /// What it passes things on to.
    streams: Vec<Stream>,
}

/// What it waits for.
#[derive(Serialize, Deserialize, Then)]
pub enum Then {
    /// One more connection.
    Dialed,
}

impl Component for FansOut {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(FansOut)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation { streams: Vec::new() })
    }
}

impl Session for Conversation {
    type Component = FansOut;
    type Then = Then;

    fn handle(&mut self, _: &FansOut, event: Event<'_, Then>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => {
                for _ in 0..STREAMS {
                    out.dial("sink", Then::Dialed);
                }
            }
            Event::Answer { answer: Answer::Dialed { stream, .. }, .. } => {
                self.streams.push(stream);
                if self.streams.len() == STREAMS {
                    out.send(Stream::OWN, b"ready");
                }
            }
            Event::Answer { .. } => return Err("there is no sink".into()),
            Event::Bytes { stream: Stream::OWN, bytes } => {
                out.send(Stream::OWN, bytes);
                self.streams.iter().for_each(|stream| out.send(*stream, bytes));
                out.consume(bytes.len());
            }
            Event::End { .. } | Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        false
    }
}

export_component!(FansOut);
