//! Takes a session from event to event.
//!
//! One poll of a session's task is a turn. In this order, until nothing changes: answers are delivered, unread bytes
//! offered, what was sent is written, forwards move, and only then is more read: so what one read brought in is answered
//! with one write. Before each event the version table is looked at (one atomic load): see `moving`.

use std::task::{Context, Poll};

use bytes::Buf;
use tandem_component::Policy;
use tandem_component::abi::{RawEvent, Sink, failure, kind};
use tandem_component::effects::{Batch, Effect};

use super::calls::{Cause, Causes};
use super::effects::Reason;
use super::pipe::{Link, Pipe};
use super::{Answer, Session};
use crate::clock::Nanos;
use crate::loader::code::Failure;
use crate::observe::inside;
use crate::observe::notice::Notice;
use crate::worker::Worker;

/// Above so many unsent bytes a stream is not forwarded to, and its session is offered no more bytes.
pub(super) const UNSENT_HIGH: usize = 256 * 1024;
/// With more than so many unsent bytes on one stream a session is ended.
pub(super) const UNSENT_MAX: usize = 16 * 1024 * 1024;
/// How long a peer gets to take the last bytes of a closed stream, from the last time that it took some.
pub(super) const LINGER: Nanos = nanos_of_seconds(30);
/// After so many steps a session lets others have a turn.
const STEPS_MAX: usize = 64;

const fn nanos_of_seconds(seconds: u64) -> Nanos {
    seconds * 1_000_000_000
}

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// The session waits.
    Waits,
    /// It has more to do, but let others go first.
    Again,
    /// It is over, and all that could be brought out was.
    Over,
}

/// One turn of one session.
pub struct Driver<'w, 'c> {
    pub(super) worker: &'w Worker,
    pub(super) session: &'w mut Session,
    pub(super) cx: &'w mut Context<'c>,
    pub(super) now: Nanos,
    pub(super) wall: u64,
    batch: Option<Box<Batch>>,
    /// How much it has done.
    pub(super) steps: usize,
    /// How many offers of bytes were told together with the one that is being handled.
    pub(super) more: usize,
    /// What is read into.
    pub(super) buffer: Vec<u8>,
    /// The stream to be read from next, so that one that always has something does not keep the others waiting.
    pub(super) read_next: usize,
    /// What has led to the event that is being handled.
    pub(super) causes: Causes,
    /// How many of the bytes on offer are not yet consumed.
    pub(super) offered_left: usize,
}

impl<'w, 'c> Driver<'w, 'c> {
    /// A turn of this session, now.
    #[inline(always)] // It begins each turn; that another place has one makes it no less hot.
    pub fn new(worker: &'w Worker, session: &'w mut Session, cx: &'w mut Context<'c>) -> Self {
        let (now, wall) = worker.now();
        let (batch, buffer) = worker.scratch();
        let batch = Some(batch);
        Driver {
            worker,
            session,
            cx,
            now,
            wall,
            batch,
            steps: 0,
            more: 0,
            buffer,
            read_next: 0,
            offered_left: 0,
            causes: Causes::default(),
        }
    }

    /// Does what there is to do.
    pub fn turn(mut self) -> Turn {
        if std::mem::take(&mut self.session.rang) {
            self.fire();
        }
        // What it waited for may be that a peer takes more, or that a connection is made.
        self.session.busy |= self.session.waits_for_more_than_bytes();
        let (mut turn, before) = (Turn::Again, self.session.progress);
        if self.session.held.is_some() {
            self.settle();
        }
        // A session whose events take too long has one of them at a time, and the others their turns between.
        let late = inside::late();
        while self.steps < STEPS_MAX && inside::late() == late {
            self.steps += 1;
            if self.session.conversation.is_none() {
                turn = self.close_out();
                break;
            }
            if !self.session.may_take_events() && !self.find_conversation() {
                // No event before what the last one wrote is settled, and it is known whose the next one is; streams go on.
                if std::mem::take(&mut self.session.busy) && self.work() {
                    self.session.busy = true;
                    continue;
                }
                turn = Turn::Waits;
                break;
            }
            if self.answer() || self.session.offers && self.offer() {
                continue;
            }
            if std::mem::take(&mut self.session.busy) && self.work() {
                self.session.busy = true;
                continue;
            }
            if self.read() {
                continue;
            }
            if self.session.goodbye.is_some() && (self.read_the_last() || self.goodbye()) {
                continue;
            }
            if self.session.is_spent() {
                self.end();
                continue;
            }
            // Each event follows by itself; what was woken without one does here, and one that could not be moved before its
            // event may be at a boundary after it.
            let here = self.session.progress;
            if here == before || self.session.behind.is_some() {
                self.follow();
                if self.session.progress != here {
                    continue;
                }
            }
            turn = Turn::Waits;
            break;
        }
        // What it has said by then is not held up by what it takes over the next one.
        if turn == Turn::Again && inside::late() != late && self.session.busy {
            self.work();
        }
        for pipe in &mut self.session.pipes {
            pipe.read_asked = false;
            pipe.write_asked = false;
        }
        self.leave();
        turn
    }

