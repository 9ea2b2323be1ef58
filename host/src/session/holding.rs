//! Why a session holds its version: who it is, what it waits for, and why it has not moved. For `tandem sessions`.

use tandem_component::{Peer, Policy};

use super::pipe::Link;
use super::routing::Bound;
use super::{Behind, Session};
use crate::clock::Nanos;
use crate::loader::code::Conversation;
use crate::version::{Instance, Lease, Service};
use crate::worker::Worker;

/// What is said of a session.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The version: `http@1.2.0#3fa9c1`.
    pub version: String,
    /// Its number.
    pub session: u64,
    /// The other side.
    pub peer: Peer,
    /// Since when it runs on that version, since when its connection stands, and since when nothing has happened on it.
    pub here_since: Nanos,
    /// See there.
    pub established: Nanos,
    /// See there.
    pub idle_since: Nanos,
    /// What becomes of it when another version is active.
    pub policy: Policy,
    /// What it waits for beside its peer.
    pub waits: Vec<String>,
    /// The conversation that it is.
    pub conversation: Option<Vec<u8>>,
    /// Why it does not run on what serves its service; nothing where it does.
    pub stays: Option<String>,
    /// It was told to say goodbye, and is ended at this time.
    pub ends: Option<Nanos>,
    /// What another version would go on with, where that is asked for and it is in the middle of nothing.
    pub state: Option<State>,
}

/// What another version is given to go on with a session.
#[derive(Clone, Debug)]
pub struct State {
    /// MessagePack of its `Opening`.
    pub opening: Vec<u8>,
    /// What its version exports.
    pub state: Vec<u8>,
}

impl Session {
    /// Since when it runs on its version; nothing where it has ended, and holds none.
    pub fn holds_since(&self) -> Option<Nanos> {
        self.conversation.as_ref().map(|_| self.here_since)
    }

    /// Whether it runs on what is to serve it.
    pub fn is_where_it_belongs(&self, services: &[Service]) -> bool {
        let here = self.conversation.as_ref().map(Conversation::lease);
        here.zip(self.to_be_served_by(services)).is_some_and(|(here, to)| here.same(&to))
    }

    fn to_be_served_by(&self, services: &[Service]) -> Option<Lease<Instance>> {
        services.get(self.service).and_then(|service| self.chosen(service))
    }

    /// Says what it holds its version for, where these are the services.
    pub fn holding(&self, services: &[Service], now: Nanos) -> Option<Holding> {
        let lease = self.conversation.as_ref()?.lease();
        Some(Holding {
            version: lease.version.to_string(),
            session: self.id,
            peer: self.peer(),
            here_since: self.here_since,
            established: self.greeting.established,
            idle_since: self.greeting.idle_since,
            policy: lease.policy,
            waits: self.waited_for(services, now),
            conversation: self.keyed.as_ref().map(|keyed| keyed.key().to_vec()),
            stays: self.stays(lease, self.to_be_served_by(services)),
            ends: self.drained,
            state: None,
        })
    }

    /// What another version would be given to go on with it. Nothing where it is in the middle of something, or cannot be exported.
    pub fn state(&self, worker: &Worker) -> Option<State> {
        let conversation = self.conversation.as_ref().filter(|_| self.held.is_none() && self.routing.is_none())?;
        if !conversation.at_boundary() {
            return None;
        }
        let state = conversation.export(self.id).ok()?;
        let state = match &self.remainder {
            Some(remainder) => remainder.merge(state),
            None => state,
        };
        let (now, wall) = worker.now();
        Some(State { opening: self.opening(worker, now, wall), state })
    }

    fn stays(&self, here: &Lease<Instance>, to: Option<Lease<Instance>>) -> Option<String> {
        let Some(to) = to else { return Some("no version serves its service".to_owned()) };
        if here.same(&to) {
            return None;
        }
        let reason = match here.policy {
            Policy::Pin => "it is pinned",
            _ if here.component() != to.component() => "another component serves its service now",
            Policy::Renew if self.bound != Bound::Free => "its conversation is bound to this version",
            _ if self.held.is_some() => "it waits for the store",
            _ if self.routing.is_some() => "it is not known yet to which version its conversation is bound",
            _ => match self.behind.as_deref() {
                Some(Behind { reason, .. }) => reason,
                None => "it has not followed yet",
            },
        };
        Some(reason.to_owned())
    }

    fn waited_for(&self, services: &[Service], now: Nanos) -> Vec<String> {
        let mut waits = Vec::new();
        let mut wait = |there: bool, what: String| waits.extend(there.then_some(what));
        wait(self.held.is_some(), "the store, for what it has written".to_owned());
        wait(self.routing.is_some(), "the version that its conversation is bound to".to_owned());
        let (made, open) = self.calls_under_way();
        for (service, count) in made {
            let name = services.get(service).map_or("?", |service| &service.name);
            wait(true, format!("{} to `{name}`", counted(count, "call")));
        }
        wait(open > 0, format!("its own answer to {}", counted(open, "request")));
        let asked = self.asked.tokens().count();
        wait(asked > 0, format!("{} of accounts or agreements", counted(asked, "answer")));
        for pipe in &self.pipes {
            let number = pipe.number;
            match &pipe.socket {
                Link::Coming { .. } => wait(true, format!("a connection, stream {number}")),
                Link::Up(_) if number > 0 => wait(true, format!("stream {number}, which it has dialed")),
                _ => {}
            }
            wait(pipe.forward.is_some(), format!("the end of a forward from stream {number}"));
            wait(!pipe.unsent.is_empty(), format!("stream {number} to take {} bytes", pipe.unsent.len()));
            wait(!pipe.unread.is_empty(), format!("the rest of what has begun with {} bytes", pipe.unread.len()));
        }
        let events = self.answers.len() + self.datagrams.len();
        wait(events > 0, format!("its turn, with {}", counted(events, "event")));
        if let Some(due) = self.timers.iter().map(|timer| timer.0).min() {
            let left = std::time::Duration::from_nanos(due.saturating_sub(now));
            let which = if self.timers.len() == 1 { "a timer" } else { "the first of its timers" };
            wait(true, format!("{which}, in {left:.1?}"));
        }
        waits
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
