//! `tandem top` in a terminal, while what it shows is swapped, stops and comes back.

use std::process::Command;
use std::time::Duration;

use support::{Gateway, Terminal, free_port, libraries};

#[test]
fn an_operator_sees_a_swap_and_a_host_that_goes_and_comes_back() {
    let port = free_port();
    let mut gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!(
            "workers = 1\n[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n[component.echo]\nversions = {{ keep = 0 }}\n"
        ))
        .start();
    let before = gateway.status().numbers("echo", "active")[0].to_owned();
    let mut top = top(&gateway);

    top.until("the version is shown", |text| row(text, &format!("echo@{before}#"), "active"));
    let mut client = gateway.connect(port);
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
    top.until("its session is shown", |text| text.contains("\n1 sessions"));

    gateway.swap(&libraries().echo, "7.0.0");
    let text = top.until("the new one is shown", |text| row(text, "echo@7.0.0#", "active"));
    assert!(text.contains("EVENTS") && text.contains("version-active"), "{text}");
    top.type_in("?");
    top.until("the help is shown", |text| text.contains("leave"));
    top.type_in("?");
    top.resize(40, 20);
    let text = top.until("it is narrow", |text| row(text, "echo@7.0.0#", "active") && !text.contains("leave"));
    assert!(text.lines().all(|line| line.chars().count() <= 40) && !text.contains("MEMORY"), "{text}");

    gateway.stop(libc::SIGTERM, Duration::from_secs(30));
    top.until("that the host is gone is shown", |text| text.contains("DISCONNECTED"));
    gateway.start_again();
    let pid = format!("pid {} ", gateway.pid());
    top.until("that it is back is shown", |text| text.contains(&pid) && !text.contains("DISCONNECTED"));

    top.type_in("q");
    assert_eq!(top.ended().code(), Some(0));
    top.until("the terminal is as it was", |_| top.is_as_it_was());
}

#[test]
fn control_c_leaves_it_too_with_the_terminal_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("tandem.toml");
    std::fs::write(&configuration, "").unwrap();
    let mut command = Command::new(&libraries().tandem);
    command.args(["top", "--config"]).arg(&configuration);
    let mut top = Terminal::run(&command, 80, 24);

    top.until("no host is there", |text| text.starts_with("no host answers at") && text.contains("tried again"));
    assert!(!top.is_as_it_was());
    top.type_in("\u{3}");

    assert_eq!(top.ended().code(), Some(0));
    top.until("the terminal is as it was", |_| top.is_as_it_was());
}

#[test]
fn where_there_is_no_terminal_it_says_what_to_use() {
    let said = Command::new(&libraries().tandem).arg("top").output().unwrap();
    let error = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(1) && error.contains("`tandem status`"), "{error}");
    assert!(said.stdout.is_empty(), "nothing of a screen is written");
}

fn top(gateway: &Gateway) -> Terminal {
    Terminal::run(&gateway.command(&["top"]), 80, 24)
}

/// Whether a version is shown in a stage.
fn row(text: &str, version: &str, stage: &str) -> bool {
    text.lines().any(|line| line.starts_with(version) && line.split_whitespace().nth(1) == Some(stage))
}
