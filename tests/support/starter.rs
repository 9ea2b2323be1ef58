//! Whoever starts a gateway and looks after it, as systemd does: hands sockets over, and hears how it is.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::patience::PATIENCE;
use crate::process;

/// What starts a gateway. The sockets stay with it, so that they outlive the gateway.
#[derive(Debug)]
pub struct Starter {
    notify: PathBuf,
    socket: UnixDatagram,
    handed: Vec<(String, OwnedFd)>,
    patience: Option<Duration>,
}

impl Starter {
    /// One that hears at this path what the gateway says.
    ///
    /// # Panics
    /// Where there can be no socket.
    pub fn hearing_at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("there is room for a socket");
        Starter { notify: path.to_owned(), socket, handed: Vec::new(), patience: None }
    }

    /// Hands this socket over as well, under a name.
    #[must_use]
    pub fn handing(mut self, name: &str, socket: impl Into<OwnedFd>) -> Self {
        self.handed.push((name.to_owned(), socket.into()));
        self
    }

    /// Takes a gateway that says nothing for so long for stuck.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Starter { patience: Some(patience), ..self }
    }

    /// The command of this program, as it is started.
    pub(crate) fn command(&self, program: &Path) -> Command {
        // Whose the sockets are is known once the process is there, and the program keeps its number.
        let mut command = Command::new("sh");
        command.args(["-c", "LISTEN_PID=$$ exec \"$@\"", "sh"]).arg(program).env("NOTIFY_SOCKET", &self.notify);
        if !self.handed.is_empty() {
            let names: Vec<&str> = self.handed.iter().map(|(name, _)| name.as_str()).collect();
            command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
            process::hand_over(&mut command, self.handed.iter().map(|(_, socket)| socket));
        }
        if let Some(patience) = self.patience {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        command
    }

    /// The next that it says, but for that it is alive.
    ///
    /// # Panics
    /// Where it says nothing within [`PATIENCE`].
    pub fn told(&self) -> BTreeMap<String, String> {
        let begun = Instant::now();
        loop {
            let said = self.next(PATIENCE.saturating_sub(begun.elapsed())).expect("the gateway says how it is");
            if !said.contains_key("WATCHDOG") {
                return said;
            }
        }
    }

    /// Whether it says within this time that it is alive.
    pub fn hears_that_it_is_alive(&self, within: Duration) -> bool {
        let begun = Instant::now();
        while let Some(said) = self.next(within.saturating_sub(begun.elapsed())) {
            if said.contains_key("WATCHDOG") {
                return true;
            }
        }
        false
    }

    fn next(&self, within: Duration) -> Option<BTreeMap<String, String>> {
        // None at all would be without a bound.
        self.socket.set_read_timeout(Some(within.max(Duration::from_millis(1)))).expect("it is a span");
        let mut buffer = [0; 4096];
        let length = match self.socket.recv(&mut buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return None,
            length => length.expect("the socket is ours"),
        };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Some(
            text.lines()
                .map(|line| pair(line).unwrap_or_else(|| panic!("no word of the protocol: {line:?}")))
                .collect(),
        )
    }
}
