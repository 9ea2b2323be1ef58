//! The end of a version: its instances come back and stop, it is kept or unloaded, and that it is gone is seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::versions::{Left, Lingering, Running, Stop, Version};
use super::{Event, Host, TICK};
use crate::clock;
use crate::loader::code::Code;
use crate::loader::library::Closed;
use crate::loader::threads;
use crate::observe::inside;
use crate::observe::notice::{self, Notice};
use crate::version::stage::{Stage, Step};
use crate::version::{Instance, Service};
use crate::worker::{Command, Draining};

/// How long workers get to run what a library has left on their threads.
const CLEARING: Duration = Duration::from_secs(5);
/// How long a component gets to stop.
const STOPPING: Duration = Duration::from_secs(5);

impl Host {
    /// An instance whose last lease is gone: its component is stopped on a thread of its own, since it may not come back.
    pub(super) fn retire(&mut self, instance: Instance) {
        let object = instance.into_object();
        let number = object.number;
        let running = self.versions.iter_mut().flat_map(|version| &mut version.running);
        if let Some(running) = running.into_iter().find(|running| running.number == number) {
            running.stop = Stop::By(clock::instant() + STOPPING);
        }
        let events = self.events.clone();
        let stopping = self.around.aside(Box::new(move || {
            let code = Arc::clone(object.code());
            drop(object);
            // What that has left on this thread goes before the library does, which the event allows.
            inside::clear(number, || threads::run_for(&code.range()));
            drop(code);
            // Where the host's thread has ended, the process ends, and all libraries stay mapped until then.
            let _ = events.send(Event::Stopped(number));
        }));
        if let Err(error) = stopping {
            tracing::warn!("no thread could be had to stop a component on, so the host's did it: {error}");
            self.stopped(number);
        }
    }

    /// An instance is no more.
    pub(super) fn forget_instance(&mut self, number: u32) {
        inside::forget(number);
        self.begun.remove(number);
        for version in &mut self.versions {
            version.held.remove(&number);
            version.running.retain(|running| {
                let is_gone = running.number == number;
                if is_gone {
                    version.past.add(&running.counts);
                }
                !is_gone
            });
        }
    }

    /// The component of an instance was dropped, or never came to be, and has nothing left on the thread that did it.
    pub(super) fn stopped(&mut self, number: u32) {
        self.forget_instance(number);
        for at in 0..self.versions.len() {
            let version = &mut self.versions[at];
            let freed = version.lingering.iter_mut().position(|one| match &mut one.left {
                Left::Unload(_, instances) => instances.remove(&number) && instances.is_empty(),
                _ => false,
            });
            if let Some(Lingering { left: Left::Unload(code, _), .. }) = freed.map(|at| version.lingering.remove(at))
                && let Some(code) = Arc::into_inner(code)
            {
                self.unload(at, code);
            }
            self.unload_if_idle(at);
        }
    }

    /// Unloads a version that no instance is left of, unless it is to serve. One that is left with nothing but instances
    /// that do not stop lingers until they have.
    pub(super) fn unload_if_idle(&mut self, at: usize) {
        let version = &mut self.versions[at];
        let overdue = |stop: &Stop| matches!(stop, Stop::Overdue(_));
        if version.stage == Stage::Active || !version.running.iter().all(|running| overdue(&running.stop)) {
            return;
        }
        let Some(code) = version.code.take() else { return };
        match version.overdue() {
            None => match Arc::try_unwrap(code) {
                Ok(code) => self.unload(at, code),
                Err(code) => version.code = Some(code),
            },
            Some(reason) => {
                let instances: BTreeSet<u32> = version.running.drain(..).map(|running| running.number).collect();
                version.lingering.push(Lingering { reason, left: Left::Unload(code, instances) });
                version.settle();
            }
        }
    }

    fn unload(&mut self, at: usize, code: Code) {
        let (cleared, clears) = channel();
        let range = code.range();
        // No instance of it is left. Until it is gone another number stands for it, should what is run now end the process.
        self.instances += 1;
        let number = self.instances;
        self.begun.add(number, self.versions[at].whose(""));
        let clear = || Command::Clear(number, range.clone(), cleared.clone());
        let told = self.workers.iter().filter(|worker| worker.tell(clear())).count();
        drop(cleared);
        let deadline = clock::instant() + CLEARING;
        let count = (0..told).take_while(|_| self.hear(&clears, deadline).is_some()).count();
        if count < told {
            tracing::warn!("{} of {told} workers did not clear a library's traces in time", told - count);
        }
        // What it has left on this thread as well, before what is left is counted.
        inside::clear(number, || threads::run_for(&range));
        let memory = code.memory();
        let closed = inside::clear(number, || code.close());
        self.begun.remove(number);
        self.versions[at].tell_leak(memory, &closed);
        self.versions[at].closed(closed);
    }

