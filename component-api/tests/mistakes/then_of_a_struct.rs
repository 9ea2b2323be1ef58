use tandem_component::prelude::*;

#[derive(Serialize, Deserialize, Then)]
struct Waiting {
    since: Time,
}

fn main() {}