    /// Gives the worker its buffers back.
    #[inline(always)] // As `new`.
    pub(super) fn leave(self) {
        self.worker.keep_scratch(self.batch, self.buffer);
    }

    /// When the session has to be woken, whatever happens.
    pub fn next_due(session: &Session) -> Nanos {
        let timers = session.timers.iter().map(|timer| timer.0);
        let pipes = session.pipes.iter().map(|pipe| {
            let coming = if let Link::Coming { deadline, .. } = pipe.socket { deadline } else { Nanos::MAX };
            let forward = pipe.forward.map_or(Nanos::MAX, |forward| forward.deadline);
            coming.min(forward).min(pipe.linger.unwrap_or(Nanos::MAX))
        });
        let due = timers.chain(pipes).min().unwrap_or(Nanos::MAX).min(session.drained.unwrap_or(Nanos::MAX));
        // Most have neither.
        let due = if session.calls.is_some() { due.min(session.calls_due().unwrap_or(Nanos::MAX)) } else { due };
        let due = if session.late.is_some() { due.min(session.late_due().unwrap_or(Nanos::MAX)) } else { due };
        if session.greeting.transport == tandem_component::Transport::Udp {
            return due.min(session.silent_at());
        }
        due
    }

    /// Makes events of what is due.
    fn fire(&mut self) {
        let now = self.now;
        let session = &mut *self.session;
        (session.due_changed, session.busy) = (true, true);
        session.timers.sort_unstable();
        let due = session.timers.partition_point(|timer| timer.0 <= now);
        for (_, token) in session.timers.drain(..due) {
            session.answers.push_back(Answer { kind: kind::TIMEOUT, token, ..Answer::default() });
        }
        session.fail_stalled(now);
        self.time_out_calls();
        let session = &mut *self.session;
        for pipe in &mut session.pipes {
            if let Link::Coming { deadline, token, .. } = pipe.socket
                && deadline <= now
            {
                pipe.socket = Link::Gone;
                session.answers.push_back(dial_failed(pipe, token, failure::TIMED_OUT, now));
            }
        }
        session.pipes.retain(|pipe| {
            let late = pipe.linger.is_some_and(|until| until <= now);
            pipe.number == 0 || !late && !matches!(pipe.socket, Link::Gone)
        });
        let silent = session.greeting.transport == tandem_component::Transport::Udp && session.silent_at() <= now;
        let overdue = session.drained.is_some_and(|until| until <= now);
        if let (true, Some(instance)) = (overdue, session.instance()) {
            instance.counts.count_overdue();
        }
        if silent || overdue {
            session.drained = None;
            self.end();
        }
    }

    /// Tells a session that is to say goodbye so: once it has seen what had come in before.
    fn goodbye(&mut self) -> bool {
        let Some(until) = self.session.goodbye else { return false };
        if self.follows() {
            self.session.goodbye = None;
        } else {
            return true;
        }
        let drain = Answer { kind: kind::DRAIN, number: until, ..Answer::default() };
        self.deliver(&drain.event(self.wall), None);
        true
    }

