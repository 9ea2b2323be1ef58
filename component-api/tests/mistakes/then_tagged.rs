use tandem_component::prelude::*;

#[derive(Serialize, Deserialize, Then)]
#[serde(tag = "kind")]
enum Waiting {
    Idle { since: Time },
}

fn main() {}
