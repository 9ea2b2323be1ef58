//! The examination: a child process opens a library, checks it and tries it, before the host loads it.
//!
//! Of two hundred damaged libraries that were loaded, most killed the process that loaded them, so that process must not
//! be the host. The child is the host's own executable with the hidden subcommand `examine` ([`child`]); it says which
//! step it is entering before it enters it, so that whatever becomes of it, the reason names where. The invariants:
//!
//! - an [`Examined`] comes from nowhere else, and only by it a library is loaded: nothing runs unexamined;
//! - the child confines itself before it opens the library ([`confine`](Limits)): it reads files and computes, and has no
//!   network, no thread, no other process and no more memory than it may have;
//! - the examination ends within its limit, whatever the library does, and leaves no process and no thread behind
//!   (`group`), but where system calls cannot be filtered, for a process that takes care to escape;
//! - what the component says of its configuration reaches the operator as it said it, with the service.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::library::{Library, LoadError};
use super::linked;
use super::shelf::{Digest, Shelf, ShelfError, Shelved};

pub mod child;
mod confine;
mod group;

pub use confine::{Act, Layer, Limits};

use group::{Group, Left, Talk};

/// A component at work for one service, as it is to be tried: what `Code::start` will be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The service, for the reason of a refusal.
    pub service: String,
    /// MessagePack of `Starting`.
    pub starting: Vec<u8>,
    /// MessagePack of the service's configuration.
    pub config: Vec<u8>,
    /// Sessions of another version that it is to go on with.
    #[serde(default)]
    pub states: Vec<Resumed>,
}

/// A session of another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// MessagePack of its `Opening`.
    pub opening: Vec<u8>,
    /// What that version has exported.
    pub state: Vec<u8>,
}

/// A library's content that has passed its examination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    digest: Digest,
    /// Why a library of this content will not go away when it is closed, if the child has found that.
    pub lingers: Option<String>,
    /// In what the child was not confined, since the kernel has nothing to do it by.
    pub lacks: Vec<String>,
    /// The sessions of a trial that it does not go on with: which service, which of them, and why.
    pub refused: Vec<(String, usize, String)>,
}

impl Examined {
    /// What has passed.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Loads it into this process, from a copy on the shelf that nothing is mapped from.
    pub fn load(&self, shelf: &Shelf) -> Result<Library, Unloaded> {
        let path = shelf.fresh_path(&self.digest)?;
        // SAFETY: a child has loaded and tried this very content, and the shelf has it as a file that nobody writes to.
        Ok(unsafe { Library::load(&path) }?)
    }
}

/// Why a library that has passed is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Unloaded {
    /// Its copy cannot be used.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The system does not load it.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Has a child of `host`, the host's executable, examine a library with these trials, where it is what its linker has written.
///
/// [`own_executable`] is the one to use for `host`. What the child writes to its standard error is kept for the reason.
pub fn examine(host: &Path, library: &Shelved, trials: &[Trial], limits: Limits) -> Result<Examined, Refused> {
    if !limits.altered {
        let linked = linked::check(&library.path)?;
        linked.map_err(|altered| Refused::Unfit { step: None, reason: altered.to_string() })?;
    }
    let request = Request { library: library.path.clone(), trials: trials.to_vec(), limits };
    let request = rmp_serde::to_vec_named(&request).map_err(io::Error::other)?;
    let deadline = Instant::now() + limits.time;
    let mut command = Command::new(host);
    command.arg("examine").env("RUST_BACKTRACE", "0");
    let (mut group, talk) = Group::spawn(command)?;
    let report = listen(talk, request).and_then(|heard| follow(&mut group, &heard, deadline));
    // Also where something of ours went wrong: nothing of it stays, and nobody waits for it.
    if report.is_err() {
        // The first error is the one that is told.
        let _ = group.kill();
    }
    group.hang_up();
    let mut report = report?;
    let lacks = std::mem::take(&mut report.lacks);
    let refused = std::mem::take(&mut report.refused);
    report.judge(limits.time).map(|lingers| Examined { digest: library.digest, lingers, lacks, refused })
}

