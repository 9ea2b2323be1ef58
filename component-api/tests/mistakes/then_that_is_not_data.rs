use tandem_component::prelude::*;

#[derive(Then)]
enum Waiting {
    Idle,
}

fn main() {}
