//! Moves a session to the version that is active now: renewed, carried, or left where it is.
//!
//! What moves is the handle alone. Streams with their unread and unsent bytes, timers, dials and forwards stay with the
//! session; a carried one keeps the tokens that they answer to.

use std::sync::Arc;
use std::task::Context;

use tandem_component::abi::kind;
use tandem_component::{Opening, Policy, Secured, Time, Transport};

use super::driver::Driver;
use super::late::Lateness;
use super::pipe::{Link, Pipe};
use super::remainder::Remainder;
use super::routing::{Bound, Keyed};
use super::{Answer, Greeting, Session};
use crate::clock::Nanos;
use crate::loader::code::Conversation;
use crate::observe::notice::Notice;
use crate::transport::Socket;
use crate::version::{Instance, Lease};
use crate::worker::Worker;
use tandem_component::{Peer, Role};

/// The room that an opening takes, with names as long as most are.
const OPENING: usize = 256;

/// What came of having a session follow apart from its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// It runs on what serves its service, or has ended.
    There,
    /// It goes on where it is.
    Stays,
    /// It cannot follow yet: what it has written is not settled, or its first turn has not come.
    Later,
}

impl Driver<'_, '_> {
    /// Has a session follow that may have nothing else to do. What comes of it is left to its next turn.
    #[cold]
    pub fn follow_apart(worker: &Worker, session: &mut Session) -> Followed {
        let Some(waker) = session.waker.clone() else { return Followed::Later };
        if session.held.is_some() || session.routing.is_some() {
            return Followed::Later;
        }
        let mut cx = Context::from_waker(&waker);
        let mut driver = Driver::new(worker, session, &mut cx);
        driver.follow();
        driver.leave();
        if session.busy || session.offers || session.due_changed || !session.answers.is_empty() {
            session.wake();
        }
        let serving = worker.service_now(session.service, |service| session.chosen(service));
        let there = session.conversation.as_ref().zip(serving).is_none_or(|(at, to)| at.lease().same(&to));
        if there { Followed::There } else { Followed::Stays }
    }

    /// Has the session [follow](Driver::follow), and says whether it may take an event then: a move may have been one itself,
    /// and what that has written or named is not settled.
    #[inline]
    pub(super) fn follows(&mut self) -> bool {
        let stays = self.session.bound == Bound::Free && self.session.behind.is_none();
        if stays && self.worker.is_publication(self.session.publication) {
            return true;
        }
        self.follow();
        self.session.may_take_events()
    }

    /// Looks at the version table, and moves the session where another instance serves its service now. One atomic load
    /// where nothing was published.
    #[inline]
    pub(super) fn follow(&mut self) {
        if self.session.bound != Bound::Free && self.stays_bound() {
            return;
        }
        let session = &*self.session;
        if let Some((publication, instance)) =
            self.worker.newer(session.publication, session.service, |service| session.chosen(service))
        {
            if !self.session.may_take_events() {
                return;
            }
            (self.session.publication, self.session.behind) = (publication, None);
            if let Some(instance) = instance {
                self.move_to(instance);
            }
        } else if self.session.may_follow() {
            match self.worker.service_now(session.service, |service| session.chosen(service)) {
                Some(instance) => self.move_to(instance),
                None => self.session.behind = None,
            }
        }
    }

