//! Commit before release: what an event writes is committed before any of its other effects happens.
//!
//! An event that writes has its batch held here, with the state of the session as it was before. Until the store has settled
//! it the session takes no event and is not moved; its streams go on writing and forwarding. Committed, the effects happen
//! in their order. Not committed, none does: the session is made what it was, is told, and gets the event again.

use bytes::Buf;
use tandem_component::abi::{RawEvent, kind, unstored};
use tandem_component::effects::{Batch, Effect};

use super::calls::Causes;
use super::driver::Driver;
use super::rereading::Question;
use super::{Answer, Content, Session};
use crate::loader::code::Failure;
use crate::store::{self, Found, Step, Told, Transaction};

/// An event whose effects wait for what it has written.
pub(super) struct Held {
    batch: Box<Batch>,
    /// The stream whose unread bytes the batch may consume.
    offered: Option<u64>,
    /// The session before the event, where it could be exported.
    before: Option<Vec<u8>>,
    /// The event, where it is not bytes that are still unread.
    event: Option<Again>,
    /// The datagram, where the event is one: it waits for its conversation if the effects name one.
    pub(super) datagram: Option<super::Datagram>,
    /// How many requests in a row have led to each of the effects.
    causes: Causes,
    /// The conversation that the session is ends with this event.
    ends: bool,
    /// The session ends with this event.
    pub(super) last: bool,
    /// What the store says.
    outcome: Option<Outcome>,
}

/// An event that is told again.
enum Again {
    Answer(Answer),
    /// Several that were told together.
    Together(Vec<Answer>),
    /// So many offers of bytes of a stream, which are still unread.
    Offers(u64, usize),
    Datagram(super::Datagram),
    End(u64),
}

impl Held {
    /// Whether the store has settled what it writes.
    pub(super) fn is_settled(&self) -> bool {
        self.outcome.is_some()
    }

