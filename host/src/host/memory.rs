//! What libraries have allocated, held against the limits of the configuration: once a second, and when one is about to be closed.
//!
//! The hard limit is held by the library's own allocator, in the moment that it would be passed. Here it is only told.

use std::time::{Duration, Instant};

use bytesize::ByteSize;

use super::Host;
use super::versions::Version;
use crate::config::Config;
use crate::loader::library::Closed;
use crate::observe::inside;
use crate::observe::notice::{self, Notice};
use crate::version::stage::Stage;

/// So often it is looked.
const LOOK: Duration = Duration::from_secs(1);

impl Host {
    /// Tells a version's library its limit. Sessions come later; what its start has taken has to be below already.
    pub(super) fn limit_memory(&self, at: usize, config: &Config) -> Result<(), String> {
        let version = &self.versions[at];
        let Some(code) = &version.code else { return Ok(()) };
        let hard = config.component(&version.manifest.name).memory.hard;
        code.limit_memory(hard.map_or(u64::MAX, |hard| hard.0));
        match (code.memory(), hard) {
            (Some(bytes), Some(hard)) if bytes > hard.0 => Err(format!(
                "it has allocated {} by its start, and component.{}.memory.hard is {}",
                ByteSize(bytes),
                version.manifest.name,
                ByteSize(hard.0)
            )),
            _ => Ok(()),
        }
    }

    /// Whether there is a limit that something may come to.
    pub(super) fn watches_memory(&self) -> bool {
        let limited = |version: &Version| {
            let memory = &self.config.component(&version.manifest.name).memory;
            version.code.is_some() && (memory.soft.is_some() || memory.hard.is_some())
        };
        self.versions.iter().any(limited)
    }

    /// Looks at how much there is.
    pub(super) fn look_at_memory(&mut self, now: Instant) {
        if now.duration_since(self.looked_at_memory) < LOOK {
            return;
        }
        self.looked_at_memory = now;
        for number in inside::take_exhausted() {
            let name = inside::named(number);
            let name = name.map_or_else(String::new, |name| format!("service.{} {}: ", name.service, name.version));
            let why = "it was to allocate more than its component's memory.hard";
            notice::give(Notice::MemoryExhausted, &format!("{name}{why}; the thread that would have is kept for good"));
            // What else it allocates comes to the same.
            let runs = |version: &Version| version.running.iter().any(|running| running.number == number);
            if let Some(at) = self.versions.iter().position(runs) {
                self.withdraw_for_memory(at, why);
            }
        }
        for at in 0..self.versions.len() {
            let version = &self.versions[at];
            let bytes = version.code.as_ref().and_then(|code| code.memory());
            let soft = self.config.component(&version.manifest.name).memory.soft;
            let above = bytes.zip(soft).filter(|(bytes, soft)| *bytes > soft.0);
            let was_above = std::mem::replace(&mut self.versions[at].above_soft, above.is_some());
            if let Some((bytes, soft)) = above
                && !was_above
            {
                self.over_soft(at, bytes, soft.0);
            }
        }
    }

    /// A version has come above its soft limit: where it serves, the one before does from now on.
    fn over_soft(&mut self, at: usize, bytes: u64, soft: u64) {
        let version = &self.versions[at];
        let why =
            format!("it has allocated {}, and its component's memory.soft is {}", ByteSize(bytes), ByteSize(soft));
        notice::give(Notice::MemoryAboveSoft, &format!("{}: {why}", version.name()));
        self.withdraw_for_memory(at, &why);
    }

    /// A version that drains has no new sessions already, and an end.
    fn withdraw_for_memory(&mut self, at: usize, why: &str) {
        match self.versions[at].stage {
            Stage::Active => self.take_back(at, why),
            Stage::Canary => self.withdraw_failing(at, why),
            _ => {}
        }
    }
}

impl Version {
    /// Says what its library has not freed, where it is gone now: the count as it was when nothing of it was left to run.
    pub(super) fn tell_leak(&self, bytes: Option<u64>, closed: &Closed) {
        let goes_on = matches!(closed, Closed::Lingering { library: Some(_), .. });
        if let Some(bytes @ 1..) = bytes
            && !goes_on
        {
            let reason = format!("{}: {bytes} bytes were allocated and not freed when it was unloaded", self.name());
            notice::give(Notice::MemoryLeaked, &reason);
        }
    }
}
