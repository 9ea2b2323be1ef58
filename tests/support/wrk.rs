//! Load from a program that is not ours: `wrk`, for as long as a test needs.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::process::signal;

/// A running `wrk`.
#[derive(Debug)]
pub struct Wrk(Option<Child>);

/// What `wrk` has counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Load {
    /// Requests that were answered.
    pub requests: u64,
    /// Answers that were not 2xx or 3xx.
    pub other_statuses: u64,
    /// The line of socket errors, which is not there where there were none.
    pub socket_errors: Option<String>,
}

impl Wrk {
    /// Keeps so many connections busy with `GET /`. Nothing where `wrk` is not installed, which it says.
    pub fn start(address: SocketAddr, connections: usize) -> Option<Self> {
        let mut wrk = Command::new("wrk");
        // A bound for the case that the test ends without stopping it.
        wrk.args(["--threads=1", &format!("--connections={connections}"), "--duration=15m", "--timeout=30s"]);
        wrk.arg(format!("http://{address}/")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        match wrk.spawn() {
            Ok(child) => Some(Wrk(Some(child))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("wrk is not installed: the load is our own client's alone");
                None
            }
            Err(error) => panic!("wrk: {error}"),
        }
    }

    /// Stops it and reads what it has counted.
    ///
    /// # Panics
    /// Where its report is none.
    pub fn stop(mut self) -> Load {
        let child = self.0.take().expect("it is stopped once");
        signal(child.id(), libc::SIGINT);
        let report = child.wait_with_output().expect("wrk ends");
        let report = String::from_utf8_lossy(&report.stdout).into_owned();
        Load::read(&report).unwrap_or_else(|| panic!("no report of wrk: {report}"))
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Load {
    fn read(report: &str) -> Option<Self> {
        let line = |part: &str| report.lines().find(|line| line.contains(part)).map(str::trim);
        Some(Load {
            requests: line(" requests in ")?.split_whitespace().next()?.parse().ok()?,
            other_statuses: match line("Non-2xx or 3xx responses") {
                Some(line) => line.rsplit(' ').next()?.parse().ok()?,
                None => 0,
            },
            socket_errors: line("Socket errors").map(str::to_owned),
        })
    }
}
