use tandem_component::prelude::*;

struct Echo<T>(T);

impl Component for Echo<u8> {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;
    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Echo(0))
    }
    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation)
    }
}

#[derive(Serialize, Deserialize)]
struct Conversation;

impl Session for Conversation {
    type Component = Echo<u8>;
    type Then = ();
    fn handle(&mut self, _: &Echo<u8>, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> {
        Ok(())
    }
    fn at_boundary(&self) -> bool {
        true
    }
}

export_component!(Echo);

fn main() {}
