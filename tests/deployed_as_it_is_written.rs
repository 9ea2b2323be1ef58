//! `tandem new` and `tandem dev`: what somebody writes is built and at work as soon as it is saved.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Client, PATIENCE, free_port, libraries, loopback, settled, target_directory};

#[test]
fn what_is_saved_is_at_work_and_what_does_not_compile_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let package = place.path().join("devised");
    let source = package.join("src/lib.rs");
    // Others may write to what this mask lets be made, and a gateway takes nothing from there.
    let made = Command::new("sh")
        .args(["-c", "umask 002 && exec \"$0\" new devised"])
        .arg(&libraries().tandem)
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    let page = fs::read_to_string(package.join("README.md")).unwrap();
    for command in
        ["cargo test", "tandem dev --config tandem.toml", "tandem run --config tandem.toml", "nc 127.0.0.1 7007"]
    {
        assert!(said.contains(command) && page.contains(command), "{command}: {said}{page}");
    }
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
    // Where nothing listens yet, its own configuration says what comes next.
    let port = free_port();
    let configuration = package.join("tandem.toml");
    let text_of_it = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, text_of_it.replace("7007", &port.to_string())).unwrap();
    let dev = Running::start(&package, "dev");
    dev.says("`tandem run --config tandem.toml` begins with it");
    dev.says("watching ");
    let _gateway = Running::start(&package, "run");
    settled(true, || Client::try_connect(loopback(port)).is_ok());
    let mut client = Client::connect(loopback(port));
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
    // What a session cannot go on with is said at once, with the reason.
    fs::write(&source, text(&source, "fifth").replace("    lines: u64,", "    lines: u64,\n    name: String,"))
        .unwrap();
    dev.says("0 sessions moved, 1 stay where they are");
    dev.says("    on devised@0.1.0#");
    dev.says(": cannot resume the state at session: missing field `name`");
    assert!(ask(&mut client).starts_with("fourth "));
    let nowhere = tandem(place.path(), &["dev"]);
    assert_eq!(nowhere.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(said.contains("is no package: it has no Cargo.toml; `tandem new NAME` makes one"), "{said}");
}

#[test]
fn the_manual_leads_from_one_version_to_the_next_with_a_connection_open() {
    let place = tempfile::tempdir().unwrap();
    let package = place.path().join("lines");
    assert!(tandem(place.path(), &["new", "lines"]).status.success());
    let port = free_port();
    let configuration = package.join("tandem.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, text.replace("7007", &port.to_string())).unwrap();
    let deployed = package.join("var/components/liblines.so");
    let first = built(&package, "lines.rs", "0.1.0");
    fs::copy(first, &deployed).unwrap();
    let _gateway = Running::start(&package, "run");
    settled(true, || Client::try_connect(loopback(port)).is_ok());
    let mut client = Client::connect(loopback(port));
    assert_eq!(ask(&mut client), "1 who");

    let tandem = |arguments: &[&str]| {
        let done = tandem(&package, &[arguments, &["--config", "tandem.toml"]].concat());
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{arguments:?}: {said}");
        said
    };
    let third = built(&package, "counted.rs", "0.3.0");
    tandem(&["sessions", "lines", "--record", "states.json"]);
    let verified = ["verify", deployed.to_str().unwrap(), third.to_str().unwrap(), "--states", "states.json"];
    let said = tandem(&verified);
    assert!(said.contains("it adds to table said: ") && said.contains(" recorded sessions go on with it"), "{said}");
    fs::copy(third, &deployed).unwrap();
    assert!(tandem(&["reload"]).contains("liblines.so: loaded lines@0.3.0#"));
    assert_eq!(ask(&mut client), "2 who: 1");
    // … and back, with the count of the session.
    assert!(tandem(&["rollback", "lines"]).contains("lines@0.1.0#"));
    assert_eq!(ask(&mut client), "3 who");
    assert!(tandem(&["promote", "lines"]).contains("lines@0.3.0#"));
    assert_eq!(ask(&mut client), "4 who: 2", "what was counted is still there");
}

/// The library of a package with this code of the manual's.
fn built(package: &Path, chapter: &str, number: &str) -> PathBuf {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../component-api/src/manual");
    let code = fs::read_to_string(manual.join(chapter)).unwrap() + "\nexport_component!(Lines);\n";
    fs::write(package.join("src/lib.rs"), code).unwrap();
    let manifest = package.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let (before, rest) = text.split_once("version = \"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    fs::write(&manifest, format!("{before}version = \"{number}\"{after}")).unwrap();
    // What it depends on is built already.
    let target = target_directory("");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet"]).current_dir(package).env("CARGO_TARGET_DIR", &target);
    assert!(cargo.status().unwrap().success());
    target.join("debug/liblines.so")
}

fn tandem(directory: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(&libraries().tandem).args(arguments).current_dir(directory).output().unwrap()
}

fn ask(client: &mut Client) -> String {
    client.send(b"who\n").unwrap();
    client.line().unwrap()
}

/// A `tandem dev` or `tandem run` at work in a package, and what it has said so far.
struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    fn start(package: &Path, verb: &str) -> Self {
        let mut command = Command::new(&libraries().tandem);
        command.args([verb, "--config", "tandem.toml"]).current_dir(package);
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
        Running { child, said }
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

impl Drop for Running {
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