    /// The answer that comes again where it is not stored, if that is what the event was.
    pub(super) fn answer_again(&mut self) -> Option<&mut Answer> {
        match &mut self.event {
            Some(Again::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    /// Whether all that it has for the store are bindings, which are the host's.
    fn only_binds(&self) -> bool {
        let own = |effect: &Effect| matches!(effect, Effect::Row { .. } | Effect::Save);
        !self.ends && !self.batch.effects.iter().any(own)
    }
}

/// What the store says of a transaction.
pub(super) type Outcome = Result<Vec<(u64, Found)>, store::Failure>;

/// After so many events in a row that could not be stored a session is ended: it does not listen.
const FAILURES_MAX: u32 = 3;

impl Driver<'_, '_> {
    /// Has the store carry out what an event tells of rows. Questions alone are answered at once; what is written is
    /// committed first, and the batch held until then.
    #[cold]
    pub(super) fn store(
        &mut self,
        batch: Box<Batch>,
        event: &RawEvent<'_>,
        offered: Option<u64>,
        before: Option<Vec<u8>>,
    ) {
        let batch = match self.give_or_ask(batch, offered) {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err((mut batch, reason)) => {
                match &before {
                    Some(before) if self.more > 0 => self.offer_alone(event.stream, before, 1 + self.more),
                    _ => self.fail(Failure::Fault(reason), &mut batch),
                }
                return self.put_back(batch);
            }
        };
        let event = match event.kind {
            kind::BYTES if self.more > 0 => Some(Again::Offers(event.stream, 1 + self.more)),
            kind::BYTES | kind::STORE_FAILED => None,
            kind::END => Some(Again::End(event.stream)),
            kind::DATAGRAM => Some(Again::Datagram(self.session.datagram(event.bytes.as_slice()))),
            _ => Some(Again::Answer(Answer::again(event))),
        };
        self.hold(batch, event, offered, before);
    }

    /// As [`store`](Driver::store), of answers that were told together.
    #[cold]
    pub(super) fn store_together(&mut self, batch: Box<Batch>, told: Vec<Answer>, before: Vec<u8>) {
        match self.give_or_ask(batch, None) {
            Ok(Some(batch)) => self.hold(batch, Some(Again::Together(told)), None, Some(before)),
            Ok(None) => {}
            Err((batch, _)) => {
                self.put_back(batch);
                self.tell_alone(&before, told);
            }
        }
    }

    /// Keeps an event's effects until what it has written is settled.
    fn hold(&mut self, batch: Box<Batch>, event: Option<Again>, offered: Option<u64>, before: Option<Vec<u8>>) {
        let (ends, causes) = (self.ends_conversation(&batch), std::mem::take(&mut self.causes));
        let held = Held { batch, offered, before, event, datagram: None, causes, ends, last: false, outcome: None };
        self.session.held = Some(Box::new(held));
        self.put_back(self.worker.batch());
    }

    /// Gives the store what is to be committed before a batch: back comes the batch. One that only asks is carried out.
    ///
    /// # Errors
    /// The batch, and what is wrong with what it tells of rows.
    fn give_or_ask(
        &mut self,
        batch: Box<Batch>,
        offered: Option<u64>,
    ) -> Result<Option<Box<Batch>>, (Box<Batch>, String)> {
        let steps = self.steps(&batch).and_then(|mut steps| {
            steps.extend(self.bindings(&batch)?);
            steps.extend(self.save(&batch)?);
            steps.extend(self.ending_conversation(&batch));
            Ok(steps)
        });
        let steps = match steps {
            Ok(steps) => steps,
            Err(reason) => return Err((batch, reason)),
        };
        if steps.iter().all(|step| step.question().is_some()) {
            for step in &steps {
                if let Some((question, token)) = step.question() {
                    let found = self.worker.ask(&step.table, question);
                    let answer = answer(token, found).to(|| Question::of(&batch, token));
                    self.session.answers.push_back(answer);
                }
            }
            self.happen(&batch, offered);
            self.put_back(batch);
            return Ok(None);
        }
        self.worker.give(Transaction { home: self.home(), steps });
        Ok(Some(batch))
    }

    fn steps(&self, batch: &Batch) -> Result<Vec<Step>, String> {
        let tables = self.session.instance().map_or(&[][..], |instance| instance.tables());
        let rows = batch.effects.iter().filter_map(|effect| match *effect {
            Effect::Row { operation, table, first, second, number, token } => Some(Told {
                operation,
                table: batch.text(table),
                first: batch.bytes(first),
                second: batch.bytes(second),
                number,
                token,
            }),
            _ => None,
        });
        Step::all(rows.map(|told| Step::of(tables, &told)))
    }

    /// Looks whether the store has settled what the held event wrote.
    #[cold]
    pub(super) fn settle(&mut self) {
        if !self.session.held.as_ref().is_some_and(|held| held.is_settled()) || !self.is_late_enough() {
            return;
        }
        let Some(held) = self.session.held.take() else { return };
        let mut held = *held;
        let Some(outcome) = held.outcome.take() else { return };
        (self.session.busy, self.session.offers) = (true, true);
        match outcome {
            Ok(found) => {
                self.session.progress += 1;
                self.session.failures = 0;
                self.session.was_saved(&held.batch);
                // The host's own questions have no token.
                let asked = found.into_iter().filter(|(token, _)| *token != 0);
                let batch = &held.batch;
                let answers = asked.map(|(token, found)| answer(token, Ok(found)).to(|| Question::of(batch, token)));
                self.session.answers.extend(answers);
                self.let_happen(held);
            }
            // Nothing of the component's was to be stored: its answer goes out all the same.
            Err(failure) if held.only_binds() => {
                self.not_bound(&failure);
                self.session.progress += 1;
                self.let_happen(held);
            }
            Err(failure) => {
                self.worker.keep_batch(held.batch);
                self.take_back(held.before.as_deref(), held.event, &failure);
            }
        }
    }

    /// Has the effects of an event happen that has waited for its commit.
    fn let_happen(&mut self, mut held: Held) {
        self.causes = std::mem::take(&mut held.causes);
        self.happen_late(&held);
        self.causes = Causes::default();
        if let Some(datagram) = held.datagram {
            self.session.route_datagram(datagram);
        }
        if held.last {
            self.end();
        }
        self.worker.keep_batch(held.batch);
        if let Some(before) = held.before {
            self.worker.keep_state_buffer(before);
        }
    }

    /// Carries out a batch whose bytes on offer have gone back to the stream's unread ones meanwhile.
    fn happen_late(&mut self, held: &Held) {
        let stream = held.offered.and_then(|stream| self.session.pipe_mut(stream));
        let Some(mut unread) = stream.map(|pipe| std::mem::take(&mut pipe.unread)) else {
            return self.happen(&held.batch, held.offered);
        };
        self.offered_left = unread.len();
        self.happen(&held.batch, held.offered);
        unread.advance(unread.len() - self.offered_left);
        if let Some(pipe) = held.offered.and_then(|stream| self.session.pipe_mut(stream)).filter(|pipe| pipe.gives()) {
            pipe.give_back(unread);
        }
    }

    /// Makes the session what it was before an event whose writes were not committed.
    fn take_back(&mut self, before: Option<&[u8]>, event: Option<Again>, failure: &store::Failure) {
        let event = match (event, before) {
            (Some(Again::Together(told)), Some(before)) => return self.tell_alone(before, told),
            (Some(Again::Offers(stream, offers)), Some(before)) => return self.offer_alone(stream, before, offers),
            (event, _) => event,
        };
        self.session.failures += 1;
        if self.session.failures > FAILURES_MAX {
            return self.break_off(format!("what it writes cannot be stored: {failure}"));
        }
        let Some(before) = before else {
            return self.break_off(format!("{failure}, and it could not be exported before"));
        };
        if let Err(reason) = self.restore(before) {
            return self.break_off(reason);
        }
        let session = &mut *self.session;
        match event {
            Some(Again::Answer(answer)) => session.answers.push_front(answer),
            Some(Again::Datagram(datagram)) => session.datagrams.push_front(datagram),
            Some(Again::End(stream)) => {
                if let Some(pipe) = session.pipe_mut(stream) {
                    pipe.end_told = false;
                }
            }
            Some(Again::Together(_) | Again::Offers(..)) | None => {}
        }
        let detail = why(failure);
        self.deliver(&RawEvent { detail, ..RawEvent::new(kind::STORE_FAILED, self.wall) }, None);
    }
}

pub(super) fn why(failure: &store::Failure) -> u32 {
    match failure {
        store::Failure::Unavailable(_) => unstored::UNAVAILABLE,
        store::Failure::Conflict(_) => unstored::CONFLICT,
    }
}

pub(super) fn answer(token: u64, found: Result<Found, store::Failure>) -> Answer {
    let (kind, detail, content) = match found {
        Ok(Found::Row(Some(row))) => (kind::ROW, 1, Content::of(row)),
        Ok(Found::Row(None)) => (kind::ROW, 0, None),
        Ok(Found::Rows(rows)) => (kind::ROWS, 0, Content::of(rows)),
        Ok(Found::Done(done)) => (kind::CHANGED, u32::from(done), None),
        Err(failure) => (kind::STORE_FAILED, why(&failure), None),
    };
    Answer { kind, detail, token, content, ..Answer::default() }
}

impl Session {
    /// The store has settled what this session has written.
    pub fn settled(&mut self, outcome: Outcome) {
        let Some(outcome) = self.bound(outcome) else { return };
        // Of one that has ended meanwhile nothing is held.
        if let Some(held) = &mut self.held {
            held.outcome = Some(outcome);
            self.wake();
        }
    }
}