/// Hears the child to its end or to the deadline, and then all that is still under way.
fn follow(group: &mut Group, heard: &mpsc::Receiver<Heard>, deadline: Instant) -> io::Result<Report> {
    let mut report = Report::default();
    let left = |until: Instant| until.saturating_duration_since(Instant::now());
    loop {
        match heard.recv_timeout(left(deadline).min(LOOK)) {
            Ok(heard) => report.take(heard),
            Err(error) => {
                report.end = group.ended()?;
                if report.end.is_some() || Instant::now() >= deadline {
                    break;
                }
                // Whoever has closed what it is heard by has ended, or is about to.
                if error == RecvTimeoutError::Disconnected {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
    report.left = group.kill()?;
    // Nobody is left who could say more, but for one who has left the group.
    let until = deadline.max(Instant::now() + LOOK);
    loop {
        match heard.recv_timeout(left(until)) {
            Ok(heard) => report.take(heard),
            Err(RecvTimeoutError::Disconnected) => return Ok(report),
            Err(RecvTimeoutError::Timeout) => {
                report.left = Left::Processes;
                return Ok(report);
            }
        }
    }
}

/// The executable that this process runs, even if the file at its path has been replaced since.
///
/// By its path as long as that leads to the file that it led to at the first call, which the host makes as it starts: what
/// runs under a debugger or a profiler can be found by nothing else.
pub fn own_executable() -> io::Result<PathBuf> {
    static FIRST: OnceLock<(PathBuf, Option<same::File>)> = OnceLock::new();
    let path = std::env::current_exe()?;
    let now = same::file(&path);
    let (first, then) = FIRST.get_or_init(|| (path, now));
    if now.is_some() && now == *then || !cfg!(target_os = "linux") {
        return Ok(first.clone());
    }
    Ok("/proc/self/exe".into())
}

/// Which file a path leads to.
mod same {
    use std::path::Path;

    #[cfg(unix)]
    pub(super) type File = (u64, u64);
    #[cfg(not(unix))]
    pub(super) type File = std::time::SystemTime;

    #[cfg(unix)]
    pub(super) fn file(path: &Path) -> Option<File> {
        use std::os::unix::fs::MetadataExt as _;
        path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    pub(super) fn file(path: &Path) -> Option<File> {
        path.metadata().ok()?.modified().ok()
    }
}

/// Why a library has not passed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The child came to the verdict that it does not fit.
    #[error("{reason}")]
    Unfit {
        /// Where it came to it.
        step: Option<Step>,
        /// Why.
        reason: String,
    },
    /// It tried what no component does.
    #[error("it tried to {act}{}; {}", while_at(.step), act.instead())]
    Tried {
        /// What.
        act: Act,
        /// Where the child was.
        step: Option<Step>,
    },
    /// It ended the child.
    #[error("the library killed its examination: {how}{}{}", while_at(.step), said(.stderr))]
    Killed {
        /// By which signal, or with which exit status.
        how: String,
        /// Where the child was.
        step: Option<Step>,
        /// The last of what the child wrote to its standard error.
        stderr: String,
    },
    /// It kept the child longer than it may take.
    #[error("it did not finish within {limit:?}{} (a constructor or `start` that hangs?){}", while_at(.step), said(.stderr))]
    TimedOut {
        /// How long it may take.
        limit: Duration,
        /// Where the child was.
        step: Option<Step>,
        /// The last of what the child wrote to its standard error.
        stderr: String,
    },
    /// The host could not have it examined: not the library's fault.
    #[error("the host cannot examine it: {0}")]
    Unexamined(#[from] io::Error),
}

/// What the child does, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Its constructors run.
    Load,
    /// Its header is looked at.
    Header,
    /// The layout of its types is compared with the host's.
    Layout,
    /// What its code says of itself is compared with what its file says.
    Manifest,
    /// It is made to panic.
    Panic,
    /// It starts with the configuration of this service.
    Start(String),
    /// It goes on with a session of another version, for this service.
    Resume(String),
    /// It stops for this service.
    Stop(String),
    /// It is closed.
    Unload,
    /// It is closed, and the child ends.
    End,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load => f.write_str("while it was loaded"),
            Self::Header => f.write_str("while its header was looked at"),
            Self::Layout => f.write_str("while its layout was checked"),
            Self::Manifest => f.write_str("while its manifest was compared"),
            Self::Panic => f.write_str("while it was made to panic"),
            Self::Start(service) => write!(f, "in `start` for service `{service}`"),
            Self::Resume(service) => write!(f, "while it resumed a session of service `{service}`"),
            Self::Stop(service) => write!(f, "while it was stopped for service `{service}`"),
            Self::Unload => f.write_str("while it was closed"),
            Self::End => f.write_str("at the end of the process, after it was closed"),
        }
    }
}

fn while_at(step: &Option<Step>) -> String {
    step.as_ref().map(|step| format!(", {step}")).unwrap_or_default()
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}

/// What the child is to do: MessagePack on its standard input.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    library: PathBuf,
    trials: Vec<Trial>,
    limits: Limits,
}

/// What the child says: JSON, a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Entering(Step),
    /// In what the child is not confined.
    Lacks(Vec<String>),
    Tried(Act),
    /// A session that it does not go on with.
    Refused {
        service: String,
        which: usize,
        reason: String,
    },
    Passed {
        lingers: Option<String>,
    },
    Unfit {
        reason: String,
    },
}

enum Heard {
    Line(Line),
    /// The end of what was written to standard error, once it is closed.
    Error(String),
}

