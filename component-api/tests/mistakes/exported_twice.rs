use tandem_component::prelude::*;

struct Echo;

impl Component for Echo {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;
    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Echo)
    }
    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation)
    }
}

#[derive(Serialize, Deserialize)]
struct Conversation;

impl Session for Conversation {
    type Component = Echo;
    type Then = ();
    fn handle(&mut self, _: &Echo, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> {
        Ok(())
    }
    fn at_boundary(&self) -> bool {
        true
    }
}

export_component!(Echo);
export_component!(Echo, uncounted);

fn main() {}
