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

export_component!(Echo);

fn main() {}
