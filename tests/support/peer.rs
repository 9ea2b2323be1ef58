//! Programs that are not ours, as peers of the gateway: [`Peer`].

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::libraries::target_directory;
use crate::patience::PATIENCE;
use crate::process;

/// A running program. It is killed when it is dropped.
#[derive(Debug)]
pub struct Peer {
    pub(crate) child: Child,
}

impl Peer {
    /// Runs a command.
    ///
    /// # Panics
    /// Where it cannot be run.
    pub fn start(command: &mut Command) -> Self {
        process::end_with_this_thread(command);
        Peer { child: command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")) }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not end within [`PATIENCE`].
    pub fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the peer has not ended after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script under `tests/peers` that is made of npm's smpp; nothing where that is not installed.
pub(crate) fn in_javascript(script: &str) -> Option<Command> {
    let node = target_directory("peers/node");
    let mut command = Command::new("node");
    command.env("NODE_PATH", node.join("node_modules")).arg(path(script));
    installed("npm's smpp", &node.join("installed.json")).then_some(command)
}

/// Runs a script under `tests/peers` that is made of what is in its `requirements.txt`; nothing where that is not installed.
pub(crate) fn in_python(script: &str) -> Option<Command> {
    let python = target_directory("peers/python");
    let mut command = Command::new(python.join("bin/python"));
    command.arg("-B").arg(path(script));
    installed("Python's SMPP", &python.join("installed.txt")).then_some(command)
}

/// What asks an interface all that its OpenAPI description says, without what it is to ask; nothing where it is not installed.
pub fn described() -> Option<Command> {
    let openapi = target_directory("peers/openapi");
    let there = installed("schemathesis", &openapi.join("installed.txt"));
    there.then(|| {
        let mut command = Command::new(openapi.join("bin/schemathesis"));
        command.env("SCHEMATHESIS_HOOKS", path("described.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
}

fn path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)
}

/// Whether a peer is installed, by what is there then. That it is not is said.
///
/// # Panics
/// Where it is not in CI, which has to have all of them.
pub(crate) fn installed(name: &str, path: &Path) -> bool {
    let there = path.exists();
    if !there {
        let missing = format!("{name} is not installed: there is no {}; scripts/test sees to it", path.display());
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        println!("{missing}");
    }
    there
}

/// An operator at the dashboard, in headless Chromium.
#[derive(Debug)]
pub struct Browser {
    peer: Peer,
    told: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// Starts one with these arguments; nothing where it is not installed.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let chromium = Path::new("/usr/bin/chromium");
        let mut command = in_javascript("dashboard.js").filter(|_| installed("Chromium", chromium))?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut peer = Peer::start(&mut command);
        let (told, says) =
            (peer.child.stdin.take().expect("it is piped"), peer.child.stdout.take().expect("it is piped"));
        let mut browser = Browser { peer, told, says: BufReader::new(says).lines() };
        assert_eq!(browser.line(), "there");
        Some(browser)
    }

    /// Has it do something.
    ///
    /// # Panics
    /// Where it cannot be done, or something is not as it should be.
    pub fn does(&mut self, what: &str) {
        writeln!(self.told, "{what}").expect("it listens");
        assert_eq!(self.line(), format!("done {what}"));
    }

    /// Has it end.
    ///
    /// # Panics
    /// Where something was not as it should be.
    pub fn ends(self) {
        let Browser { mut peer, told, .. } = self;
        drop(told);
        assert!(peer.ended().success());
    }

    fn line(&mut self) -> String {
        self.says.next().and_then(Result::ok).unwrap_or_else(|| "it has ended".to_owned())
    }
}
