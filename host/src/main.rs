//! `tandem`: the gateway and its command line.

fn main() -> std::process::ExitCode {
    tandem::cli::main()
}
