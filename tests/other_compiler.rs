//! A component that was built with another rustc than the host loads, serves, and goes again.

use std::process::Command;

use support::{Gateway, built, free_port, libraries, settled, target_directory};

#[test]
fn a_component_of_another_compiler_serves_and_is_unmapped() {
    let Some(toolchain) = other_toolchain() else {
        println!("skipped: rustup has no second toolchain on this machine");
        return;
    };
    println!("built with {toolchain}");
    let target = target_directory("other-compiler");
    let mut build = Command::new("rustup");
    build
        .args(["run", &toolchain, "cargo", "build", "--quiet", "--package", "tandem-echo", "--target-dir"])
        .arg(&target);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What cargo says of our own compiler is not for that one.
    ["RUSTC", "RUSTDOC", "CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]
        .iter()
        .for_each(|name| _ = build.env_remove(name));
    built(&mut build);
    let foreign = target.join("debug/libtandem_echo.so");
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!(
            r#"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}"]
[component.echo]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    let mut client = gateway.connect(port);
    let mut echo = |text: &str| {
        client.send(text.as_bytes()).unwrap();
        assert_eq!(client.read(text.len()).unwrap(), text.as_bytes());
    };
    echo("by our own");

    for number in ["1.0.0", "1.0.1"] {
        gateway.swap(&foreign, number);
        echo("by the other");
        settled(1, || gateway.maps().len());
    }
    gateway.swap(&libraries().echo, "1.0.2");
    echo("by our own again");
    settled(1, || gateway.maps().len());
}

/// A toolchain whose compiler is another one.
fn other_toolchain() -> Option<String> {
    let said = |command: &mut Command| {
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let ours = said(Command::new("rustc").arg("--version").current_dir(env!("CARGO_MANIFEST_DIR")))?;
    let toolchains = said(Command::new("rustup").args(["toolchain", "list"]))?;
    let names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    let mut others = names.filter(|name| {
        said(Command::new("rustup").args(["run", name, "rustc", "--version"])).is_some_and(|version| version != ours)
    });
    others.next().map(str::to_owned)
}