    #[cold]
    pub(super) fn move_to(&mut self, to: Lease<Instance>) {
        let before = self.session.behind.take();
        let Some(conversation) = &self.session.conversation else { return };
        if conversation.lease().same(&to) {
            return;
        }
        if conversation.lease().component() != to.component() {
            let reason = format!("another component, `{}`, serves it now", to.component());
            return self.worker.notice(self.session, Notice::MoveRefused, &reason);
        }
        let policy = conversation.lease().policy;
        let calls = || "it is in the middle of calls, which the other version's revision of the API does not know";
        let holds = || "it holds admissions, which the other version's revision of the API does not know";
        let unknown = match policy {
            Policy::Pin => None,
            _ if !to.takes_requests() && !self.may_move_without_calls() => Some(calls()),
            _ if !to.asks_admissions() && !self.session.admitted.is_empty() => Some(holds()),
            _ => None,
        };
        if let Some(reason) = unknown {
            if before.is_none() {
                self.worker.notice(self.session, Notice::MoveRefused, reason);
            }
            let again = Again::after(before.as_deref(), self.session.progress);
            self.session.behind = Behind::because(reason.to_owned(), again);
            return;
        }
        match policy {
            Policy::Pin => {}
            Policy::Renew => {
                let (renews, to) = self.worker.goes_to.keep(to, || self.session.may_renew());
                if renews {
                    return self.renew(to);
                }
                if let Carried::Unexported(reason) | Carried::Refused(reason) = self.carry(to, before.is_none()) {
                    self.session.behind = Behind::because(reason, Again::AtBoundary);
                }
            }
            Policy::Carry => match self.carry(to, before.is_none()) {
                Carried::Taken => {}
                Carried::Unexported(reason) => self.session.behind = Behind::because(reason, Again::Never),
                Carried::Refused(reason) => {
                    let again = Again::after(before.as_deref(), self.session.progress);
                    self.session.behind = Behind::because(reason, again);
                }
            },
        }
    }

    /// Opens a fresh session on the same connection.
    pub(super) fn renew(&mut self, to: Lease<Instance>) {
        let session = &mut *self.session;
        let opening = session.opening(self.worker, self.now, self.wall);
        let counts = Arc::clone(&to.counts);
        match Conversation::open(to, &opening, session.id).map_err(|why| counts.refused(why)) {
            Ok(fresh) => {
                session.replace(fresh, self.now);
                self.worker.count_move();
                session.remainder = None;
                session.timers.clear();
                session.answers.clear();
                (session.pipes[0].offered, session.pipes[0].end_told, session.offers) = (None, false, true);
                self.session.progress += 1;
                let opened = Answer { kind: kind::OPENED, ..Answer::default() };
                self.deliver(&opened.event(self.wall), None);
            }
            Err(reason) => {
                self.worker.notice(session, Notice::MoveRefused, &reason);
                session.behind = Behind::because(reason, Again::Never);
            }
        }
    }

    /// Takes the state over, in the middle of anything. Where one of the two refuses, it goes on where it is; that is said
    /// where it is `news`.
    fn carry(&mut self, to: Lease<Instance>, news: bool) -> Carried {
        let session = &mut *self.session;
        let Some(conversation) = &session.conversation else { return Carried::Taken };
        let (state, to) = self.worker.goes_to.keep(to, || conversation.export(session.id));
        let state = match state {
            Ok(state) => state,
            Err(failure) => {
                // What cannot be exported goes on where it is: nothing was changed yet.
                let reason = format!("it cannot be exported: {failure}");
                if news {
                    self.worker.notice(session, Notice::MoveRefused, &reason);
                }
                return Carried::Unexported(reason);
            }
        };
        let state = match &session.remainder {
            Some(remainder) => remainder.merge(state),
            None => state,
        };
        let opening = session.opening(self.worker, self.now, self.wall);
        let counts = Arc::clone(&to.counts);
        match Conversation::resume(to, &opening, &state, session.id).map_err(|why| counts.refused(why)) {
            Ok(resumed) => {
                session.replace(resumed, self.now);
                session.keep_remainder(&state);
                self.worker.count_move();
                session.progress += 1;
                self.read_again();
                Carried::Taken
            }
            Err(reason) => {
                if news {
                    self.worker.notice(session, Notice::MoveRefused, &reason);
                }
                Carried::Refused(reason)
            }
        }
    }
}

/// What became of a session that was to be carried.
enum Carried {
    /// It is on the other version.
    Taken,
    /// Its own could not export it, and why.
    Unexported(String),
    /// The other does not take it as it is, and why: it is in the middle of what that does not know, say.
    Refused(String),
}

/// A session that could not be moved.
#[derive(Debug)]
pub(super) struct Behind {
    /// Why.
    pub(super) reason: String,
    again: Again,
}

