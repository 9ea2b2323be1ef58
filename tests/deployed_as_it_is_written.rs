//! `tandem dev`: what somebody writes is built and at work as soon as it is saved.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Client, Gateway, PATIENCE, free_port, libraries, settled, target_directory};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn what_is_saved_is_at_work_and_what_does_not_compile_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let package = place.path().join("devised");
    let source = package.join("src/lib.rs");
    write_package(&package, "first");
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

    fs::write(&source, text("second")).unwrap();
    dev.says("1 sessions moved, 0 stay where they are");
    assert_eq!(ask(&mut client), "second 2", "the session has gone on, with its count");

    let seen = dev.seen();
    fs::write(&source, text("third").replace("fn start", "fn strat")).unwrap();
    dev.says("not deployed: cargo build: ");
    assert!(!dev.seen()[seen.len()..].contains("loaded"), "{}", dev.seen());
    assert_eq!(ask(&mut client), "second 3");

    fs::write(&source, text("fourth")).unwrap();
    settled("fourth".to_owned(), || {
        let said = ask(&mut client);
        said.split_once(' ').unwrap().0.to_owned()
    });
    let nowhere = gateway.command(&["dev", place.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(said.contains("is no package: it has no Cargo.toml; `tandem new NAME` makes one"), "{said}");
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

fn write_package(package: &Path, word: &str) {
    fs::create_dir_all(package.join("src")).unwrap();
    let api = fs::canonicalize(Path::new(WORKSPACE).join("component-api")).unwrap();
    let manifest = format!(
        "[package]\nname = \"devised\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\ntandem-component = {{ path = {:?} }}\n[workspace]\n",
        api.display().to_string()
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(Path::new(WORKSPACE).join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    fs::write(package.join("src/lib.rs"), text(word)).unwrap();
}

/// It answers each line with a word and how many lines there were.
fn text(word: &str) -> String {
    format!(
        r#"use tandem_component::prelude::*;

struct Devised;

#[derive(Default, Serialize, Deserialize)]
struct Conversation {{
    lines: u64,
}}

impl Component for Devised {{
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {{
        Ok(Devised)
    }}

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {{
        Ok(Conversation::default())
    }}
}}

impl Session for Conversation {{
    type Component = Devised;
    type Then = ();

    fn handle(&mut self, _: &Devised, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {{
        match event {{
            Event::Bytes {{ stream, bytes }} => {{
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {{ return Ok(()) }};
                self.lines += 1;
                out.send(stream, format!("{word} {{}}\n", self.lines).as_bytes());
                out.consume(end + 1);
            }}
            Event::End {{ stream }} => out.close(stream),
            _ => {{}}
        }}
        Ok(())
    }}

    fn at_boundary(&self) -> bool {{
        true
    }}
}}

export_component!(Devised);
"#
    )
}
