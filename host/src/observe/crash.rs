//! What is known of a run that was ended by a component: whose code ran then.
//!
//! `crash` in the data directory is what the process writes as it ends ([`loader::crash`]): numbers only, since hardly anything may be
//! done at that moment. `instances` says what the numbers of instances stand for, and is written whenever one is started.
//!
//! [`loader::crash`]: crate::loader::crash

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inside::What;
use super::notice::{self, Notice};
use crate::system;

/// How the run before was ended, where it was ended by a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Whose code ran; nobody's where it was the host's, or that of a thread which a component has started.
    pub whose: Option<Whose>,
    /// What happened: `SIGSEGV in the event `bytes` of session 7`
    pub why: String,
}

/// An instance, for a later run to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// `http`
    pub component: String,
    /// `http@1.2.0#3fa9c1`
    pub version: String,
    /// The whole digest of its content.
    pub digest: String,
    /// `web`; empty where it was for none, since it was being unloaded.
    pub service: String,
}

/// Keeps what a later run is to know of this one.
#[derive(Debug)]
pub struct Run {
    file: PathBuf,
    running: BTreeMap<u32, Whose>,
    before: Option<Crash>,
}

const CRASH: &str = "crash";
const INSTANCES: &str = "instances";

/// How the run before was ended, where that was a crash. It is known until a run [begins](begin).
pub fn crashed_last_time(data: &Path) -> Option<Crash> {
    let line = fs::read_to_string(data.join(CRASH)).ok()?;
    let instances = fs::read(data.join(INSTANCES)).unwrap_or_default();
    // Where it was not written to its end, the number alone is known.
    let instances: BTreeMap<u32, Whose> = serde_json::from_slice(&instances).unwrap_or_default();
    read(&line, &instances)
}

fn read(line: &str, instances: &BTreeMap<u32, Whose>) -> Option<Crash> {
    let mut words = line.split_whitespace();
    let what = match words.next()? {
        "signal" => signal_name(words.next()?),
        "exit" => "exit".to_owned(),
        _ => return None,
    };
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    while let (Some(name), Some(number)) = (words.next(), words.next()) {
        numbers.insert(name, number.parse().ok()?);
    }
    let whose = numbers.get("instance").and_then(|number| instances.get(number)).cloned();
    let at = numbers.get("what").and_then(|number| What::numbered(*number)).map(|what| format!(", {what}"));
    let session =
        numbers.get("session").filter(|session| **session != 0).map(|session| format!(" of session {session}"));
    let why = format!("{what}{}{}", at.unwrap_or_default(), session.unwrap_or_default());
    Some(Crash { whose, why })
}

fn signal_name(number: &str) -> String {
    crate::system::signal_name(number.parse().unwrap_or(0)).map_or_else(|| format!("signal {number}"), str::to_owned)
}

/// Begins a run: says how the one before was ended, where that was a crash, and has this one write down how it is.
///
/// # Errors
/// The files cannot be made.
pub fn begin(data: &Path) -> io::Result<Run> {
    let before = crashed_last_time(data);
    if let Some(crash) = &before {
        notice::give(Notice::Crashed, &crash.to_string());
    }
    let file = system::begin_private_file(&data.join(CRASH))?;
    crate::loader::crash::install(file)?;
    let run = Run { file: data.join(INSTANCES), running: BTreeMap::new(), before };
    run.write()?;
    Ok(run)
}

impl Run {
    /// As [`begin`], for a run that no component can end.
    ///
    /// # Errors
    /// The files cannot be made.
    #[doc(hidden)] // For the simulation.
    pub fn unwatched(data: &Path) -> io::Result<Self> {
        let before = crashed_last_time(data);
        system::begin_private_file(&data.join(CRASH))?;
        let run = Run { file: data.join(INSTANCES), running: BTreeMap::new(), before };
        run.write()?;
        Ok(run)
    }

    /// How the run before was ended, where that was a crash.
    pub fn crashed_before(&self) -> Option<&Crash> {
        self.before.as_ref()
    }

    /// One is about to be started.
    pub fn add(&mut self, number: u32, whose: Whose) {
        self.running.insert(number, whose);
        self.written();
    }

    /// One has ended.
    pub fn remove(&mut self, number: u32) {
        if self.running.remove(&number).is_some() {
            self.written();
        }
    }

    fn written(&self) {
        if let Err(error) = self.write() {
            tracing::warn!("whose code runs cannot be written to {}: {error}", self.file.display());
        }
    }

    /// Whole or not at all. It is for the end of the process, not of the machine: it is not synced.
    fn write(&self) -> io::Result<()> {
        let new = self.file.with_extension("new");
        serde_json::to_writer(system::begin_private_file(&new)?, &self.running)?;
        fs::rename(new, &self.file)
    }
}

impl std::fmt::Display for Crash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.whose {
            Some(Whose { version, service, .. }) if service.is_empty() => {
                write!(f, "{version}: the process was ended by it: {}", self.why)
            }
            Some(whose) => {
                write!(f, "service.{} {}: the process was ended by it: {}", whose.service, whose.version, self.why)
            }
            None => write!(f, "the process was ended, by no component's event: {}", self.why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(component: &str) -> Whose {
        let (component, version) = (component.to_owned(), format!("{component}@1.2.0#3fa9c1"));
        Whose { component, version, digest: "3fa9c1".repeat(10), service: "web".to_owned() }
    }

    #[test]
    fn a_line_says_whose_code_ran_and_why_it_was_ended() {
        let instances = BTreeMap::from([(7, whose("http"))]);
        let [overflow, abort, arithmetic] = ["11", "6", "8"].map(signal_name);
        let rows = [
            (
                "signal 11 instance 7 session 5 what 2\n",
                Some("http"),
                format!("{overflow}, in the event `bytes` of session 5"),
            ),
            ("signal 6 instance 7 session 0 what 251\n", Some("http"), format!("{abort}, opening it")),
            (
                "exit instance 7 session 9 what 9\n",
                Some("http"),
                "exit, in the event `timeout` of session 9".to_owned(),
            ),
            ("signal 8\n", None, arithmetic),
            ("signal 11 instance 8 session 1 what 2\n", None, format!("{overflow}, in the event `bytes` of session 1")),
        ];
        for (line, component, why) in rows {
            let crash = read(line, &instances).unwrap();
            assert_eq!(crash.whose.map(|whose| whose.component).as_deref(), component, "{line}");
            assert_eq!(crash.why, why);
        }
        for nothing in ["", "\n", "sig", "signal"] {
            assert_eq!(read(nothing, &instances), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_the_numbers_stand_for_is_known_to_the_next_run() {
        let data = tempfile::tempdir().unwrap();
        let mut instances = Run { file: data.path().join(INSTANCES), running: BTreeMap::new(), before: None };
        instances.add(1, whose("echo"));
        instances.add(7, whose("http"));
        instances.remove(1);
        assert_eq!(crashed_last_time(data.path()), None, "there was no crash");
        fs::write(data.path().join(CRASH), "exit instance 7 session 0 what 2\n").unwrap();
        assert_eq!(crashed_last_time(data.path()).unwrap().whose, Some(whose("http")));
        fs::write(data.path().join(CRASH), "exit instance 1 session 0 what 2\n").unwrap();
        assert_eq!(crashed_last_time(data.path()).unwrap().whose, None, "it had ended");
    }
}
