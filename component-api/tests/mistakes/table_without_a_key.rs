use tandem_component::prelude::*;

struct Echo;

impl Component for Echo {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;
    const TABLES: &'static [Table] = &[VISITS];
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

const VISITS: Table = Table { name: "visits", key: &[], columns: &[Column::new("name", Kind::Text)] };

export_component!(Echo);

fn main() {}
