//! `tandem new` and `tandem dev`: what somebody writes is built and at work as soon as it is saved.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Client, Gateway, PATIENCE, free_port, libraries, settled, target_directory};

#[test]
fn what_is_saved_is_at_work_and_what_does_not_compile_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let package = place.path().join("devised");
    let source = package.join("src/lib.rs");
    let made = tandem(place.path(), &["new", "devised"]);
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("component = \"devised\""), "{made:?}");
    let twice = tandem(place.path(), &["new", "devised"]);
    let said = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(twice.status.code() == Some(1) && said.contains("devised is there already, and not empty"), "{said}");
    let nowhere = tandem(place.path(), &["new", "other", "--api", "."]);
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(
        nowhere.status.code() == Some(1) && said.contains("--api: . is not the package tandem-component"),
        "{said}"
    );
    // It passes its own tests, as it is.
    let mut tests = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tests.args(["test", "--quiet"]).current_dir(&package).env("CARGO_TARGET_DIR", target_directory(""));
    let tested = tests.output().unwrap();
    assert!(tested.status.success(), "{tested:?}");
    fs::write(&source, text(&source, "first")).unwrap();
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{}\"]\n", free_port()))
        .start();
    // It takes the service with the component that serves it.
    gateway.configure(|before| {
        format!("{before}[service.devised]\ncomponent = \"devised\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\npolicy = \"carry\"\n")
    });
    let dev = Dev::start(&gateway, &package);

    dev.says("loaded devised@0.1.0#");
    dev.says("watching ");
    let mut client = gateway.connect(port);
    assert_eq!(ask(&mut client), "first 1");

    fs::write(&source, text(&source, "second")).unwrap();
    dev.says("1 sessions moved, 0 stay where they are");
    assert_eq!(ask(&mut client), "second 2", "the session has gone on, with its count");

    let seen = dev.seen();
    fs::write(&source, text(&source, "third").replace("fn start", "fn strat")).unwrap();
    dev.says("not deployed: cargo build: ");
    assert!(!dev.seen()[seen.len()..].contains("loaded"), "{}", dev.seen());
    assert_eq!(ask(&mut client), "second 3");

    fs::write(&source, text(&source, "fourth").replace("fn strat", "fn start")).unwrap();
    settled("fourth".to_owned(), || {
        let said = ask(&mut client);
        said.split_once(' ').unwrap().0.to_owned()
    });
    let nowhere = gateway.command(&["dev", place.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(said.contains("is no package: it has no Cargo.toml; `tandem new NAME` makes one"), "{said}");
}

fn tandem(directory: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(&libraries().tandem).args(arguments).current_dir(directory).output().unwrap()
}

fn ask(client: &mut Client) -> String {
    client.send(b"who\n").unwrap();
    client.line().unwrap()
}

/// A `tandem dev` that runs, and what it has said so far.
struct Dev {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Dev {
    fn start(gateway: &Gateway, package: &Path) -> Self {
        let mut command = Command::new(&libraries().tandem);
        command.arg("dev").arg(package).arg("--config").arg(gateway.file());
        // What it depends on is built already.
        command.env("CARGO_TARGET_DIR", target_directory(""));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let said = Arc::<Mutex<String>>::default();
        let (stdout, heard) = (child.stdout.take().unwrap(), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut said = heard.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Dev { child, said }
    }

    fn seen(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this. A build takes its time.
    fn says(&self, what: &str) {
        let begun = std::time::Instant::now();
        while !self.seen().contains(what) {
            assert!(begun.elapsed() < 4 * PATIENCE, "it has not said {what:?}: {}", self.seen());
            thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It answers each line with a word and how many lines there were.
fn text(source: &Path, word: &str) -> String {
    let text = fs::read_to_string(source).unwrap();
    let (before, rest) = text.split_once("    \"").unwrap();
    let (_, after) = rest.split_once("\".into()").unwrap();
    format!("{before}    \"{word}\".into(){after}")
}
