//! Moves a session to the version that is active now: renewed, carried, or left where it is.
//!
//! What moves is the handle alone. Streams with their unread and unsent bytes, timers, dials and forwards stay with the
//! session; a carried one keeps the tokens that they answer to.

use tandem_component::abi::kind;
use tandem_component::{Opening, Policy, Time};

use super::driver::Driver;
use super::pipe::{Link, Pipe};
use super::remainder::Remainder;
use super::{Answer, Greeting, Session};
use crate::clock::Nanos;
use crate::loader::code::Conversation;
use crate::observe::notice::Notice;
use crate::transport::Socket;
use crate::version::{Instance, Lease};
use crate::worker::Worker;
use tandem_component::{Peer, Role};

impl Driver<'_, '_> {
    /// Looks at the version table, and moves the session where another instance serves its service now. One atomic load
    /// where nothing was published.
    #[inline]
    pub(super) fn follow(&mut self) {
        if let Some((publication, instance)) = self.worker.newer(self.session.publication, self.session.service) {
            if self.session.held.is_some() {
                return;
            }
            self.session.publication = publication;
            if let Some(instance) = instance {
                self.move_to(instance);
            }
        } else if self.session.behind && self.session.may_renew() {
            self.session.behind = false;
            if let Some(instance) = self.worker.serving(self.session.service) {
                self.move_to(instance);
            }
        }
    }

    #[cold]
    fn move_to(&mut self, to: Lease<Instance>) {
        let Some(conversation) = &self.session.conversation else { return };
        if conversation.lease().same(&to) {
            return;
        }
        if conversation.lease().component() != to.component() {
            let reason = format!("another component, `{}`, serves it now", to.component());
            return self.worker.notice(self.session, Notice::MoveRefused, &reason);
        }
        match conversation.lease().policy {
            Policy::Pin => {}
            Policy::Renew if self.session.may_renew() => self.renew(to),
            Policy::Renew => self.session.behind = !self.carry(to),
            Policy::Carry => drop(self.carry(to)),
        }
    }

    /// Opens a fresh session on the same connection.
    fn renew(&mut self, to: Lease<Instance>) {
        let session = &mut *self.session;
        let opening = session.opening(self.worker, self.now, self.wall);
        match Conversation::open(to, &opening, session.id) {
            Ok(fresh) => {
                session.replace(fresh);
                session.remainder = None;
                session.timers.clear();
                session.answers.clear();
                (session.pipes[0].offered, session.pipes[0].end_told, session.offers) = (None, false, true);
                self.session.progress += 1;
                let opened = Answer { kind: kind::OPENED, ..Answer::default() };
                self.deliver(&opened.event(self.wall), None);
            }
            Err(reason) => self.worker.notice(session, Notice::MoveRefused, &reason),
        }
    }

    /// Takes the state over, in the middle of anything. False where one of the two refuses: it goes on where it is.
    fn carry(&mut self, to: Lease<Instance>) -> bool {
        let session = &mut *self.session;
        let Some(conversation) = &session.conversation else { return true };
        let state = match conversation.export(session.id) {
            Ok(state) => state,
            Err(failure) => {
                // What cannot be exported goes on where it is: nothing was changed yet.
                self.worker.notice(session, Notice::MoveRefused, &format!("it cannot be exported: {failure}"));
                return false;
            }
        };
        let state = match &session.remainder {
            Some(remainder) => remainder.merge(state),
            None => state,
        };
        let opening = session.opening(self.worker, self.now, self.wall);
        match Conversation::resume(to, &opening, &state, session.id) {
            Ok(resumed) => {
                // What it cannot export is lost with it in any case.
                let again = resumed.export(session.id).ok();
                session.remainder = again.and_then(|again| Remainder::between(&state, &again)).map(Box::new);
                session.replace(resumed);
                session.progress += 1;
                true
            }
            Err(reason) => {
                self.worker.notice(session, Notice::MoveRefused, &reason);
                false
            }
        }
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
        peer: Peer,
    ) -> Result<Self, String> {
        let (now, wall) = worker.now();
        let greeting = Greeting {
            transport: socket.transport(),
            role: Role::Server,
            peer,
            local: socket.local(),
            established: now,
            idle_since: now,
        };
        let mut session = Session {
            id: worker.next_session(),
            key: 0,
            service,
            conversation: None,
            over: false,
            publication,
            greeting,
            pipes: vec![Pipe::new(0, Link::Up(socket), None)],
            next_stream: 1,
            timers: Vec::new(),
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
            behind: false,
            drained: None,
            held: None,
            outcome: None,
            failures: 0,
            remainder: None,
        };
        let opening = session.opening(worker, now, wall);
        let conversation = Conversation::open(lease, &opening, session.id)?;
        conversation.lease().counts.enter();
        session.conversation = Some(conversation);
        Ok(session)
    }

    /// At a boundary, and nothing asked for but timers.
    fn may_renew(&self) -> bool {
        let asked = self.drained.is_some()
            || self.held.is_some()
            || self.pipes.len() > 1
            || self.pipes[0].forward.is_some()
            || !self.pipes[0].writables.is_empty()
            || self.answers.iter().any(|answer| !matches!(answer.kind, kind::TIMEOUT | kind::OPENED));
        !asked && self.conversation.as_ref().is_some_and(Conversation::at_boundary)
    }

    /// Runs on another instance from now on. The old handle is closed here, its lease given back.
    fn replace(&mut self, conversation: Conversation<Instance>) {
        conversation.lease().counts.enter();
        if let Some(old) = self.conversation.replace(conversation) {
            old.lease().counts.leave();
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
            };
            rmp_serde::to_vec_named(&opening).expect("an opening is numbers and texts")
        })
    }
}
