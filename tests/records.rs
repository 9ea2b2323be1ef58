//! The records of exchanges: one line of JSON each, those of the last moment before the end among them; and who does not
//! take them keeps nobody waiting.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{Gateway, free_port, libraries, settled};

#[test]
fn each_exchange_leaves_one_line_also_the_last_before_the_end() {
    let port = free_port();
    let mut gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
records = "records.jsonl"
[service.web.config]
access_log = true
routes = [{{ path = "/", status = 200, body = "fine" }}]
"#
        ))
        .start();
    let file = gateway.file().with_file_name("records.jsonl");
    let mut client = gateway.connect(port);
    for _ in 0..5 {
        assert_eq!(client.get("/early").unwrap().status, 200);
    }
    settled(5, || lines(&file).len());
    for _ in 0..3 {
        assert_eq!(client.get("/late").unwrap().status, 200);
    }

    let status = gateway.stop(libc::SIGTERM, Duration::from_secs(10));

    assert_eq!(status.code(), Some(0), "{status}");
    let lines = lines(&file);
    assert_eq!(lines.len(), 8, "{lines:?}");
    for line in &lines {
        assert_eq!((&line["service"], &line["status"], &line["method"]), (&"web".into(), &200.into(), &"GET".into()));
        assert!(line["version"].as_str().is_some_and(|version| version.starts_with("http@")), "{line}");
        assert!(line["time_ns"].is_u64() && line["session"].is_u64() && line["peer"].is_string(), "{line}");
    }
    assert_eq!(lines.iter().filter(|line| line["target"] == "/late").count(), 3);
}

#[test]
fn a_line_that_a_predecessor_has_left_unfinished_breaks_none_that_follows() {
    let port = free_port();
    let builder = Gateway::builder().library(&libraries().http);
    let file = builder.scratch("records.jsonl");
    std::fs::write(&file, "{\"whole\":1}\n{\"time_ns\":17").unwrap();
    let mut gateway = builder
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
records = "{}"
[service.web.config]
access_log = true
routes = [{{ path = "/", status = 200 }}]
"#,
            file.display()
        ))
        .start();
    assert_eq!(gateway.connect(port).get("/after").unwrap().status, 200);

    assert_eq!(gateway.stop(libc::SIGTERM, Duration::from_secs(10)).code(), Some(0));

    let text = std::fs::read_to_string(&file).unwrap();
    let [_, unfinished, after] = &text.lines().collect::<Vec<_>>()[..] else { panic!("three lines: {text}") };
    assert_eq!(*unfinished, "{\"time_ns\":17");
    let after: serde_json::Value = serde_json::from_str(after).expect("it is whole");
    assert_eq!(after["target"], "/after");
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_by_a_reload() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
records = "records.jsonl"
[service.web.config]
access_log = true
routes = [{{ path = "/", status = 200 }}]
"#
        ))
        .start();
    let (file, moved) = (gateway.file().with_file_name("records.jsonl"), gateway.file().with_file_name("records.1"));
    let mut client = gateway.connect(port);
    assert_eq!(client.get("/before").unwrap().status, 200);

    std::fs::rename(&file, &moved).unwrap();
    assert_eq!(client.get("/between").unwrap().status, 200);
    assert!(gateway.reload().ok);
    assert_eq!(client.get("/after").unwrap().status, 200);

    settled(2, || lines(&moved).len());
    settled(1, || lines(&file).len());
    assert_eq!(lines(&file)[0]["target"], "/after");
}

#[test]
fn a_pipe_that_nobody_reads_keeps_nobody_waiting() {
    let port = free_port();
    let mut gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
records = "records.jsonl"
[service.web.config]
access_log = true
routes = [{{ path = "/", status = 200 }}]
"#
        ))
        .start();
    let pipe = gateway.file().with_file_name("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());

    gateway.configure(|text| text.replace("records.jsonl", "pipe"));
    let error = gateway.reload().error.expect("nothing is changed");
    assert!(error.contains("service.web.records") && error.contains("nobody reads"), "{error}");

    // Somebody has it open, and does not read.
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
    assert!(gateway.reload().ok);
    let mut client = gateway.connect(port);
    let requests = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100);
    while gateway.status().count("records-lost") == 0 {
        for _ in 0..50 {
            client.send(&requests).unwrap();
            (0..100).for_each(|_| assert_eq!(client.answer("GET").unwrap().status, 200));
        }
    }
    drop(client);

    let status = gateway.stop(libc::SIGTERM, Duration::from_secs(10));

    assert_eq!(status.code(), Some(0), "{status}");
    drop(reader);
}

/// The whole lines that are there.
fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
