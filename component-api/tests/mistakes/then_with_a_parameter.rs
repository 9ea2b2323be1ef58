use tandem_component::prelude::*;

#[derive(Serialize, Deserialize, Then)]
enum Waiting<T> {
    Looked { for_it: T },
}

fn main() {}
