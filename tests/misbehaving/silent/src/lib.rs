//! A component that says nothing and does nothing wrong, for libraries that misbehave around it.

#![forbid(unsafe_code)]

use tandem_component::prelude::*;

/// The protocol: silence.
pub struct Silent;

/// One conversation, if it is one.
#[derive(Serialize, Deserialize)]
pub struct Conversation;

impl Component for Silent {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Silent)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation)
    }
}

impl Session for Conversation {
    type Component = Silent;
    type Then = ();

    fn handle(&mut self, _: &Silent, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> {
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}
