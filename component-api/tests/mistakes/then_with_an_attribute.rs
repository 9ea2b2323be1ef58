use tandem_component::prelude::*;

#[derive(Serialize, Deserialize, Then)]
#[then(default)]
enum Waiting {
    Idle,
}

fn main() {}
