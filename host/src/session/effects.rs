//! Carries out the effects of one event, in the order in which they were told.

use tandem_component::abi::{failure, kind};
use tandem_component::effects::{Batch, Effect};

use super::driver::{Driver, LINGER, UNSENT_MAX};
use super::forward::Forward;
use super::pipe::{Link, Pipe};
use super::routing::Bound;
use super::{Answer, Session};
use crate::service::Dialed;
use crate::transport::Socket;

/// Why a session is ended by the host.
pub(super) type Reason = String;

impl Driver<'_, '_> {
    /// Carries out a batch. `offered` is the stream whose bytes it may consume.
    ///
    /// # Errors
    /// The session broke a rule, and must end.
    #[inline]
    pub(super) fn carry_out(&mut self, batch: &Batch, offered: Option<u64>) -> Result<(), Reason> {
        for (at, effect) in batch.effects.iter().enumerate() {
            match *effect {
                Effect::Consume { n } => self.consume(n, offered)?,
                Effect::Send { stream, bytes } => self.send(stream, batch.bytes(bytes))?,
                Effect::Forward { from, to, n, idle, token } => {
                    let deadline = self.now.saturating_add(idle);
                    let without = self.lacks_admission("forward");
                    let forward = Forward { to, left: n, moved: 0, idle, deadline, token };
                    match self.session.pipe_mut(from).filter(|pipe| pipe.gives()) {
                        None => self.session.answers.push_back(forward.failed(from, false)),
                        Some(_) if without => self.session.answers.push_back(forward.failed(from, false)),
                        Some(pipe) if pipe.forward.is_some() => {
                            return Err(format!("it asked for a second forward from stream {from}"));
                        }
                        Some(_) if n == 0 => self.session.answers.push_back(forward.done()),
                        Some(pipe) => {
                            pipe.forward = Some(forward);
                            self.session.due_changed = true;
                        }
                    }
                }
                Effect::Writable { stream, token } => match self.session.pipe_mut(stream) {
                    Some(pipe) if pipe.left < pipe.sent => pipe.writables.push((pipe.sent, token)),
                    _ => self.session.answers.push_back(Answer { kind: kind::WRITABLE, token, ..Answer::default() }),
                },
                Effect::Dial { upstream, avoid, fresh, token } => {
                    self.dial(batch.bytes(upstream), || batch.numbers(avoid), fresh, token);
                }
                Effect::Release { stream } => self.release(stream, offered),
                Effect::Blame { stream } => {
                    if let Some(ticket) = self.session.pipe(stream).and_then(|pipe| pipe.ticket.as_ref()) {
                        ticket.blame(self.now);
                    }
                }
                Effect::Finish { stream } => {
                    if let Some(pipe) = self.session.pipe_mut(stream) {
                        pipe.finishing = true;
                    }
                }
                Effect::Close { stream } => self.close(stream),
                Effect::Abort { stream } => self.abort(stream),
                Effect::After { nanos, token } => {
                    // From the time it is, not from that of the turn, which may be a little older: never early.
                    let due = self.worker.time().saturating_add(nanos);
                    self.session.timers.push((due, token));
                    self.session.due_changed = true;
                }
                Effect::Cancel { token } => self.cancel(token),
                // Done already: all that an event tells of rows is one transaction, before its other effects.
                Effect::Row { .. } | Effect::Bind { .. } | Effect::Save => {}
                Effect::Call { service, asked, account, trace, label, within, token } => {
                    let cause = self.causes.at(at).clone();
                    let behalf = (batch.text(account), batch.bytes(trace), batch.text(label));
                    self.call((batch.text(service), batch.bytes(asked)), behalf, (within, cause), token)?;
                }
                Effect::Answer { request, response } => self.respond(request, batch.bytes(response))?,
                Effect::Serve { serving } => self.serve(serving),
                Effect::Authenticate { account, secret, token } => {
                    self.authenticate(batch.text(account), batch.bytes(secret), token);
                }
                Effect::Route { key, begin } => self.route(batch, batch.bytes(key), begin)?,
                Effect::Label { label } => self.label(batch, batch.text(label))?,
                Effect::Admit { account, sender, units, what, token } => {
                    self.admit((batch.text(account), batch.text(sender)), units, what, token)?;
                }
                Effect::Done { token } => self.session.done(token),
                Effect::Ended { outcome, nanos } => self.worker.count_ended(self.session, outcome, nanos),
                Effect::Record { fields } => {
                    let about = self.causes.at(at).about();
                    self.worker.record(self.session, self.wall, batch.bytes(fields), about.map(|about| about.trace));
                }
            }
        }
        Ok(())
    }

    /// Bytes on offer are never among the stream's unread ones: the driver holds them until the event is handled.
    fn consume(&mut self, n: u64, offered: Option<u64>) -> Result<(), Reason> {
        if offered.is_none() {
            return Ok(());
        }
        match usize::try_from(n).ok().filter(|n| *n <= self.offered_left) {
            Some(n) => {
                self.offered_left -= n;
                if self.session.bound == Bound::Named {
                    self.session.bound = Bound::UnderWay;
                }
            }
            None => return Err(format!("it consumed {n} bytes where there were {}", self.offered_left)),
        }
        self.session.greeting.idle_since = self.now;
        Ok(())
    }

