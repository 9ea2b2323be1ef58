//! Keyed conversations, as a worker finds and binds them.

use std::sync::Arc;

use super::Worker;
use crate::config;
use crate::observe::notice::{self, Notice};
use crate::store::bindings::Binding;
use crate::store::{Failure, Home, Step, Transaction};
use crate::version::{Instance, Lease};

/// Who is told of what nobody waits for.
const NOBODY: Home = Home { worker: 0, key: usize::MAX, session: 0 };
/// So many bindings live on in a second, of those that the conversations of a worker ask for; the others do with the next word.
const TOUCHES: u32 = 4096;

impl Worker {
    /// What a conversation is bound to.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn binding(&self, service: usize, key: &[u8]) -> Result<Option<Binding>, Failure> {
        let name = self.service_name(service);
        self.with_reader(|reader| self.bindings.find(reader, &name, key))
    }

    /// The steps that bind a conversation to a version, and make room for it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn bind(
        &self,
        service: usize,
        key: &[u8],
        version: &str,
        known: Option<&Binding>,
        wall: u64,
    ) -> Result<Vec<Step>, Failure> {
        let (name, settings) = (self.service_name(service), self.bindings_of(service));
        let room = match known {
            None => self.with_reader(|reader| self.bindings.make_room(reader, &name, settings.max))?,
            Some(_) => None,
        };
        if room.is_some() {
            let reason = format!("service.{name}: there are {}; the one that would end first has ended", settings.max);
            notice::give(Notice::BindingDropped, &reason);
        }
        if known.is_none() {
            self.bindings.came(&name);
        }
        let binding = Binding::new(version, wall, settings.idle.get());
        let steps = self.bindings.bind(&name, key, &binding, known, wall);
        Ok(room.into_iter().chain(steps).collect())
    }

    /// Lets a binding live on, where a good part of its time is over: a conversation says much, and each time would be a write.
    pub fn touch_binding(&self, service: usize, key: &[u8], known: &Binding, wall: u64) {
        let idle = self.bindings_of(service).idle.get();
        let until = Binding::new(&known.version, wall, idle).until;
        let due = until.saturating_sub(known.until) > u64::try_from(idle.as_nanos() / 16).unwrap_or(u64::MAX);
        if due && self.may_touch(wall) {
            let step = self.bindings.touch(&self.service_name(service), key, until);
            self.give(Transaction { home: NOBODY, steps: vec![step] });
        }
    }

    /// The step that saves a session under its key.
    pub fn save(&self, service: usize, key: &[u8], version: &str, (state, saves): (Vec<u8>, i64), wall: u64) -> Step {
        let binding = Binding::new(version, wall, self.bindings_of(service).idle.get());
        self.bindings.save(&self.service_name(service), key, Binding { state: Some(state), saves, ..binding })
    }

    /// The step that ends a conversation.
    pub fn forget(&self, service: usize, key: &[u8]) -> Step {
        self.bindings.forget(&self.service_name(service), key)
    }

    /// One that was counted as new was not.
    pub fn unbind(&self, service: usize) {
        self.bindings.went(&self.service_name(service));
    }

    /// So many a second: nobody waits for them, so nothing else bounds how many wait for the store.
    fn may_touch(&self, wall: u64) -> bool {
        let (second, count) = (wall / 1_000_000_000, self.touched.get());
        let count = if count.0 == second { count.1 } else { 0 };
        self.touched.set((second, count + 1));
        count < TOUCHES
    }

    /// The instance of a version that serves a service, or did and is bound.
    pub fn instance_of(&self, service: usize, version: &str) -> Option<Lease<Instance>> {
        self.look(|snapshot| {
            let service = &snapshot.services[service];
            service.instance.iter().chain(&service.bound).find(|instance| *instance.identity == *version).cloned()
        })
    }

    /// Drops bindings whose time is up.
    pub(super) fn expire_bindings(&self) {
        if self.store.get().is_none() {
            return;
        }
        let (_, wall) = self.now();
        let services: Vec<Arc<str>> =
            self.look(|snapshot| snapshot.services.iter().map(|service| Arc::clone(&service.name)).collect());
        for name in services {
            // What cannot be read now is read the next time.
            let steps = self.with_reader(|reader| self.bindings.expire(reader, &name, wall)).unwrap_or_default();
            if !steps.is_empty() {
                self.give(Transaction { home: NOBODY, steps });
            }
        }
    }

    pub(super) fn bindings_of(&self, service: usize) -> config::Bindings {
        self.look(|snapshot| snapshot.services[service].bindings)
    }
}