    /// Delivers the next answer or datagram.
    fn answer(&mut self) -> bool {
        if self.session.answers.is_empty() && self.session.datagrams.is_empty() {
            return false;
        }
        // Before it is taken: what a session was to be told, the one that renews it is not.
        if !self.follows() {
            return true;
        }
        if self.session.answers.len() > 1
            && let Some(told) = self.answer_together()
        {
            self.steps += told - 1;
            return true;
        }
        let answer = match self.session.late {
            None => self.session.answers.pop_front(),
            Some(_) => self.take_late_answer(),
        };
        if let Some(answer) = answer {
            self.session.alone = self.session.alone.saturating_sub(1);
            // Only what comes of calls is a part of a row of them.
            self.causes =
                Causes::of(if self.session.calls.is_some() { self.session.cause_of(&answer) } else { Cause::NONE });
            self.deliver(&answer.event(self.wall), None);
            self.keep_question(&answer);
            self.causes = Causes::default();
            match (answer.kind, answer.stream) {
                (kind::CLOSED, 0) => match &mut self.session.held {
                    Some(held) => held.last = true,
                    None => self.end(),
                },
                (kind::CLOSED, stream) => self.session.pipes.retain(|pipe| pipe.number != stream),
                _ => {}
            }
            return true;
        }
        let Some(datagram) = self.session.datagrams.pop_front() else { return false };
        self.session.greeting.idle_since = self.now;
        self.session.answer_to(&datagram);
        let mut event = RawEvent::bytes(0, &datagram.bytes, self.wall);
        event.kind = kind::DATAGRAM;
        self.deliver(&event, None);
        match &mut self.session.held {
            Some(held) => held.datagram = Some(datagram),
            None => self.session.route_datagram(datagram),
        }
        true
    }

    /// Offers the unread bytes of a stream, or its end, where the session has not seen them as they are.
    fn offer(&mut self) -> bool {
        if !self.follows() {
            return true;
        }
        for at in 0..self.session.pipes.len() {
            let pipe = &self.session.pipes[at];
            if pipe.unread.is_empty() && (!pipe.ended || pipe.end_told) || pipe.forward.is_some() || !pipe.gives() {
                continue;
            }
            let (stream, unseen) = (pipe.number, pipe.offered != Some((self.session.progress, pipe.unread.len())));
            if self.session.is_early(stream) {
                continue;
            }
            if !pipe.unread.is_empty() && unseen {
                if self.session.unsent() >= UNSENT_HIGH {
                    continue;
                }
                // Bytes on offer are the driver's, so that effects on the stream do not meet them.
                let mut unread = std::mem::take(&mut self.session.pipes[at].unread);
                let consumed = self.offer_bytes(stream, &unread);
                unread.advance(consumed);
                if let Some(pipe) = self.session.pipe_mut(stream).filter(|pipe| pipe.gives()) {
                    pipe.give_back(unread);
                }
                return true;
            }
            if pipe.ended && !pipe.end_told {
                self.session.pipes[at].end_told = true;
                self.deliver(&RawEvent { stream, ..RawEvent::new(kind::END, self.wall) }, None);
                return true;
            }
        }
        // Until more comes in: what was refused as it is, is offered again after another event.
        let may_offer = |pipe: &Pipe| !pipe.unread.is_empty() || pipe.ended && !pipe.end_told;
        self.session.offers = self.session.pipes.iter().any(may_offer);
        false
    }

    /// Offers bytes that are not among the stream's unread ones, to a session that has followed. Returns how many were
    /// consumed.
    pub(super) fn offer_bytes(&mut self, stream: u64, bytes: &[u8]) -> usize {
        let progress = self.session.progress;
        self.offered_left = bytes.len();
        self.deliver(&RawEvent::bytes(stream, bytes, self.wall), Some(stream));
        let consumed = bytes.len() - self.offered_left;
        // What is to be told alone is offered again as it is.
        if consumed == 0
            && let Some(pipe) = self.session.pipe_mut(stream)
            && pipe.alone == 0
        {
            pipe.offered = Some((progress, bytes.len()));
            self.session.progress = progress;
        }
        consumed
    }

    /// Hands the session one event, and carries out what follows from it.
    pub(super) fn deliver(&mut self, event: &RawEvent<'_>, offered: Option<u64>) {
        let waits = self.session.held.is_some() || self.session.routing.is_some();
        debug_assert!(!waits, "no event before the last one is settled");
        if self.session.conversation.is_none() {
            return;
        }
        let mut batch = self.take_batch();
        let Some(conversation) = &mut self.session.conversation else { return };
        // Only a session that may write is ever made again what it was.
        let keyed = self.session.keyed.is_some();
        let lease = conversation.lease();
        let before = match lease.stores || keyed && lease.policy != Policy::Renew {
            true => conversation.export_into(self.session.id, self.worker.state_buffer()).ok(),
            false => None,
        };
        let result = conversation.handle(self.session.id, event, Sink::new(&mut *batch));
        self.session.progress += 1;
        self.session.busy = true;
        self.more = 0;
        if let (true, Ok(()), Some(before)) = (offered.is_some(), &result, &before) {
            if !self.offer_the_rest(event, &mut batch, before) {
                return self.put_back(batch);
            }
            if let Some(pipe) = self.session.pipe_mut(event.stream) {
                pipe.alone = pipe.alone.saturating_sub(1);
            }
        }
        match result {
            Ok(()) if batch.is_too_much() => self.fail(Failure::Fault(Batch::TOO_MUCH.to_owned()), &mut batch),
            Ok(()) if batch.has_writes() || keyed && self.ends_conversation(&batch) => {
                return self.store(batch, event, offered, before);
            }
            Ok(()) => {
                if let Some(before) = before {
                    self.worker.keep_state_buffer(before);
                }
                if self.session.failures > 0 && event.kind != kind::STORE_FAILED {
                    self.session.failures = 0;
                }
                self.happen(&batch, offered);
            }
            Err(failure) => self.fail(failure, &mut batch),
        }
        self.batch = Some(batch);
    }

