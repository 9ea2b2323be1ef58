//! Components that change together change in one publication, or not at all.

use std::path::{Path, PathBuf};

use support::{Gateway, free_port, libraries, stamp};

#[test]
fn a_group_changes_in_one_publication() {
    let gateway = start();
    let before = gateway.status().publication;

    deploy(&gateway, &libraries().echo, "2.0.0");
    deploy(&gateway, &libraries().http, "2.0.0");
    let report = gateway.reload();

    assert!(report.ok, "{report:?}");
    assert_eq!(active(&gateway), ["echo 2.0.0", "http 2.0.0"]);
    assert_eq!(gateway.status().publication, before + 1);
}

#[test]
fn where_one_is_refused_none_changes() {
    let gateway = start();
    let before = active(&gateway);

    deploy(&gateway, &libraries().echo, "2.0.0");
    let broken = deploy(&gateway, &libraries().http, "2.0.0");
    // Of its own kind and number, but its code is not what it says: another layout of the header.
    let bytes = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, corrupt(bytes)).unwrap();
    let report = gateway.reload();

    assert!(!report.ok, "{report:?}");
    assert_eq!(active(&gateway), before);
    let echo = report.files.iter().find(|file| file.file.contains("echo")).expect("it is in the report");
    let reason = echo.reason.as_deref().unwrap_or_default();
    assert!(echo.outcome == "refused" && reason.contains("together") && reason.contains("`http`"), "{echo:?}");
}

/// With the magic bytes of abi_stable's header gone, the manifest is right and the examination refuses the library.
fn corrupt(mut bytes: Vec<u8>) -> Vec<u8> {
    const MAGIC: &[u8] = b"abi stable library for Rust";
    let mut found = false;
    for at in 0..bytes.len() - MAGIC.len() {
        if bytes[at..].starts_with(MAGIC) {
            bytes[at] = b'A';
            found = true;
        }
    }
    assert!(found, "the header has its magic bytes");
    bytes
}

fn deploy(gateway: &Gateway, library: &Path, version: &str) -> PathBuf {
    let path = gateway.components().join(library.file_name().expect("a library has a name"));
    let draft = gateway.components().join(".draft");
    stamp(library, &draft, version).unwrap();
    std::fs::rename(&draft, &path).unwrap();
    path
}

fn active(gateway: &Gateway) -> Vec<String> {
    let versions = gateway.status().versions;
    let active = versions.iter().filter(|version| version.stage == "active");
    let mut active: Vec<String> = active.map(|version| format!("{} {}", version.component, version.number)).collect();
    active.sort();
    active
}

fn start() -> Gateway {
    let (http, echo) = (free_port(), free_port());
    Gateway::builder()
        .library(&libraries().http)
        .library(&libraries().echo)
        .toml(&format!(
            r#"
together = [["http", "echo"]]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{http}"]
[service.web.config]
routes = [{{ path = "/", status = 200 }}]
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{echo}"]
"#
        ))
        .start()
}