/// When a session is tried again that could not be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// At its next boundary, where it is renewed.
    AtBoundary,
    /// After some events, since each may be what it was in the middle of.
    AfterProgress {
        /// When it has made so much progress.
        at: u64,
        /// How many events that is after the last refusal.
        wait: u64,
    },
    /// With the next publication.
    Never,
}

impl Behind {
    /// Most sessions are never behind, so all that it costs them is a pointer.
    #[expect(clippy::unnecessary_wraps, reason = "it is what the session has a place for")]
    fn because(reason: String, again: Again) -> Option<Box<Self>> {
        Some(Box::new(Behind { reason, again }))
    }
}

impl Again {
    /// Carrying was refused, after it had been refused `before`. The first event may be the one that it takes; the longer
    /// that is not so, the less is it tried, up to a bound on how late it may come.
    fn after(before: Option<&Behind>, progress: u64) -> Self {
        const LONGEST: u64 = 64;
        let wait = match before.map(|before| before.again) {
            Some(Again::AfterProgress { wait, .. }) => (2 * wait).min(LONGEST),
            Some(Again::AtBoundary | Again::Never) | None => 1,
        };
        Again::AfterProgress { at: progress + wait, wait }
    }
}

impl Session {
    /// Opens a session on a connection. Its first event is under way.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn open(
        worker: &Worker,
        service: usize,
        publication: u64,
        lease: Lease<Instance>,
        socket: Socket,
        (role, peer): (Role, Peer),
    ) -> Result<Box<Self>, String> {
        let (now, _) = worker.now();
        let greeting = Greeting {
            transport: socket.transport(),
            role,
            peer,
            local: socket.local(),
            established: now,
            idle_since: now,
        };
        Session::begin(worker, service, publication, lease, greeting, Pipe::new(0, Link::Up(socket), None), None)
    }

    /// Opens a session on its own stream.
    pub(super) fn begin(
        worker: &Worker,
        service: usize,
        publication: u64,
        lease: Lease<Instance>,
        greeting: Greeting,
        own: Pipe,
        keyed: Option<Keyed>,
    ) -> Result<Box<Self>, String> {
        let (now, wall) = worker.now();
        let mut session = Box::new(Session {
            id: worker.next_session(),
            key: 0,
            service,
            conversation: None,
            here_since: now,
            over: false,
            publication,
            greeting,
            pipes: vec![own],
            next_stream: 1,
            timers: Vec::new(),
            asked: Default::default(),
            admitted: Default::default(),
            answers: [Answer { kind: kind::OPENED, ..Answer::default() }].into(),
            datagrams: Default::default(),
            progress: 0,
            alarm: Nanos::MAX,
            offers: false,
            busy: true,
            rang: false,
            due_changed: true,
            waker: None,
            goodbye: None,
            behind: None,
            drained: None,
            held: None,
            failures: 0,
            alone: 0,
            remainder: None,
            keyed: None,
            routing: None,
            bound: Bound::default(),
            ending: None,
            calls: None,
            late: None,
            account: None,
            label: None,
        });
        session.late = worker.late().map(|seed| Box::new(Lateness::new(seed, session.id)));
        session.keyed = keyed.map(Box::new);
        let plain = greeting.transport == Transport::Call && Conversation::opens_for_requests(&lease);
        let opening = if plain { Vec::new() } else { session.opening(worker, now, wall) };
        let (counts, name, id) = (Arc::clone(&lease.counts), worker.service_name(service), session.id);
        let opened = worker.running.lend(&mut *session, |_| match plain {
            true => Conversation::open_for_request(lease, &name, id, wall),
            false => Conversation::open(lease, &opening, id),
        });
        let conversation = opened.map_err(|why| counts.refused(why))?;
        conversation.lease().counts.enter();
        session.conversation = Some(conversation);
        Ok(session)
    }

    /// Whether nothing keeps events back: what the last one wrote is settled, and it is known whose the next one is.
    #[inline]
    pub(super) fn may_take_events(&self) -> bool {
        self.held.is_none() && self.routing.is_none() && self.conversation.is_some()
    }

    /// Whether it could not be moved, and is to be tried again now.
    #[inline]
    pub fn may_follow(&self) -> bool {
        match self.behind.as_ref().map(|behind| behind.again) {
            None | Some(Again::Never) => false,
            Some(Again::AtBoundary) => self.may_renew(),
            Some(Again::AfterProgress { at, .. }) => {
                self.progress >= at && self.held.is_none() && self.conversation.is_some()
            }
        }
    }

    /// It is about to be told goodbye: if it could not be moved so far, it is tried once more.
    pub fn try_again(&mut self) {
        let at = self.progress;
        if let Some(behind) = &mut self.behind {
            let wait = if let Again::AfterProgress { wait, .. } = behind.again { wait } else { 1 };
            behind.again = Again::AfterProgress { at, wait };
        }
    }

    /// At a boundary, and nothing asked for but timers.
    pub(super) fn may_renew(&self) -> bool {
        self.drained.is_none()
            && self.asks_nothing()
            && self.conversation.as_ref().is_some_and(Conversation::at_boundary)
    }

    /// Nothing is asked for but timers.
    pub(super) fn asks_nothing(&self) -> bool {
        let asks = self.held.is_some()
            || self.routing.is_some()
            || !self.asked.is_empty()
            || !self.admitted.is_empty()
            || self.is_calling()
            || self.pipes.len() > 1
            || self.pipes[0].forward.is_some()
            || !self.pipes[0].writables.is_empty()
            || self.answers.iter().any(|answer| !matches!(answer.kind, kind::TIMEOUT | kind::OPENED));
        !asks
    }

    /// Runs on another instance from now on. The old handle is closed here, its lease given back.
    pub(super) fn replace(&mut self, conversation: Conversation<Instance>, now: Nanos) {
        conversation.lease().counts.enter();
        self.here_since = now;
        if let Some(old) = self.conversation.replace(conversation) {
            old.lease().counts.leave();
        }
    }

    /// Keeps what the version that it runs on now does not know of the state that it was resumed from. What it cannot export is lost
    /// with it in any case.
    pub(super) fn keep_remainder(&mut self, state: &[u8]) {
        let again = self.conversation.as_ref().and_then(|conversation| conversation.export(self.id).ok());
        self.remainder = again.and_then(|again| Remainder::between(state, &again)).map(Box::new);
    }

    /// What was agreed on by TLS, where its own stream has it.
    fn secured(&self) -> Option<Secured<'_>> {
        match &self.pipes[0].socket {
            Link::Up(socket) => socket.secured(),
            Link::Coming { .. } | Link::Gone => None,
        }
    }

    pub(super) fn opening(&self, worker: &Worker, now: Nanos, wall: u64) -> Vec<u8> {
        let time = |at: Nanos| Time::from_nanos(wall.saturating_sub(now.saturating_sub(at)));
        let Greeting { transport, role, peer, local, established, idle_since } = self.greeting;
        worker.with_service_name(self.service, |service| {
            let opening = Opening {
                service,
                session: self.id,
                transport,
                role,
                peer,
                local,
                established: time(established),
                idle_since: time(idle_since),
                key: self.keyed.as_ref().map(|keyed| keyed.key()),
                tls: self.secured(),
            };
            let mut bytes = Vec::with_capacity(OPENING);
            rmp_serde::encode::write_named(&mut bytes, &opening).expect("an opening is numbers and texts");
            bytes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Again, Behind};

    #[test]
    fn what_is_refused_again_and_again_is_tried_less_often_but_for_ever() {
        let (mut behind, mut tried) = (None, vec![0]);
        for _ in 0..8 {
            let next = Again::after(behind.as_deref(), tried[tried.len() - 1]);
            let Again::AfterProgress { at, .. } = next else { panic!("{next:?}") };
            tried.push(at);
            behind = Behind::because(String::new(), next);
        }
        assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 127, 191]);
    }
}
