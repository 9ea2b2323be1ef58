//! A data directory is one process's, and what is in it is nobody's else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Gateway, free_port, libraries};

#[test]
fn a_second_gateway_is_refused_by_name_and_hurts_nothing() {
    let port = free_port();
    let mut gateway = storing(port).start();
    for _ in 0..2 {
        let second = gateway.tandem(&["run"]);
        assert_eq!(second.status.code(), Some(1), "{second:?}");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(said.contains(&format!("is in use by another tandem, process {}; give each", gateway.pid())), "{said}");
    }
    // Its socket, its lock and its store are its own still.
    assert_eq!(gateway.status().pid, gateway.pid());
    assert!(gateway.reload().ok);

    // One that was killed leaves no lock behind.
    gateway.kill_and_start();
    assert_eq!(gateway.status().pid, gateway.pid());
    let lock = fs::read_to_string(gateway.scratch("data/lock")).unwrap();
    assert_eq!(lock, format!("{}\n", gateway.pid()), "whose it is stands in it");
}

#[test]
fn whatever_the_mask_and_the_directory_nothing_in_it_is_anybody_else_s() {
    for (mode, mask) in [(None, 0), (None, 0o777), (Some(0o755), 0)] {
        let builder = storing(free_port());
        if let Some(mode) = mode {
            let data = builder.scratch("data");
            fs::create_dir(&data).unwrap();
            fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
        }
        if mask == 0o777 && !is_root() {
            // Nobody else can open what has no mode at all.
            continue;
        }
        let gateway = builder.umask(mask).start();
        let mut found = Vec::new();
        walk(&gateway.scratch("data"), &mut found);
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        for name in ["lock", "shelf", "admin.sock", "store.sqlite"] {
            assert!(names.iter().any(|one| one == name), "{name}: {names:?}");
        }
        for path in found {
            let found = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found & 0o077, 0, "{} has {found:o} with the mask {mask:o}", path.display());
        }
    }
}

/// One that has a store.
fn storing(port: u16) -> support::Builder {
    let toml = format!("[service.tally]\ncomponent = \"tally\"\nlisten = [\"tcp://127.0.0.1:{port}\"]");
    Gateway::builder().library(&support::tally(None)).library(&libraries().echo).toml(&toml)
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
