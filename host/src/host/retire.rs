//! The end of a version: its instances come back, it is kept or unloaded, and that it is gone is seen.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::Host;
use super::versions::{Lingering, Version};
use crate::loader::code::Code;
use crate::loader::library::{Closed, Library};
use crate::observe::inside;
use crate::observe::notice::{self, Notice};
use crate::version::Instance;
use crate::version::stage::{Stage, Step};
use crate::worker::Command;

/// How long workers get to run what a library has left on their threads.
const CLEARING: Duration = Duration::from_secs(5);

impl Host {
    /// An instance whose last lease is gone: the component is stopped here, off the workers.
    pub(super) fn retire(&mut self, instance: Instance) {
        let object = instance.into_object();
        let (number, digest) = (object.number, Arc::clone(object.code()));
        drop(object);
        inside::forget(number);
        let Some(at) = self
            .versions
            .iter()
            .position(|version| version.code.as_ref().is_some_and(|code| Arc::ptr_eq(code, &digest)))
        else {
            return;
        };
        drop(digest);
        self.versions[at].running.retain(|running| running.number != number);
        self.unload_if_idle(at);
    }

    /// Unloads a version that no instance is left of, unless it is to serve.
    pub(super) fn unload_if_idle(&mut self, at: usize) {
        let version = &mut self.versions[at];
        if !version.running.is_empty() || version.stage == Stage::Active {
            return;
        }
        let Some(code) = version.code.take() else { return };
        match Arc::try_unwrap(code) {
            Ok(code) => self.unload(at, code),
            Err(code) => version.code = Some(code),
        }
    }

    fn unload(&mut self, at: usize, code: Code) {
        let (cleared, clears) = channel();
        let range = code.range();
        let told =
            self.workers.iter().filter(|worker| worker.tell(Command::Clear(range.clone(), cleared.clone()))).count();
        drop(cleared);
        let deadline = Instant::now() + CLEARING;
        let left = || deadline.saturating_duration_since(Instant::now());
        let count = (0..told).take_while(|_| clears.recv_timeout(left()).is_ok()).count();
        if count < told {
            tracing::warn!("{} of {told} workers did not clear a library's traces in time", told - count);
        }
        let closed = code.close();
        self.versions[at].closed(closed);
    }

    /// Looks after what drains: a version that is kept is staged again once its sessions have gone; at the deadline those
    /// that are left are asked to say goodbye; a library that could not be closed is tried again.
    pub(super) fn look_after_draining(&mut self, now: Instant) {
        for at in 0..self.versions.len() {
            let version = &mut self.versions[at];
            if version.stage == Stage::Draining && !version.kept.is_empty() && version.sessions() == 0 {
                version.running.iter_mut().for_each(|running| running.drain_due = None);
                version.step(Step::Keep);
            }
            let mut due = Vec::new();
            for running in &mut version.running {
                if running.drain_due.take_if(|at| *at <= now).is_some() {
                    due.push(running.number);
                }
            }
            for instance in due {
                self.say_goodbye(at, instance);
            }
            self.versions[at].close_again();
        }
    }

    fn say_goodbye(&self, at: usize, instance: u32) {
        let versions = self.config.component(&self.versions[at].manifest.name).versions;
        let (within, rate) = (versions.goodbye.get(), versions.rate);
        for worker in &self.workers {
            worker.tell(Command::Drain { instance: Some(instance), within, rate });
        }
    }

    /// Lets go of versions that were kept and are more than the configuration wants kept.
    pub(super) fn keep_no_more_than_wanted(&mut self) {
        let mut names: Vec<String> = self.versions.iter().map(|version| version.manifest.name.clone()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let keep = self.config.component(&name).versions.keep;
            let mut kept: Vec<usize> = (0..self.versions.len())
                .filter(|at| self.versions[*at].manifest.name == name && self.versions[*at].is_behind())
                .collect();
            kept.sort_by_key(|at| std::cmp::Reverse(self.versions[*at].active_at));
            for at in kept.into_iter().skip(keep) {
                // Each lease that is dropped here comes back as an event when it was the last.
                self.versions[at].kept.clear();
            }
        }
    }
}

impl Version {
    /// Says what became of its library. Copies of it that were loaded earlier may be mapped still.
    fn closed(&mut self, closed: Closed) {
        match closed {
            Closed::Unmapped => notice::give(Notice::VersionRetired, &format!("{}: unmapped", self.name())),
            Closed::Lingering { reason, library } => {
                notice::give(Notice::VersionLingering, &format!("{}: {reason}", self.name()));
                // Of those that cannot be tried again, one says as much as many.
                if library.is_none() {
                    self.lingering.retain(|other| other.library.is_some());
                }
                self.lingering.push(Lingering { reason, library });
            }
        }
        self.settle();
    }

    /// Tries again to close what could not be closed.
    fn close_again(&mut self) {
        for mut lingering in std::mem::take(&mut self.lingering) {
            match lingering.library.take().map(Library::close) {
                Some(Closed::Unmapped) => {
                    notice::give(Notice::VersionRetired, &format!("{}: unmapped", self.name()));
                    continue;
                }
                Some(Closed::Lingering { reason, library }) => {
                    if reason != lingering.reason {
                        notice::give(Notice::VersionLingering, &format!("{}: {reason}", self.name()));
                    }
                    lingering = Lingering { reason, library };
                }
                // It is closed, and stays mapped all the same.
                None => {}
            }
            self.lingering.push(lingering);
        }
        // One that is loaded anew has a life of its own.
        if matches!(self.stage, Stage::Lingering(_)) {
            self.settle();
        }
    }

    /// Nothing of it is loaded any more: it has retired, lingers, or is refused and nothing more.
    fn settle(&mut self) {
        match self.lingering.last() {
            Some(lingering) => self.step(Step::Linger(lingering.reason.clone())),
            None => match (&self.stage, &self.refusal) {
                (Stage::Refused(_), _) => {}
                (Stage::Lingering(_), Some(refusal)) => self.step(Step::Refuse(refusal.clone())),
                _ => self.step(Step::Unmap),
            },
        }
    }

    /// Whether it was active and is kept.
    fn is_behind(&self) -> bool {
        self.stage != Stage::Active && !self.kept.is_empty()
    }
}