    fn send(&mut self, stream: u64, bytes: &[u8]) -> Result<(), Reason> {
        let now = self.now;
        let Some(pipe) = self.session.pipe_mut(stream).filter(|pipe| pipe.takes()) else { return Ok(()) };
        if let Link::Up(socket @ Socket::Udp(..)) = &pipe.socket {
            if let Err(error) = socket.send_datagram(bytes) {
                self.worker.datagram_lost(&error);
            }
            return Ok(());
        }
        if pipe.unsent.len() + bytes.len() > UNSENT_MAX {
            return Err(format!("more than {UNSENT_MAX} bytes are unsent on stream {stream}"));
        }
        if pipe.unsent.capacity() == 0 {
            pipe.unsent = self.worker.spare();
        }
        pipe.unsent.extend_from_slice(bytes);
        pipe.sent += bytes.len() as u64;
        self.session.greeting.idle_since = now;
        Ok(())
    }

    fn dial<N: Iterator<Item = u64>>(&mut self, upstream: &[u8], avoid: impl Fn() -> N, fresh: bool, token: u64) {
        let failed = |detail, number| Answer { kind: kind::DIAL_FAILED, detail, token, number, ..Answer::default() };
        if self.lacks_admission("dial") {
            return self.session.answers.push_back(failed(failure::NOT_ADMITTED, 0));
        }
        match self.worker.dial(upstream, avoid, fresh, || self.session.owner(), self.now) {
            Dialed::Reused(socket, ticket) => {
                let (stream, server) = (self.session.next_stream, ticket.server());
                self.session.add(Link::Up(socket), ticket);
                let answer =
                    Answer { kind: kind::DIALED, detail: 1, token, stream, number: server, ..Answer::default() };
                self.session.answers.push_back(answer);
            }
            Dialed::Connecting(connecting, deadline, ticket) => {
                self.session.add(Link::Coming { connecting, deadline, token }, ticket);
            }
            Dialed::Refused(server) => self.session.answers.push_back(failed(failure::REFUSED, server + 1)),
            Dialed::Unknown => self.session.answers.push_back(failed(failure::UNKNOWN, 0)),
            Dialed::NoServer => self.session.answers.push_back(failed(failure::NO_SERVER, 0)),
            Dialed::Full => self.session.answers.push_back(failed(failure::FULL, 0)),
        }
    }

    /// Gives a dialed connection back, where nothing is left on it: what is unread now would be the next one's answer.
    fn release(&mut self, stream: u64, offered: Option<u64>) {
        let Some(at) = self.session.position(stream).filter(|at| *at > 0) else { return };
        self.session.fail_forwards(stream);
        let mut pipe = self.session.pipes.swap_remove(at);
        let left_over = offered == Some(stream) && self.offered_left > 0;
        let clean = !left_over
            && !pipe.deaf
            && pipe.unread.is_empty()
            && pipe.unsent.is_empty()
            && !pipe.ended
            && !pipe.finishing
            && !pipe.broken;
        self.worker.keep_spare(std::mem::take(&mut pipe.unsent));
        if let (true, Link::Up(socket), Some(ticket)) = (clean, pipe.socket, pipe.ticket) {
            self.worker.pool(socket, ticket, self.now);
        }
    }

    /// Closes a stream once all has left.
    pub(super) fn close(&mut self, stream: u64) {
        let now = self.now;
        let Some(at) = self.session.position(stream) else { return };
        self.session.fail_forwards(stream);
        let pipe = &mut self.session.pipes[at];
        pipe.closing = true;
        pipe.finishing = true;
        pipe.unread.clear();
        pipe.forward = None;
        pipe.linger = Some(now.saturating_add(LINGER));
        self.session.due_changed = true;
        if at == 0 {
            self.session.over = true;
        } else if pipe.unsent.is_empty() {
            self.session.pipes.swap_remove(at);
        }
    }

    /// Drops a stream at once.
    pub(super) fn abort(&mut self, stream: u64) {
        let Some(at) = self.session.position(stream) else { return };
        self.session.fail_forwards(stream);
        if let Link::Up(socket) = &mut self.session.pipes[at].socket {
            socket.reset();
        }
        if at == 0 {
            self.session.pipes[0].broken = true;
            self.session.over = true;
        } else {
            self.session.pipes.swap_remove(at);
        }
    }

    fn cancel(&mut self, token: u64) {
        let session = &mut *self.session;
        session.timers.retain(|timer| timer.1 != token);
        session.asked.cancel(token);
        session.admitted.take(token);
        if let Some(at) = session.answers.iter().position(|answer| answer.token == token) {
            let answer = session.answers.remove(at);
            // A connection that came too late to be wanted serves another.
            if let Some(Answer { kind: kind::DIALED, stream, .. }) = answer {
                self.release(stream, None);
            }
            return;
        }
        self.cancel_call(token);
        let session = &mut *self.session;
        for pipe in &mut session.pipes {
            pipe.forward.take_if(|forward| forward.token == token);
            pipe.writables.retain(|writable| writable.1 != token);
        }
        session.pipes.retain(|pipe| !matches!(pipe.socket, Link::Coming { token: coming, .. } if coming == token));
    }
}

impl Session {
    #[inline]
    pub(super) fn position(&self, stream: u64) -> Option<usize> {
        self.pipes.iter().position(|pipe| pipe.number == stream)
    }

    #[inline]
    pub(super) fn pipe(&self, stream: u64) -> Option<&Pipe> {
        self.pipes.iter().find(|pipe| pipe.number == stream)
    }

    #[inline]
    pub(super) fn pipe_mut(&mut self, stream: u64) -> Option<&mut Pipe> {
        self.pipes.iter_mut().find(|pipe| pipe.number == stream)
    }

    fn add(&mut self, link: Link, ticket: crate::service::Ticket) {
        let number = self.next_stream;
        self.next_stream += 1;
        self.due_changed |= matches!(link, Link::Coming { .. });
        self.pipes.push(Pipe::new(number, link, Some(ticket)));
    }
}