    /// Makes the effects of an event happen.
    pub(super) fn happen(&mut self, batch: &Batch, offered: Option<u64>) {
        match self.carry_out(batch, offered) {
            Ok(()) if self.session.over => self.end(),
            Ok(()) => {}
            Err(reason) => self.break_off(reason),
        }
    }

    /// An empty batch, for one event or for several that are told together.
    #[inline]
    pub(super) fn take_batch(&mut self) -> Box<Batch> {
        let mut batch = self.batch.take().expect("a batch is taken for events and put back");
        batch.clear();
        batch
    }

    /// Puts a batch back for the next event.
    pub(super) fn put_back(&mut self, batch: Box<Batch>) {
        self.batch = Some(batch);
    }

    /// The session cannot go on: none of the event's effects happens, and its last words are said.
    pub(super) fn fail(&mut self, failure: Failure, batch: &mut Batch) {
        let Some(conversation) = &mut self.session.conversation else { return };
        if matches!(failure, Failure::Panicked(_)) {
            conversation.lease().counts.panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        batch.clear();
        let event = RawEvent::new(kind::LAST_WORDS, self.wall);
        let spoke = conversation.handle(self.session.id, &event, Sink::new(batch)).is_ok() && !batch.is_too_much();
        batch.effects.retain(|effect| spoke && matches!(effect, Effect::Send { .. }));
        let reason = match failure {
            Failure::Fault(reason) => format!("it gave up: {reason}"),
            Failure::Panicked(reason) => format!("it panicked: {reason}"),
        };
        // Only sends are left, which break no rule but that of size.
        let _ = self.carry_out(batch, None);
        self.break_off(reason);
    }

    /// Ends a session that did what it must not.
    pub(super) fn break_off(&mut self, reason: Reason) {
        if let Some(instance) = self.session.instance() {
            instance.counts.failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        self.worker.notice(self.session, Notice::SessionBroken, &reason);
        self.session.ends_broken(&reason);
        self.close(0);
        self.end();
    }

    /// Ends the conversation: the code's lease is given back. What was sent is still brought out.
    pub(super) fn end(&mut self) {
        let Some(conversation) = self.session.conversation.take() else { return };
        conversation.lease().counts.leave();
        drop(conversation);
        self.clear();
    }

    /// Nothing is left of what the session was about but what is to be brought out.
    pub(super) fn clear(&mut self) {
        self.leave_calls();
        self.leave_conversation();
        let session = &mut *self.session;
        session.ends();
        session.timers.clear();
        session.asked.clear();
        session.admitted.clear();
        session.answers.clear();
        session.datagrams.clear();
        session.drained = None;
        session.held = None;
        session.routing = None;
        // What was sent on streams that were closed before is still brought out.
        session.pipes.retain(|pipe| pipe.number == 0 || pipe.closing && !pipe.unsent.is_empty());
        let own = &mut session.pipes[0];
        own.forward = None;
        own.closing = true;
        own.finishing = true;
        own.linger = Some(self.now.saturating_add(LINGER));
        session.due_changed = true;
    }

    /// Does for each stream what is to be done without its session: writes what was sent, moves what is forwarded, looks
    /// whether a connection is made, tells of one that is gone. True where something may follow from it.
    fn work(&mut self) -> bool {
        let mut progress = false;
        let mut at = 0;
        while at < self.session.pipes.len() {
            let pipe = &mut self.session.pipes[at];
            if matches!(pipe.socket, Link::Coming { .. }) {
                progress |= self.connect(at);
            }
            let pipe = &mut self.session.pipes[at];
            if !pipe.unsent.is_empty() || pipe.finishing && !pipe.finished {
                progress |= self.flush(at);
            }
            let pipe = &mut self.session.pipes[at];
            if pipe.forward.is_some() && (pipe.ended || !pipe.unread.is_empty()) {
                progress |= self.session.move_unread(at, self.now, self.cx);
            }
            let pipe = &mut self.session.pipes[at];
            if pipe.ended || pipe.broken || pipe.deaf {
                progress |= self.session.tell_closed(at);
            }
            // A dialed stream that was closed goes once all has left; one that did not come about is told already.
            let pipe = &self.session.pipes[at];
            let closed = pipe.closing && (pipe.unsent.is_empty() || pipe.deaf || !matches!(pipe.socket, Link::Up(_)));
            if at > 0 && (closed || matches!(pipe.socket, Link::Gone) && !pipe.broken) {
                self.session.pipes.swap_remove(at);
            } else {
                at += 1;
            }
        }
        progress
    }

    /// Writes what was sent on a stream.
    pub(super) fn flush(&mut self, at: usize) -> bool {
        let session = &mut *self.session;
        let pipe = &mut session.pipes[at];
        let mut progress = false;
        let had = pipe.unsent.len();
        if had > 0 {
            if pipe.write(self.cx, &[]).is_err() {
                pipe.unsent.clear();
                pipe.deaf = true;
                progress = true;
            }
            if pipe.unsent.is_empty() {
                self.worker.keep_spare(std::mem::take(&mut pipe.unsent));
            }
            if pipe.closing && pipe.unsent.len() < had {
                pipe.linger = Some(self.now.saturating_add(LINGER));
                session.due_changed = true;
            }
            // Who waited for room may go on.
            progress |= had >= UNSENT_HIGH && pipe.unsent.len() < UNSENT_HIGH;
            if !pipe.writables.is_empty() && pipe.unsent.len() < had {
                let left = pipe.left;
                let gone = |writable: &mut (u64, u64)| writable.0 <= left;
                for (_, token) in pipe.writables.extract_if(.., gone) {
                    session.answers.push_back(Answer { kind: kind::WRITABLE, token, ..Answer::default() });
                    progress = true;
                }
            }
        }
        let pipe = &mut session.pipes[at];
        if pipe.finishing && !pipe.finished && pipe.unsent.is_empty() {
            pipe.finished = true;
            if let Link::Up(socket) = &mut pipe.socket {
                socket.finish();
            }
        }
        progress
    }

    /// Looks whether a connection that is being made is there.
    fn connect(&mut self, at: usize) -> bool {
        let pipe = &mut self.session.pipes[at];
        let Link::Coming { connecting, .. } = &mut pipe.socket else { return false };
        let Poll::Ready(result) = connecting.poll(self.cx) else { return false };
        let Link::Coming { connecting, token, .. } = std::mem::replace(&mut pipe.socket, Link::Gone) else {
            return false;
        };
        let answer = match result {
            Ok(()) => {
                pipe.socket = connecting.done().map_or(Link::Gone, Link::Up);
                let number = pipe.ticket.as_ref().map_or(0, crate::service::Ticket::server);
                Answer { kind: kind::DIALED, detail: 0, token, stream: pipe.number, number, ..Answer::default() }
            }
            Err(error) => {
                pipe.ticket.iter().for_each(|ticket| ticket.say(&error));
                dial_failed(pipe, token, failure::REFUSED, self.now)
            }
        };
        self.session.answers.push_back(answer);
        true
    }
}

fn dial_failed(pipe: &Pipe, token: u64, detail: u32, now: Nanos) -> Answer {
    let mut number = 0;
    if let Some(ticket) = &pipe.ticket {
        ticket.blame(now);
        number = ticket.server() + 1;
    }
    Answer { kind: kind::DIAL_FAILED, detail, token, number, ..Answer::default() }
}

impl Session {
    /// Whether being woken may be about something else than bytes to read.
    fn waits_for_more_than_bytes(&self) -> bool {
        self.pipes.iter().any(|pipe| !pipe.unsent.is_empty() || !matches!(pipe.socket, Link::Up(_)))
    }

    /// How much is unsent on all its streams.
    pub(super) fn unsent(&self) -> usize {
        self.pipes.iter().filter(|pipe| !pipe.closing).map(|pipe| pipe.unsent.len()).sum()
    }
}
