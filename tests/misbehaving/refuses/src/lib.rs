//! Does not start.

#![forbid(unsafe_code)]

use tandem_component::prelude::*;

/// The protocol that is never spoken.
pub struct Refuses;

/// A conversation that never begins.
#[derive(Serialize, Deserialize)]
pub struct Conversation;

impl Component for Refuses {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Err("it does not feel like it".into())
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation)
    }
}

impl Session for Conversation {
    type Component = Refuses;
    type Then = ();

    fn handle(&mut self, _: &Refuses, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> {
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

export_component!(Refuses);
