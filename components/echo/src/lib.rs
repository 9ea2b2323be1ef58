//! Sends back what it is sent, over streams and datagrams.

#![forbid(unsafe_code)]

use tandem_component::prelude::*;

/// The protocol. It has nothing to configure.
pub struct Echo;

/// One conversation: how much of it there was.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    bytes: u64,
}

impl Component for Echo {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Echo)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation { bytes: 0 })
    }
}

impl Session for Conversation {
    type Component = Echo;
    type Then = ();

    fn handle(&mut self, _: &Echo, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream, bytes } => {
                out.send(stream, bytes);
                out.consume(bytes.len());
                self.bytes += bytes.len() as u64;
            }
            Event::Datagram { bytes } => {
                out.send(Stream::OWN, bytes);
                self.bytes += bytes.len() as u64;
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

export_component!(Echo);
