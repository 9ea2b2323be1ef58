use tandem_component::prelude::*;

struct Echo;

export_component!(Echo);

fn main() {}
