//! Why a session has ended, for a connector: it says so to the operator, and connects anew.

use std::fmt;
use std::task::{Context, Waker};

use tandem_component::Role;

use super::pipe::Link;
use super::{Driver, Session};
use crate::loader::code::Conversation;
use crate::observe::notice::Notice;
use crate::version::Instance;
use crate::worker::Worker;

/// Why a session has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer finished first.
    Peer,
    /// The connection broke.
    Lost,
    /// Its component closed it.
    Component,
    /// Its component closed it, having been told to say goodbye.
    Goodbye,
    /// It was told to say goodbye, and did not within its time.
    Overdue,
    /// It was ended, because its component panicked, gave up or broke a rule.
    Broken(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Peer => "the peer closed it",
            Ending::Lost => "the connection was lost",
            Ending::Component => "the component closed it",
            Ending::Goodbye => "the component has said goodbye",
            Ending::Overdue => "the component did not say goodbye in time",
            Ending::Broken(reason) => return write!(f, "the session was ended: {reason}"),
        })
    }
}

impl Driver<'_, '_> {
    /// The session ends without its component, which does not come back from it. Its conversation is that one's still.
    pub fn end_without(worker: &Worker, session: &mut Session, why: &str) -> Option<Conversation<Instance>> {
        worker.notice(session, Notice::SessionBroken, why);
        session.ends_broken(why);
        let conversation = session.take_conversation();
        let mut cx = Context::from_waker(Waker::noop());
        let mut driver = Driver::new(worker, session, &mut cx);
        driver.close(0);
        driver.clear();
        driver.leave();
        conversation
    }
}

impl Session {
    /// Its conversation, which it has no more.
    pub fn take_conversation(&mut self) -> Option<Conversation<Instance>> {
        let conversation = self.conversation.take()?;
        // That it failed was counted, as an overrun.
        conversation.lease().counts.leave();
        Some(conversation)
    }

    /// Why it has ended. Known of those that a connector has opened.
    pub fn take_ending(&mut self) -> Option<Box<Ending>> {
        self.ending.take()
    }

    /// It is about to be ended, for what its component did.
    pub(super) fn ends_broken(&mut self, reason: &str) {
        self.ends_by(|_| Ending::Broken(reason.to_owned()));
    }

    /// It ends, by what can be seen of it now: later its peer finishes in any case.
    pub(super) fn ends(&mut self) {
        self.ends_by(|session| match &session.pipes[0] {
            own if own.ended => Ending::Peer,
            own if matches!(own.socket, Link::Gone) => Ending::Lost,
            _ if session.over && session.drained.is_some() => Ending::Goodbye,
            _ if session.over => Ending::Component,
            own if own.broken || own.deaf => Ending::Lost,
            _ => Ending::Overdue,
        });
    }

    /// Those that peers have opened are many, and nobody asks them.
    fn ends_by(&mut self, ending: impl FnOnce(&Session) -> Ending) {
        if self.greeting.role == Role::Client && self.ending.is_none() {
            self.ending = Some(Box::new(ending(self)));
        }
    }
}
