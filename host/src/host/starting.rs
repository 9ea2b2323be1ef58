//! The start of a version for a service: on a thread of its own, since it may not come back.
//!
//! The examination has seen the same start come back in a child. That it does so here as well is not said: what is around it is
//! another process, at another time. It has as long here as the examination had there.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use super::reload::Plan;
use super::versions::{Running, Stop, Version};
use super::{Event, Host};
use crate::clock;
use crate::config::Span;
use crate::loader::code::{Code, Object};
use crate::loader::threads;
use crate::observe::inside;
use crate::observe::notice::{self, Notice};
use crate::version::{Counts, Instance, Lease};

/// What has become of a start. Whoever changes it from [`UnderWay`](Outcome::UnderWay) decides whose the component is.
enum Outcome {
    UnderWay,
    /// It has come back: the component is the host's, or there is none.
    Back(Result<Object, String>),
    /// The host waits no longer: the component is the thread's, which stops it.
    GivenUp,
}

/// Why there is no component.
enum Failed {
    Refused(String),
    /// The thread is in it still.
    Overdue,
}

impl Host {
    /// Starts a version for a service. What has not started within this time is refused, and stays mapped until it comes back.
    pub(super) fn start(&mut self, at: usize, plan: &Plan, within: Span) -> Result<Lease<Instance>, String> {
        let code = self.load(at)?;
        self.instances += 1;
        let number = self.instances;
        let name: Arc<str> = self.versions[at].name().into();
        let counts = Arc::new(Counts::default());
        let (version, service) = (name.to_string(), plan.service.clone());
        inside::name(number, inside::Name { version, service, counts: Arc::clone(&counts) });
        self.begun.add(number, self.versions[at].whose(&plan.service));
        let started = self.start_aside(code, plan, number, within);
        if let Err(Failed::Refused(reason)) = started {
            inside::forget(number);
            self.begun.remove(number);
            return Err(reason);
        }
        let mut running =
            Running { number, service: plan.number, counts: Arc::clone(&counts), drain_due: None, stop: Stop::NotYet };
        let Ok(object) = started else {
            let service = &plan.service;
            let reason = format!(
                "service.{service} has not come back from its start within {within}; it stays mapped until it has"
            );
            notice::give(Notice::VersionLingering, &format!("{name}: {reason}"));
            running.stop = Stop::Overdue(reason);
            self.versions[at].running.push(running);
            self.versions[at].held.insert(number, plan.started.clone());
            return Err(format!(
                "service `{service}`: it has not started within {within}, which examination.limit allows"
            ));
        };
        self.versions[at].running.push(running);
        let identity: Arc<str> = self.versions[at].identity().into();
        let instance = Instance::new(object, (name, identity), plan.policy, counts, plan.started.clone());
        let events = self.events.clone();
        Ok(Lease::new(instance, move |instance| {
            // Where the host's thread has ended, the process ends, and all libraries stay mapped until then.
            let _ = events.send(Event::Returned(Box::new(instance)));
        }))
    }

    /// Has it started on a thread, and waits for that.
    fn start_aside(&self, code: Arc<Code>, plan: &Plan, number: u32, within: Span) -> Result<Object, Failed> {
        let outcome = Arc::new(Mutex::new(Outcome::UnderWay));
        let (tell, back) = channel();
        let (theirs, events) = (Arc::clone(&outcome), self.events.clone());
        let (starting, settings) = (plan.starting.clone(), plan.settings.clone());
        let begun = self.around.start(Box::new(move || {
            let clear = |code: &Code| inside::clear(number, || threads::run_for(&code.range()));
            let started = code.start(&starting, &settings, number);
            // What that has left on this thread goes before the library can, which the outcome allows.
            clear(&code);
            let mut outcome = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(*outcome, Outcome::UnderWay) {
                drop(code);
                *outcome = Outcome::Back(started);
                // The host looks at the outcome also where it did not hear of it in time.
                let _ = tell.send(());
                return;
            }
            drop(outcome);
            drop(started);
            clear(&code);
            drop(code);
            // As where an instance has stopped.
            let _ = events.send(Event::Stopped(number));
        }));
        if let Err(error) = begun {
            return Err(Failed::Refused(format!("no thread could be had to start it on: {error}")));
        }
        self.hear(&back, clock::instant() + within.get());
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *outcome, Outcome::GivenUp) {
            Outcome::Back(started) => started.map_err(Failed::Refused),
            Outcome::UnderWay | Outcome::GivenUp => Err(Failed::Overdue),
        }
    }
}

impl Version {
    /// What is in such a start still is not started so again: it would be held as well, and whoever waits for it.
    pub(super) fn check_not_held(&self, plan: &Plan) -> Result<(), String> {
        if !self.held.values().any(|started| started.stands_for(&plan.started)) {
            return Ok(());
        }
        let service = &plan.service;
        Err(format!(
            "service `{service}`: an earlier start of it has not come back; it is tried again once it has, or with another configuration"
        ))
    }
}
