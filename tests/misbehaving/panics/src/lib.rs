//! Starts with any configuration, takes over the sessions of any other version, and panics at the first thing that comes in.

#![forbid(unsafe_code)]

use serde::de::IgnoredAny;
use tandem_component::prelude::*;

/// The protocol: none.
pub struct Panics;

/// One conversation, of which it knows nothing.
#[derive(Serialize, Deserialize)]
pub struct Conversation {}

impl Component for Panics {
    type Config = IgnoredAny;
    type Session = Conversation;
    const POLICY: Policy = Policy::Renew;

    fn start(_: IgnoredAny, _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Panics)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation {})
    }
}

impl Session for Conversation {
    type Component = Panics;
    type Then = ();

    fn handle(&mut self, _: &Panics, event: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => Ok(()),
            _ => panic!("as it always does"),
        }
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

export_component!(Panics);
