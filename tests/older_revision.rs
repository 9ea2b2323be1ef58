//! A component that was built against an earlier revision of the API loads, serves, and takes over and gives away sessions.
//!
//! It is built from the sources of then, which git has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Gateway, asks, built, free_port, libraries, settled, target_directory};

/// A commit of each earlier revision, the last one before the next.
const REVISIONS: [(u32, &str); 4] = [
    (1, "6442e0f5bce434830d5f595d3f6cf6fd97886116"),
    (2, "d41db8169f27f22f526d52b079440416fc51f104"),
    (3, "e509d77546f705fecdcbbf45374eea6f6280de8b"),
    (4, "fb4913cc0fbfa8c710dd15b07571ec165bb116c4"),
];

#[test]
fn a_component_of_an_earlier_revision_serves_beside_one_of_ours() {
    for (revision, commit) in REVISIONS {
        let Some(sources) = sources(revision, commit) else {
            println!("skipped: git does not have {commit}");
            continue;
        };
        let target = target_directory("older-revision");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--locked", "--package", "tandem-echo", "--target-dir"]).arg(&target);
        built(build.current_dir(&sources));
        let older = target.join("debug/libtandem_echo.so");
        let (port, front) = (free_port(), free_port());
        let gateway = Gateway::builder()
            .library(&older)
            .library_as(&asks(None), "libtandem_asks.so")
            .toml(&format!(
                "[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
                 [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\n\
                 [component.echo]\nversions = {{ keep = 0 }}\n"
            ))
            .start();
        let mut client = gateway.connect(port);
        let memory = |number: &str| {
            let status = gateway.status();
            let version = status.versions.iter().find(|one| one.component == "echo" && one.number == number);
            version.expect("it is there").memory
        };
        assert_eq!(memory("0.1.0"), None, "it counts nothing");
        let mut echo = |text: &str| {
            client.send(text.as_bytes()).unwrap();
            assert_eq!(client.read(text.len()).unwrap(), text.as_bytes());
        };
        echo("by the older");
        // The third knows of requests, but echo answers none.
        if revision < 3 {
            let mut caller = gateway.connect(front);
            caller.send(b"ask echo anything\n").unwrap();
            assert_eq!(caller.line().unwrap(), "failed Unknown", "it knows nothing of requests");
        }
        for (library, number) in [(&libraries().echo, "1.0.0"), (&older, "1.0.1"), (&libraries().echo, "1.0.2")] {
            gateway.swap(library, number);
            echo(number);
            settled(2, || gateway.maps().len());
        }
    }
}

/// The sources of a commit, in a directory of their own; `None` where they are not to be had.
fn sources(revision: u32, commit: &str) -> Option<PathBuf> {
    let place = target_directory(&format!("revision-{revision}"));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    if std::fs::create_dir_all(&place).is_err() {
        return None;
    }
    let mut git = Command::new("git");
    git.args(["archive", commit]).current_dir(repository).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut archive = git.spawn().ok()?;
    let unpacked = Command::new("tar").arg("-x").current_dir(&place).stdin(archive.stdout.take()?).status().ok()?;
    (archive.wait().ok()?.success() && unpacked.success()).then_some(place)
}
