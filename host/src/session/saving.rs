//! A session that is saved under its key, and resumed when the key is named again.
//!
//! What is saved is what would be exported, with what the host holds of its waiting: when its timers are due, and what else it
//! has asked for. After a restart nobody is left to answer the rest, so each of it is answered with its failure.

use std::sync::Weak;
use std::task::{Context, Waker};
use std::time::Duration;

use rmp_serde::{from_slice, to_vec_named};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use tandem_component::abi::{failure, kind, uncalled, unstored};
use tandem_component::effects::{Batch, Effect};
use tandem_component::{Peer, Policy, Role};

use super::driver::Driver;
use super::effects::Reason;
use super::pipe::{Link, Pipe};
use super::routing::{Bound, Keyed};
use super::{Answer, Greeting, Letter, Session};
use crate::clock::{Nanos, nanos};
use crate::loader::code::Conversation;
use crate::store::Step;
use crate::store::bindings::Binding;
use crate::transport::Socket;
use crate::version::{Instance, Lease};
use crate::worker::Worker;

/// A session as it is saved.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    /// What it exports.
    #[serde(with = "serde_bytes")]
    state: Vec<u8>,
    waits: Vec<Wait>,
    /// The streams beside its own.
    streams: Vec<u64>,
    /// The requests that it has not answered.
    #[serde(default)]
    requests: Vec<u64>,
}

impl Saved {
    /// Reads what the store has.
    ///
    /// # Errors
    /// It is no saved session.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        from_slice(bytes).map_err(|error| error.to_string())
    }

    /// As the store has it.
    ///
    /// # Errors
    /// It does not fit into MessagePack.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        to_vec_named(self).map_err(|error| error.to_string())
    }
}

/// Something that a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wait {
    token: u64,
    /// The kind of the event that answers it when nobody else does.
    kind: u32,
    /// When it is due, in nanoseconds since 1970; 0 where it has no time of its own.
    #[serde(default)]
    due: u64,
}

impl Driver<'_, '_> {
    /// The step that saves the session as it is after the event with these effects, where it has asked for that.
    pub(super) fn save(&mut self, batch: &Batch) -> Result<Option<Step>, Reason> {
        if !batch.effects.iter().any(|effect| matches!(effect, Effect::Save)) {
            return Ok(None);
        }
        let session = &*self.session;
        let Some(keyed) = &session.keyed else {
            return Err("a session is saved under its key, and this one has none: route it first".to_owned());
        };
        let Some(conversation) = &session.conversation else { return Ok(None) };
        let lease = conversation.lease();
        if lease.policy == Policy::Renew {
            return Err("a session of policy renew keeps nothing between two exchanges: it cannot be saved".to_owned());
        }
        let state = conversation.export(session.id).map_err(|failure| format!("it cannot be saved: {failure}"))?;
        let state = match &session.remainder {
            Some(remainder) => remainder.merge(state),
            None => state,
        };
        let streams = session.streams_kept(batch).collect();
        let answers =
            |id| batch.effects.iter().any(|effect| matches!(*effect, Effect::Answer { request, .. } if request == id));
        let requests = session.requests_open().filter(|id| !answers(*id)).collect();
        let saved = Saved { state, waits: self.waits(batch), streams, requests };
        let saved = saved.write()?;
        Ok(Some(self.worker.save(session.service, keyed.key(), &lease.identity, (saved, keyed.saves), self.wall)))
    }

