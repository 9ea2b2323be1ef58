use tandem_component::prelude::*;

#[derive(Serialize, Deserialize, Then)]
enum Waiting {}

fn main() {}
