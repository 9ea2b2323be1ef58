//! Components that change together change in one publication, or not at all.

use std::path::{Path, PathBuf};

use support::{Gateway, fixture, free_port, libraries, relabel, stamp};

#[test]
fn a_group_changes_in_one_publication() {
    let gateway = start(HTTP_AND_ECHO);
    let before = gateway.status().publication;

    deploy(&gateway, &libraries().echo, "2.0.0");
    deploy(&gateway, &libraries().http, "2.0.0");
    let report = gateway.reload();

    assert!(report.ok, "{report:?}");
    assert_eq!(active(&gateway), ["echo 2.0.0", "http 2.0.0", "misbehaving-careless 0.1.0"]);
    assert_eq!(gateway.status().publication, before + 1);
}

#[test]
fn where_one_is_refused_none_changes() {
    let gateway = start(HTTP_AND_ECHO);
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

#[test]
fn groups_that_share_a_component_hold_each_other_back() {
    // The refused one is in the last group only: whoever goes through them once has let the first one pass by then.
    let gateway = start(r#"[["http", "misbehaving-careless"], ["misbehaving-careless", "echo"]]"#);
    let before = active(&gateway);

    deploy(&gateway, &libraries().http, "2.0.0");
    deploy(&gateway, &fixture("careless"), "2.0.0");
    relabel(&fixture("refuses"), &gateway.components().join("libtandem_echo.so"), "echo", "2.0.0").unwrap();
    let report = gateway.reload();

    assert!(!report.ok, "{report:?}");
    assert_eq!(active(&gateway), before);
    for (file, held_by) in [("libmisbehaving_careless.so", "`echo`"), ("libtandem_http.so", "`misbehaving-careless`")] {
        let found = report.file(file);
        let reason = found.reason.as_deref().unwrap_or_default();
        assert!(found.outcome == "refused" && reason.contains("together") && reason.contains(held_by), "{found:?}");
    }
}

const HTTP_AND_ECHO: &str = r#"[["http", "echo"]]"#;

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

fn start(together: &str) -> Gateway {
    let [http, echo, careless] = [(); 3].map(|()| free_port());
    Gateway::builder()
        .library(&libraries().http)
        .library(&libraries().echo)
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
together = {together}
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{http}"]
[service.web.config]
routes = [{{ path = "/", status = 200 }}]
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{echo}"]
[service.careless]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{careless}"]
"#
        ))
        .start()
}
