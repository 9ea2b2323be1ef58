//! What the child of an examination may still do once it is confined: read files, compute, and give its verdict.
//!
//! It confines itself before it opens the library, with one thread, and for good. Three layers, each for what the kernel
//! has of it:
//!
//! - limits of memory, processor time, files and processes, which every Linux has;
//! - a filter of system calls (`calls`), which refuses what no component does and names it;
//! - Landlock: of the file system only reading is left, no TCP, and no signal to a process outside.
//!
//! The first two are enough for each of the promises: no network, nothing written, no thread and no process. Landlock
//! holds where the filter would have a gap. What a kernel lacks is said, and no reason not to examine.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much an examination may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// How much memory it may take, in bytes, beside what the child has before.
    pub memory: u64,
    /// Whether it may be another than what its linker has written.
    pub altered: bool,
}

impl Limits {
    /// What holds where nothing is said of memory: a large component, unoptimised, maps some 100 MB.
    pub const MEMORY: u64 = 512 << 20;

    /// So long, with as much memory as there is where nothing is said.
    pub const fn within(time: Duration) -> Self {
        Limits { time, memory: Limits::MEMORY, altered: false }
    }
}

/// What no component does, and what therefore ends an examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// To start a thread or a process.
    Start,
    /// To make a socket, or to speak through one.
    Connect,
    /// To change something in the file system.
    Write,
    /// To signal another process, or to look into it.
    Reach,
    /// To do away with what confines it.
    Escape,
    /// Something else that is not on the list of what there is need of.
    Other,
}

impl Act {
    /// What the child says of it, as it is, since it is said in the handler of a signal.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is no such handler"))]
    const fn line(self) -> &'static str {
        match self {
            Act::Start => "{\"tried\":\"start\"}\n",
            Act::Connect => "{\"tried\":\"connect\"}\n",
            Act::Write => "{\"tried\":\"write\"}\n",
            Act::Reach => "{\"tried\":\"reach\"}\n",
            Act::Escape => "{\"tried\":\"escape\"}\n",
            Act::Other => "{\"tried\":\"other\"}\n",
        }
    }

    /// What is not so of a component.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Act::Start => "a component starts none",
            Act::Connect => "the host has the sockets, and a component asks it",
            Act::Write => "the host has the files, and a component asks it",
            Act::Reach => "a component leaves other processes alone",
            Act::Escape | Act::Other => "a component computes, and no more",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Act::Start => "start a thread or a process",
            Act::Connect => "open a socket",
            Act::Write => "write to the file system",
            Act::Reach => "reach into another process",
            Act::Escape => "change what confines it",
            Act::Other => "make a system call that is not for it",
        })
    }
}

/// Which layers are left out: a test sees by it what holds on a kernel that lacks them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Without {
    /// No Landlock.
    pub(super) landlock: bool,
    /// No filter of system calls.
    pub(super) filter: bool,
}

/// As the hidden option has it: `--without landlock --without filter`.
impl FromIterator<Layer> for Without {
    fn from_iter<T: IntoIterator<Item = Layer>>(layers: T) -> Self {
        layers.into_iter().fold(Without::default(), |without, layer| match layer {
            Layer::Landlock => Without { landlock: true, ..without },
            Layer::Filter => Without { filter: true, ..without },
        })
    }
}

/// A layer that a kernel may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layer {
    /// Landlock.
    Landlock,
    /// The filter of system calls.
    Filter,
}

#[cfg(target_os = "linux")]
pub(super) use linux::confine;

#[cfg(target_os = "linux")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "confine/no_calls.rs")]
mod calls;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus, Scope,
    };
    use rustix::process::{Resource, Rlimit, setrlimit};

    use super::{Limits, Without, calls};

    /// Confines this process, which goes on to write its verdict to `verdicts`. Says what does not hold.
    pub(in super::super) fn confine(limits: Limits, without: Without, verdicts: &File) -> io::Result<Vec<String>> {
        limit(limits)?;
        let landlock = if without.landlock { Ok(RulesetStatus::NotEnforced) } else { only_reading() };
        // Last, since it lets nothing more be confined.
        let filter = if without.filter { Err("it was left out".to_owned()) } else { calls::filter(verdicts) };
        let mut lacks = Vec::new();
        match landlock {
            Ok(RulesetStatus::NotEnforced) => lacks.push("the kernel has no Landlock".to_owned()),
            Err(error) => lacks.push(format!("Landlock refuses: {error}")),
            Ok(_) => {}
        }
        lacks.extend(filter.err().map(|error| format!("system calls cannot be filtered: {error}")));
        Ok(lacks)
    }

    fn limit(limits: Limits) -> io::Result<()> {
        let at_most = |resource, value: u64| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
        // A second more than by the clock, so that it is the clock that ends it, with the better reason.
        at_most(Resource::Cpu, limits.time.as_secs().saturating_add(2))?;
        at_most(Resource::Core, 0)?;
        // What is open for writing is a socket, of which this is no limit.
        at_most(Resource::Fsize, 0)?;
        // For a user's processes and threads as a whole; no limit for root.
        at_most(Resource::Nproc, 0)?;
        at_most(Resource::As, addresses()?.saturating_add(limits.memory))?;
        Ok(())
    }

    /// How many addresses this process has mapped, in bytes. More than is used: a sanitizer reserves terabytes.
    fn addresses() -> io::Result<u64> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
        let kilobytes = size.and_then(|size| size.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes
            .and_then(|size| size.checked_mul(1024))
            .ok_or_else(|| io::Error::other("/proc/self/status: no VmSize"))
    }

    fn only_reading() -> Result<RulesetStatus, Box<dyn std::error::Error>> {
        // The newest that is known here; an older kernel takes what it knows of it.
        let abi = ABI::V6;
        let root = PathFd::new("/")?;
        Ok(Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rule(PathBeneath::new(root, AccessFs::ReadFile | AccessFs::ReadDir))?
            .restrict_self()?
            .ruleset)
    }
}

/// Elsewhere the child is limited in time alone.
#[cfg(not(target_os = "linux"))]
pub(super) fn confine(_: Limits, _: Without, _: &std::fs::File) -> std::io::Result<Vec<String>> {
    Ok(vec!["this system has no way to confine it but by time".to_owned()])
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::Act;

    #[test]
    fn what_the_handler_says_is_understood() {
        for act in [Act::Start, Act::Connect, Act::Write, Act::Reach, Act::Escape, Act::Other] {
            let line = act.line();
            assert!(line.ends_with('\n'), "{line}");
            assert!(matches!(serde_json::from_str(line), Ok(Line::Tried(said)) if said == act), "{line}");
        }
    }
}
