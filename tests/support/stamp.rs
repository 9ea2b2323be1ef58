//! `stamp IN.so OUT.so VERSION`: a copy of a component's library that says another version of itself.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, version] = &arguments[..] else {
        eprintln!("usage: stamp IN.so OUT.so VERSION");
        std::process::exit(2);
    };
    if let Err(error) = support::stamp(input.as_ref(), output.as_ref(), version) {
        eprintln!("stamp: {input}: {error}");
        std::process::exit(1);
    }
}
