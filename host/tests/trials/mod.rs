//! The component that is tried, and the host that has it examined.

#![allow(dead_code, reason = "each test file needs some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tandem::loader::examine::{Examined, Limits, Refused, Trial, examine};
use tandem::loader::shelf::{Shelf, Shelved};
use tandem_component::Starting;

/// Examines with a trial for services `one`, `two`, … each.
pub(crate) fn tried(library: &Shelved, configs: &[Value]) -> Result<Examined, Refused> {
    let services = ["one", "two", "three"];
    let trials: Vec<Trial> = services.iter().zip(configs).map(|(service, config)| trial(service, config)).collect();
    examine(&host(), library, &trials, Limits::within(Duration::from_secs(20)))
}

pub(crate) fn trial(service: &str, config: &Value) -> Trial {
    let starting = Starting {
        service,
        version: "misbehaving-trials@0.1.0#abcdef",
        upstreams: Vec::new(),
        run: 1,
        records: false,
        traces: None,
    };
    Trial {
        service: service.to_owned(),
        starting: rmp_serde::to_vec_named(&starting).unwrap(),
        config: rmp_serde::to_vec_named(config).unwrap(),
        states: Vec::new(),
    }
}

pub(crate) fn host() -> PathBuf {
    env!("CARGO_BIN_EXE_tandem").into()
}

/// A host that is started by a shell which does something else first, and with more arguments.
pub(crate) fn wrapper(name: &str, first: &str, more: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory(name).join("wrapper");
    fs::write(&path, format!("#!/bin/sh\n{first} {} \"$@\" {more}\n", host().display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

pub(crate) fn fixture() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("misbehaving-trials", &[], "misbehaving")).clone()
}

pub(crate) fn built(package: &str, arguments: &[&str], target: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(target);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", package, "--target-dir"])
        .arg(&target)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(built.success(), "{package} cannot be built");
    // Built for a named target, as under AddressSanitizer, it lies one directory deeper.
    let target = target.join(std::env::var_os("CARGO_BUILD_TARGET").unwrap_or_default());
    target.join(format!("debug/lib{}.so", package.replace('-', "_")))
}

pub(crate) fn shelved(name: &str, library: &Path) -> (Shelf, Shelved) {
    let shelf = Shelf::open(&directory(name).join("shelf")).unwrap();
    let shelved = shelf.take(library).unwrap();
    (shelf, shelved)
}

/// A directory of this test's own.
pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examine").join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}
