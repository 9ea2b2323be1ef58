use tandem_component::prelude::*;

export_component!();

fn main() {}
