//! A component that was built against an earlier revision of the API loads, serves, and takes over and gives away sessions.
//!
//! It is built from the sources of then, which git has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use support::{Client, Gateway, asks, built, free_port, libraries, rewrite, settled, target_directory};

/// A commit of each earlier revision, the last one before the next.
const REVISIONS: [(u32, &str); 6] = [
    (1, "6442e0f5bce434830d5f595d3f6cf6fd97886116"),
    (2, "d41db8169f27f22f526d52b079440416fc51f104"),
    (3, "e509d77546f705fecdcbbf45374eea6f6280de8b"),
    (4, "fb4913cc0fbfa8c710dd15b07571ec165bb116c4"),
    (5, "ecd7b3526120c9dbe2d1d9111a2231603aa1f56c"),
    (6, "ec557caf2bf654a02113f310585c3860ea24117a"),
];

#[test]
fn a_component_of_an_earlier_revision_serves_beside_one_of_ours() {
    for Older { revision, echo: older, .. } in &*OLDER {
        let revision = *revision;
        let (port, front) = (free_port(), free_port());
        let gateway = Gateway::builder()
            .library(older)
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
        assert_eq!(memory("0.1.0").is_some(), revision >= 5, "it counts nothing before that");
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
        for (library, number) in [(&libraries().echo, "1.0.0"), (older, "1.0.1"), (&libraries().echo, "1.0.2")] {
            gateway.swap(library, number);
            echo(number);
            settled(2, || gateway.maps().len());
        }
    }
}

#[test]
fn components_of_an_earlier_revision_and_of_ours_call_each_other() {
    for Older { revision, asks: older, .. } in &*OLDER {
        let Some(older) = older else { continue };
        let (front, back) = (free_port(), free_port());
        let gateway = Gateway::builder()
            .library_as(older, "libtandem_asks.so")
            .toml(&format!(
                "workers = 1\n\
                 [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\npolicy = \"pin\"\n\
                 [service.back]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{back}\"]\npolicy = \"pin\"\n\
                 config = {{ serves = true }}\n"
            ))
            .start();
        let says = |client: &mut Client, line: &str| {
            client.send(format!("{line}\n").as_bytes()).unwrap();
            client.line().unwrap()
        };
        let mut callers = vec![gateway.connect(front)];
        let mut callees = vec![gateway.connect(back)];
        says(&mut callers[0], "number");
        says(&mut callees[0], "number");
        gateway.swap(&asks(None), "1.0.0");
        callers.push(gateway.connect(front));
        callees.push(gateway.connect(back));
        let numbers: Vec<String> = callees.iter_mut().map(|callee| says(callee, "number")).collect();
        for caller in &mut callers {
            let mut answered: Vec<String> = (0..4).map(|_| says(caller, "ask back who")).collect();
            answered.sort_unstable();
            answered.dedup();
            let mut expected: Vec<String> =
                numbers.iter().map(|number| format!("front asks back over Tcp {number}")).collect();
            expected.sort_unstable();
            assert_eq!(answered, expected, "revision {revision}");
        }
    }
}

/// What was built of the sources of then.
struct Older {
    revision: u32,
    echo: PathBuf,
    /// The third is the first that has calls.
    asks: Option<PathBuf>,
}

/// One after the other, the oldest first: they share what none of them has changed.
static OLDER: LazyLock<Vec<Older>> = LazyLock::new(|| {
    let target = target_directory("older-revision");
    let of = |(revision, commit)| {
        let Some(sources) = sources(revision, commit) else {
            println!("skipped: git does not have {commit}");
            return None;
        };
        let asks = revision >= 3;
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--locked", "--package", "tandem-echo"]);
        build.args(["--package", "tandem-asks"].iter().filter(|_| asks));
        built(build.arg("--target-dir").arg(&target).current_dir(sources));
        let kept = |component: &str| {
            let name = format!("libtandem_{component}.so");
            let kept = target.join(format!("{revision}-{name}"));
            let mut api = 0;
            let look = |manifest: &mut serde_json::Value| api = manifest["api"].as_u64().unwrap_or_default();
            rewrite(&target.join("debug").join(name), &kept, look).expect("it was built");
            assert_eq!(api, u64::from(revision), "what was built is not of then");
            kept
        };
        Some(Older { revision, echo: kept("echo"), asks: asks.then(|| kept("asks")) })
    };
    REVISIONS.into_iter().filter_map(of).collect()
});

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
    // As if they were written now: what was built of others before is older than they are, and is built anew.
    let unpacked =
        Command::new("tar").args(["-x", "-m"]).current_dir(&place).stdin(archive.stdout.take()?).status().ok()?;
    (archive.wait().ok()?.success() && unpacked.success()).then_some(place)
}