/// Writes the request and reads the answers on threads of their own, which end when the group is hung up on: whoever waits
/// for the child waits for none of them.
fn listen((mut to, stdout, stderr): Talk, request: Vec<u8>) -> io::Result<mpsc::Receiver<Heard>> {
    let (lines, heard) = mpsc::channel();
    let errors = lines.clone();
    let thread = |name: &str| thread::Builder::new().name(name.to_owned());
    // A child that does not read its request is judged by how it ends.
    thread("examine-in").spawn(move || to.write_all(&request))?;
    thread("examine-out").spawn(move || {
        for line in BufReader::new(stdout.take(ANSWER_MAX)).lines().map_while(Result::ok) {
            // A line that is none of ours says nothing; without a verdict nothing passes.
            let Ok(line) = serde_json::from_str(&line) else { continue };
            if lines.send(Heard::Line(line)).is_err() {
                return;
            }
        }
    })?;
    thread("examine-err").spawn(move || errors.send(Heard::Error(last_lines(stderr))))?;
    Ok(heard)
}

/// What has been heard of the child.
#[derive(Default)]
struct Report {
    step: Option<Step>,
    lacks: Vec<String>,
    refused: Vec<(String, usize, String)>,
    tried: Option<Act>,
    verdict: Option<Result<Option<String>, String>>,
    stderr: String,
    /// How it ended; none if it had to be killed.
    end: Option<ExitStatus>,
    /// What it left behind.
    left: Left,
}

impl Report {
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Line(Line::Entering(step)) => self.step = Some(step),
            Heard::Line(Line::Lacks(lacks)) => self.lacks = lacks,
            Heard::Line(Line::Refused { service, which, reason }) => self.refused.push((service, which, reason)),
            Heard::Line(Line::Tried(act)) => self.tried = Some(act),
            Heard::Line(Line::Passed { lingers }) => self.verdict = Some(Ok(lingers)),
            Heard::Line(Line::Unfit { reason }) => self.verdict = Some(Err(reason)),
            Heard::Error(text) => self.stderr = text,
        }
    }

    /// A verdict counts only if the child also ended well, and with it all that it had started.
    fn judge(self, limit: Duration) -> Result<Option<String>, Refused> {
        let Self { step, verdict, stderr, end, left, tried, lacks: _, refused: _ } = self;
        // A signal that was blocked ends the child before it can say what it tried: see `confine::calls`.
        let tried = tried.or_else(|| (end.and_then(signal) == Some(SIGSYS)).then_some(Act::Start));
        if let Some(act) = tried {
            return Err(Refused::Tried { act, step });
        }
        match (verdict, end) {
            (Some(Err(reason)), _) => Err(Refused::Unfit { step, reason }),
            (Some(Ok(_)), Some(end)) if end.success() && left == Left::Processes => {
                let reason =
                    "it was stopped, and a process that it started still runs; a component starts none".to_owned();
                Err(Refused::Unfit { step, reason })
            }
            (_, None) => Err(Refused::TimedOut { limit, step, stderr }),
            (Some(Ok(lingers)), Some(end)) if end.success() => Ok(lingers),
            (_, Some(end)) if step == Some(Step::Panic) && signal(end) == Some(libc::SIGABRT) => {
                let reason = "it is built with panic = \"abort\"; build it with panic = \"unwind\"".to_owned();
                Err(Refused::Unfit { step, reason })
            }
            // It got as far as loading nothing: an executable that does not know the subcommand, say.
            (None, Some(end)) if step.is_none() => {
                Err(Refused::Unexamined(io::Error::other(format!("the child ended early, {end}{}", said(&stderr)))))
            }
            (_, Some(end)) => {
                let how = signal(end).map_or_else(|| end.to_string(), signal_name);
                Err(Refused::Killed { how, step, stderr })
            }
        }
    }
}

#[cfg(unix)]
fn signal(end: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&end)
}

#[cfg(not(unix))]
fn signal(_end: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
const SIGSYS: i32 = libc::SIGSYS;
#[cfg(not(unix))]
const SIGSYS: i32 = i32::MAX;

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        #[cfg(unix)]
        libc::SIGBUS => "SIGBUS",
        #[cfg(unix)]
        libc::SIGKILL => "SIGKILL",
        #[cfg(unix)]
        libc::SIGXCPU => "SIGXCPU",
        #[cfg(unix)]
        libc::SIGXFSZ => "SIGXFSZ",
        #[cfg(unix)]
        libc::SIGTRAP => "SIGTRAP",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// Reads to the end, and keeps the last three lines, as far as they fit.
fn last_lines(mut pipe: impl Read) -> String {
    let mut tail = VecDeque::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        tail.extend(&buffer[..n]);
        tail.drain(..tail.len().saturating_sub(STDERR_MAX));
    }
    let text = String::from_utf8_lossy(tail.make_contiguous()).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" | ");
    last.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A child says some dozen lines. More than this is none of ours.
const ANSWER_MAX: u64 = 1 << 20;
/// So often it is looked whether the child has ended, also where what it is heard by stays open.
const LOOK: Duration = Duration::from_millis(50);
/// So much of its standard error is looked at for its last lines.
const STDERR_MAX: usize = 1024;
