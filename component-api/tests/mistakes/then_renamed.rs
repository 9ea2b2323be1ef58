use tandem_component::prelude::*;

#[derive(Serialize, Deserialize, Then)]
enum Waiting {
    #[serde(rename = "idle")]
    Idle,
}

fn main() {}
