//! The records of exchanges: one line of JSON each, those of the last moment before the end among them; and who does not
//! take them keeps nobody waiting.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{Builder, Gateway, free_port, libraries, settled};

#[test]
fn each_exchange_leaves_one_line_also_the_last_before_the_end() {
    let port = free_port();
    let mut gateway = web(Gateway::builder(), port, "records = \"records.jsonl\"");
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
    let builder = Gateway::builder();
    let file = builder.scratch("records.jsonl");
    std::fs::write(&file, "{\"whole\":1}\n{\"time_ns\":17").unwrap();
    let mut gateway = web(builder, port, &format!("records = \"{}\"", file.display()));
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
    let gateway = web(Gateway::builder(), port, "records = \"records.jsonl\"");
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

/// As what rotates logs does it: move away, then the signal.
#[test]
fn a_file_that_was_moved_away_is_begun_anew_by_a_signal_and_loses_nothing() {
    let port = free_port();
    let gateway = web(Gateway::builder(), port, "records = \"records.jsonl\"");
    let (file, moved) = (gateway.file().with_file_name("records.jsonl"), gateway.file().with_file_name("records.1"));
    let mut client = gateway.connect(port);
    let publication = gateway.status().publication;
    for round in 0..3 {
        assert_eq!(client.get(&format!("/before/{round}")).unwrap().status, 200);
        std::fs::rename(&file, &moved).unwrap();
        support::signal(gateway.pid(), libc::SIGUSR1);
        settled(true, || file.exists());
        assert_eq!(client.get(&format!("/after/{round}")).unwrap().status, 200);
        // What the last round has written after its signal, and what this one has before.
        settled(if round == 0 { 1 } else { 2 }, || lines(&moved).len());
        settled(1, || lines(&file).len());
        assert_eq!(lines(&file)[0]["target"], format!("/after/{round}"));
    }
    assert_eq!(gateway.status().publication, publication, "it is no reload");

    // Where it cannot be begun anew, what is there goes on.
    std::fs::rename(&file, &moved).unwrap();
    std::fs::create_dir(&file).unwrap();
    support::signal(gateway.pid(), libc::SIGUSR1);
    settled(true, || gateway.log().contains("cannot be begun anew"));
    assert_eq!(client.get("/still").unwrap().status, 200);
    settled(2, || lines(&moved).len());
}

#[test]
fn a_signal_that_means_nothing_here_ends_nothing() {
    let port = free_port();
    let gateway = web(Gateway::builder(), port, "");
    support::signal(gateway.pid(), libc::SIGUSR2);
    settled(true, || gateway.log().contains("SIGUSR2 does nothing here"));
    assert_eq!(gateway.connect(port).get("/").unwrap().status, 200);
}

#[test]
fn a_pipe_that_nobody_reads_keeps_nobody_waiting() {
    let port = free_port();
    let mut gateway = web(Gateway::builder(), port, "records = \"records.jsonl\"");
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

/// A gateway whose service `web` has this said of its records.
fn web(builder: Builder, port: u16, records: &str) -> Gateway {
    let config = format!(
        r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
{records}
[service.web.config]
routes = [{{ path = "/", status = 200, body = "fine" }}, {{ path = "/gone", status = 410 }}]
"#
    );
    builder.library(&libraries().http).data("data").toml(&config).start()
}

/// The whole lines that are there.
fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn each_record_is_in_one_of_the_files_and_in_the_table_also_after_swaps_and_a_restart() {
    let port = free_port();
    let mut gateway = web(
        Gateway::builder(),
        port,
        "records = { file = \"records.jsonl\", max_size = \"16KiB\", keep = 1000, table = \"1h\" }",
    );
    let ask = |gateway: &Gateway, from: usize| {
        let mut client = gateway.connect(port);
        for n in from..from + 300 {
            let target = if n % 10 == 0 { format!("/gone/{n}") } else { format!("/{n}") };
            client.get(&target).unwrap();
        }
    };
    ask(&gateway, 0);
    gateway.swap(&libraries().http, "1.0.1");
    ask(&gateway, 300);
    gateway.stop_and_start();
    ask(&gateway, 600);
    assert_eq!(gateway.stop(libc::SIGTERM, Duration::from_secs(10)).code(), Some(0));

    let directory = gateway.file().parent().unwrap().to_owned();
    let names = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = names.filter(|path| path.to_string_lossy().contains("records.jsonl")).collect();
    assert!(files.len() > 3, "{files:?}");
    assert!(files.iter().all(|file| file.metadata().unwrap().len() <= 16 << 10), "{files:?}");
    let mut targets: Vec<usize> = Vec::new();
    for line in files.iter().flat_map(|file| lines(file)) {
        let target = line["target"].as_str().unwrap();
        let outcome = if target.starts_with("/gone") { "refused" } else { "done" };
        assert_eq!((&line["outcome"], &line["component"]), (&outcome.into(), &"http".into()), "{line}");
        assert!(line["duration_us"].is_u64() && line["bytes_in"].is_u64() && line["bytes_out"].is_u64(), "{line}");
        targets.push(target.rsplit_once('/').unwrap().1.parse().unwrap());
    }
    targets.sort_unstable();
    assert_eq!(targets, (0..900).collect::<Vec<_>>());

    let store = rusqlite::Connection::open(directory.join("data/store.sqlite")).unwrap();
    let rows = "SELECT outcome, count(*), count(DISTINCT version), min(bytes_out) > 0 FROM \"tandem.records\"
        WHERE service = 'web' AND component = 'http' AND json_extract(more, '$.method') = 'GET' GROUP BY 1 ORDER BY 1";
    let mut rows = store.prepare(rows).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    let rows: Vec<(String, i64, i64, bool)> = rows.collect::<Result<_, _>>().unwrap();
    assert_eq!(rows, [("done".to_owned(), 810, 2, true), ("refused".to_owned(), 90, 2, true)]);
}

#[test]
fn where_records_go_can_be_changed_while_exchanges_are_under_way() {
    let port = free_port();
    let gateway = web(Gateway::builder(), port, "");
    let mut client = gateway.connect(port);
    assert_eq!(client.get("/none").unwrap().status, 200);
    let file = gateway.file().with_file_name("records.jsonl");
    let written = |records: &str| {
        let line = format!("listen = [\"tcp://127.0.0.1:{port}\"]\n");
        gateway.configure(|text| {
            let kept = text.lines().filter(|line| !line.starts_with("records")).map(|line| format!("{line}\n"));
            kept.collect::<String>().replace(&line, &format!("{line}{records}\n"))
        });
        gateway.reload()
    };
    assert!(written("records = \"records.jsonl\"").ok);
    assert_eq!(client.get("/file").unwrap().status, 200);
    settled(1, || lines(&file).len());
    assert!(written("records = { file = \"records.jsonl\", table = \"1h\" }").ok);
    assert_eq!(client.get("/both").unwrap().status, 200);
    settled(2, || lines(&file).len());
    let refused = written("records = { file = \"records.jsonl\", keep = 0 }").error.expect("nothing is changed");
    assert!(refused.contains("service.web.records.keep"), "{refused}");
    assert_eq!(client.get("/still").unwrap().status, 200);
    settled(3, || lines(&file).len());
    assert!(written("").ok);
    assert_eq!(client.get("/none").unwrap().status, 200);
    let targets: Vec<_> = lines(&file).iter().map(|line| line["target"].clone()).collect();
    assert_eq!(targets, ["/file", "/both", "/still"]);
}