    /// Looks after what drains: a version that is kept is staged again once its sessions have gone; at the deadline those
    /// that are left are asked to say goodbye; a library that could not be closed is tried again.
    pub(super) fn look_after_draining(&mut self, now: Instant) {
        self.release_unbound(now);
        for at in 0..self.versions.len() {
            let bound = self.is_bound(at);
            let version = &mut self.versions[at];
            let idle = version.stage == Stage::Draining && !version.kept.is_empty() && version.sessions() == 0;
            if idle && !bound {
                version.running.iter_mut().for_each(|running| running.drain_due = None);
                version.step(Step::Keep);
            }
            let mut due = Vec::new();
            for running in &mut version.running {
                if running.drain_due.take_if(|at| *at <= now).is_some() {
                    due.push(running.number);
                }
            }
            self.unbind(&due.iter().copied().collect());
            for instance in due {
                self.say_goodbye(at, instance);
            }
            self.versions[at].close_again();
            if !self.name_overdue(at, now).is_empty() {
                self.unload_if_idle(at);
            }
        }
    }

    /// Names the instances of a version that should have stopped by now. They are not waited for any longer.
    fn name_overdue(&mut self, at: usize, now: Instant) -> Vec<String> {
        let version = &mut self.versions[at];
        let name = version.name();
        let mut named = Vec::new();
        for running in &mut version.running {
            if matches!(running.stop, Stop::By(due) if due <= now) {
                let service = &self.services[running.service];
                let reason =
                    format!("service.{service} has not stopped within {STOPPING:?}; it stays mapped until it has");
                named.push(format!("{name}: {reason}"));
                running.stop = Stop::Overdue(reason);
            }
        }
        named.iter().for_each(|named| notice::give(Notice::VersionLingering, named));
        named
    }

    /// At the end of the host: stops what nobody but it has a lease on any more. Says what has not stopped in time.
    pub(super) fn stop_all(&mut self, received: &Receiver<Event>) -> Vec<String> {
        self.versions.iter_mut().for_each(|version| version.kept.clear());
        let last = self.table.current();
        let services = last
            .services
            .iter()
            .map(|service| Service { instance: None, bound: Vec::new(), ..service.clone() })
            .collect();
        self.table.publish(last.followed_by(services));
        drop(last);
        self.take_at_the_end(received.try_iter());
        let stopping = |running: &Running| matches!(running.stop, Stop::By(_));
        let mut named = Vec::new();
        while self.versions.iter().flat_map(|version| &version.running).any(stopping) {
            self.take_at_the_end(received.recv_timeout(TICK));
            let now = clock::instant();
            named.extend((0..self.versions.len()).flat_map(|at| self.name_overdue(at, now)));
        }
        named
    }

    fn say_goodbye(&self, at: usize, instance: u32) {
        let versions = self.config.component(&self.versions[at].manifest.name).versions;
        let (instances, within) = (BTreeSet::from([instance]), versions.goodbye.get());
        let draining = Draining::new(Some(instances), (within, None), versions.pause(), self.workers.len());
        let draining = Arc::new(draining);
        for worker in &self.workers {
            worker.tell(Command::Drain(Arc::clone(&draining)));
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
        match Lingering::after(closed) {
            None => notice::give(Notice::VersionRetired, &format!("{}: unmapped", self.name())),
            Some(lingering) => {
                notice::give(Notice::VersionLingering, &format!("{}: {}", self.name(), lingering.reason));
                // Of those that cannot be tried again, one says as much as many.
                if matches!(lingering.left, Left::Nothing) {
                    self.lingering.retain(|other| !matches!(other.left, Left::Nothing));
                }
                self.lingering.push(lingering);
            }
        }
        self.settle();
    }

    /// Tries again to close what could not be closed, and looks again for what could not be seen to be gone.
    pub(super) fn close_again(&mut self) {
        for Lingering { reason, left } in std::mem::take(&mut self.lingering) {
            let closed = match left {
                Left::Close(library) => library.close(),
                Left::Look(trace) => trace.look(),
                left @ (Left::Nothing | Left::Unload(..)) => {
                    self.lingering.push(Lingering { reason, left });
                    continue;
                }
            };
            match Lingering::after(closed) {
                None => notice::give(Notice::VersionRetired, &format!("{}: unmapped", self.name())),
                Some(lingering) => {
                    if lingering.reason != reason {
                        notice::give(Notice::VersionLingering, &format!("{}: {}", self.name(), lingering.reason));
                    }
                    self.lingering.push(lingering);
                }
            }
        }
        if matches!(self.stage, Stage::Lingering(_)) {
            self.settle();
        }
    }

    /// Nothing of it is loaded any more: it has retired, lingers, or is refused and nothing more.
    fn settle(&mut self) {
        // One that was loaded anew has a life of its own.
        if self.code.is_some() {
            return;
        }
        match self.lingering.last() {
            Some(lingering) => self.step(Step::Linger(lingering.reason.clone())),
            None => match (&self.stage, &self.refusal) {
                (Stage::Refused(_) | Stage::Withdrawn(_) | Stage::Quarantined(_), _) => {}
                (Stage::Lingering(_), Some(refusal)) => self.step(Step::Refuse(refusal.clone())),
                _ => self.step(Step::Unmap),
            },
        }
        self.settle_verdicts();
    }

    /// Whether it was active and is kept.
    pub(super) fn is_behind(&self) -> bool {
        !matches!(self.stage, Stage::Active | Stage::Canary) && !self.kept.is_empty()
    }
}