    /// What the session waits for once the effects have happened.
    fn waits(&self, batch: &Batch) -> Vec<Wait> {
        let wall = |due: Nanos| self.wall.saturating_add(due.saturating_sub(self.now)).max(1);
        let mut waits = self.session.waits(wall);
        for effect in &batch.effects {
            let (token, kind, due) = match *effect {
                Effect::After { nanos, token } => (token, kind::TIMEOUT, self.wall.saturating_add(nanos).max(1)),
                Effect::Dial { token, .. } => (token, kind::DIAL_FAILED, 0),
                Effect::Forward { token, .. } => (token, kind::FORWARD_FAILED, 0),
                Effect::Writable { token, .. } => (token, kind::WRITABLE, 0),
                Effect::Call { token, .. } => (token, kind::CALL_FAILED, 0),
                Effect::Authenticate { token, .. } | Effect::Admit { token, .. } => (token, kind::STORE_FAILED, 0),
                Effect::Row { token, .. } if token != 0 => (token, kind::STORE_FAILED, 0),
                Effect::Cancel { token } => {
                    waits.retain(|wait| wait.token != token);
                    continue;
                }
                _ => continue,
            };
            waits.push(Wait { token, kind, due });
        }
        waits
    }

    /// Has the session, which asks for nothing but timers, go on as the one that was saved.
    ///
    /// # Errors
    /// Why it is not resumed: it stays as it was saved.
    pub(super) fn resume_saved(&mut self, saved: &[u8]) -> Result<(), String> {
        let session = &mut *self.session;
        let Some(conversation) = &session.conversation else { return Ok(()) };
        // Whoever has saved last is whom the next one comes after.
        let Saved { state, waits, streams, requests } = Saved::read(saved)?;
        let lease = conversation.lease().clone();
        if lease.policy == Policy::Renew {
            return Ok(());
        }
        let opening = session.opening(self.worker, self.now, self.wall);
        let counts = Arc::clone(&lease.counts);
        let resumed = Conversation::resume(lease, &opening, &state, session.id).map_err(|why| counts.refused(why))?;
        session.replace(resumed, self.now);
        session.keep_remainder(&state);
        // What the one that was opened here had asked for is nobody's any more.
        session.timers.clear();
        session.answers.clear();
        for wait in waits {
            match wait.due {
                0 => session.answers.push_back(wait.failed()),
                due => session.timers.push((self.now.saturating_add(due.saturating_sub(self.wall)), wait.token)),
            }
        }
        let withdrawn = |number| Answer { kind: kind::WITHDRAWN, number, ..Answer::default() };
        session.answers.extend(requests.into_iter().map(withdrawn));
        let closed = |stream| Answer { kind: kind::CLOSED, stream, ..Answer::default() };
        session.answers.extend(streams.iter().copied().map(closed));
        session.next_stream = session.next_stream.max(streams.iter().max().map_or(0, |last| last + 1));
        (session.due_changed, session.busy, session.offers) = (true, true, true);
        session.progress += 1;
        Ok(())
    }
}

impl Wait {
    /// The answer where nobody else gives one.
    fn failed(&self) -> Answer {
        let detail = match self.kind {
            kind::DIAL_FAILED => failure::REFUSED,
            kind::CALL_FAILED => uncalled::ENDED,
            kind::STORE_FAILED => unstored::UNAVAILABLE,
            _ => 0,
        };
        Answer { kind: self.kind, detail, token: self.token, ..Answer::default() }
    }
}

impl Session {
    /// It is not to be, though it was opened.
    fn give_up(&mut self) {
        if let Some(conversation) = self.conversation.take() {
            conversation.lease().counts.leave();
        }
    }

    /// What the event with these effects has saved is kept.
    pub(super) fn was_saved(&mut self, batch: &Batch) {
        if let Some(keyed) = &mut self.keyed
            && batch.effects.iter().any(|effect| matches!(effect, Effect::Save))
        {
            keyed.saves += 1;
        }
    }

    /// Opens the session of a conversation of datagrams, as it was saved where it was.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn open_conversation(
        worker: &Worker,
        publication: u64,
        lease: Lease<Instance>,
        letter: &Letter,
        idle: Duration,
        saved: Option<Binding>,
    ) -> Result<Box<Self>, String> {
        let saves = saved.as_ref().map_or(0, |saved| saved.saves);
        let (now, _) = worker.now();
        let socket = Socket::Udp(Weak::clone(&letter.from.0), letter.from.1);
        let (transport, peer, local) = (socket.transport(), Peer::Inet(letter.from.1), socket.local());
        let greeting = Greeting { transport, role: Role::Server, peer, local, established: now, idle_since: now };
        let keyed = Keyed::at_home(letter.key.clone(), saves, nanos(idle));
        let own = Pipe::new(0, Link::Up(socket), None);
        let mut session = Session::begin(worker, letter.service, publication, lease, greeting, own, Some(keyed))?;
        session.bound = Bound::UnderWay;
        let mut cx = Context::from_waker(Waker::noop());
        let resumed = worker.running.lend(&mut *session, |session| {
            let mut driver = Driver::new(worker, session, &mut cx);
            let resumed = match saved.and_then(|saved| saved.state) {
                Some(state) => driver.resume_saved(&state),
                None => Ok(()),
            };
            driver.leave();
            resumed
        });
        match resumed {
            Ok(()) => Ok(session),
            Err(reason) => {
                session.give_up();
                Err(format!("the saved session is refused: {reason}"))
            }
        }
    }

    /// The streams beside its own that it knows of, and has not given up by these effects: a dial that it has not heard of is
    /// only one that has failed.
    fn streams_kept(&self, batch: &Batch) -> impl Iterator<Item = u64> {
        let untold = |number| self.answers.iter().any(|answer| answer.kind == kind::DIALED && answer.stream == number);
        let given_up = |number| {
            let gives_up = |effect: &Effect| match *effect {
                Effect::Release { stream } | Effect::Close { stream } | Effect::Abort { stream } => stream == number,
                _ => false,
            };
            batch.effects.iter().any(gives_up)
        };
        let up = self.pipes.iter().filter(|pipe| matches!(pipe.socket, Link::Up(_)) && !pipe.closing);
        up.map(|pipe| pipe.number).filter(move |number| *number > 0 && !untold(*number) && !given_up(*number))
    }

    /// What it waits for now. `wall` says when in nanoseconds since 1970 something is due.
    fn waits(&self, wall: impl Fn(Nanos) -> u64) -> Vec<Wait> {
        let timers =
            self.timers.iter().map(|(due, token)| Wait { token: *token, kind: kind::TIMEOUT, due: wall(*due) });
        let mut waits: Vec<Wait> = timers.collect();
        let mut fails = |token: u64, kind: u32| {
            if token != 0 {
                waits.push(Wait { token, kind, due: 0 });
            }
        };
        for pipe in &self.pipes {
            if let Link::Coming { token, .. } = pipe.socket {
                fails(token, kind::DIAL_FAILED);
            }
            if let Some(forward) = &pipe.forward {
                fails(forward.token, kind::FORWARD_FAILED);
            }
            pipe.writables.iter().for_each(|(_, token)| fails(*token, kind::WRITABLE));
        }
        self.calls_made().for_each(|token| fails(token, kind::CALL_FAILED));
        self.asked.tokens().for_each(|token| fails(token, kind::STORE_FAILED));
        for answer in &self.answers {
            match answer.kind {
                kind::TIMEOUT => waits.push(Wait { token: answer.token, kind: kind::TIMEOUT, due: 1 }),
                kind::DIALED | kind::DIAL_FAILED => {
                    waits.push(Wait { token: answer.token, kind: kind::DIAL_FAILED, due: 0 })
                }
                kind::FORWARDED | kind::FORWARD_FAILED => {
                    waits.push(Wait { token: answer.token, kind: kind::FORWARD_FAILED, due: 0 });
                }
                kind::ANSWERED | kind::CALL_FAILED => {
                    waits.push(Wait { token: answer.token, kind: kind::CALL_FAILED, due: 0 });
                }
                kind::WRITABLE => waits.push(Wait { token: answer.token, kind: kind::WRITABLE, due: 0 }),
                _ if answer.token != 0 => waits.push(Wait { token: answer.token, kind: kind::STORE_FAILED, due: 0 }),
                _ => {}
            }
        }
        waits
    }
}
