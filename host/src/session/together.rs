//! What waits together is told together: one state to go back to, and one transaction, for all of it.
//!
//! A session whose events may write is exported before an event, so that it can be made again what it was. With hundreds of
//! requests and answers on their way to it that state is large, and as many commits would follow each other, one for each. So
//! as many of its answers as wait are told in a row, and bytes are offered for as long as it consumes of them; the effects are one
//! batch: carried out when all has been told, or committed first. If anything fails, none of it has happened: the session is
//! made what it was, and is told all of it again, one by one, so that only what fails by itself fails.

use tandem_component::abi::{RawEvent, Sink, kind};
use tandem_component::effects::{Batch, Effect};

use super::calls::{BYTES_MAX, Causes};
use super::driver::{Driver, UNSENT_HIGH};
use super::{Answer, Session};
use crate::loader::code::Conversation;
use crate::observe::inside;

/// So many are told together at most.
const TOGETHER_MAX: usize = 256;

impl Driver<'_, '_> {
    /// Tells as many of the answers that wait as may be told together. `None` where that is not more than one.
    #[cold] // For sessions that may write: others have no use for it.
    pub(super) fn answer_together(&mut self) -> Option<usize> {
        let session = &*self.session;
        let conversation = session.conversation.as_ref().filter(|conversation| conversation.lease().stores)?;
        if session.alone > 0
            || !session.may_tell_together()
            || session.answers.iter().take(2).filter(|answer| answer.is_joined()).count() < 2
        {
            return None;
        }
        let before = conversation.export_into(session.id, self.worker.state_buffer()).ok()?;
        let mut batch = self.take_batch();
        let session = &mut *self.session;
        // What one of them leads to is a part of its row of calls.
        let (mut told, mut causes) = (Vec::new(), Causes::default());
        let late = inside::late();
        // One in any case: the watchdog may say at any time what it has seen a while ago.
        while told.len() < TOGETHER_MAX
            && (told.is_empty() || inside::late() == late)
            && let Some(answer) = session.answers.pop_front_if(|answer| answer.is_joined())
        {
            let mark = batch.effects.len();
            causes.from(mark, session.cause_of(&answer));
            let Some(conversation) = &mut session.conversation else { break };
            let handled = conversation.handle(session.id, &answer.event(self.wall), Sink::new(&mut *batch));
            told.push(answer);
            if handled.is_err() || batch.is_too_much() {
                self.put_back(batch);
                self.tell_alone(&before, told);
                return Some(1);
            }
            if !batch.effects[mark..].iter().all(|effect| joins(&batch, effect)) {
                break;
            }
        }
        let count = told.len();
        session.progress += count as u64;
        session.busy = true;
        self.causes = causes;
        if batch.has_writes() {
            self.store_together(batch, told, before);
        } else {
            self.worker.keep_state_buffer(before);
            self.happen(&batch, None);
            self.put_back(batch);
        }
        self.causes = Causes::default();
        Some(count)
    }

    /// Offers what an event has left of the bytes on offer again, for as long as the session consumes of it and all that follows
    /// may happen together. Where one of them fails none has happened: false.
    #[cold]
    pub(super) fn offer_the_rest(&mut self, event: &RawEvent<'_>, batch: &mut Batch, before: &[u8]) -> bool {
        let session = &mut *self.session;
        let alone = session.pipe(event.stream).is_none_or(|pipe| pipe.alone > 0);
        if alone || !session.may_tell_together() || batch.is_too_much() {
            return true;
        }
        let mut rest = event.bytes.as_slice();
        let (mut mark, mut unsent) = (0, session.unsent());
        let late = inside::late();
        while let Some(consumed) = consumed(batch, mark)
            && self.more < TOGETHER_MAX
            && inside::late() == late
        {
            // As before any other offer.
            unsent += sends(batch, mark);
            if unsent >= UNSENT_HIGH {
                break;
            }
            rest = rest.get(consumed..).unwrap_or_default();
            let Some(conversation) = session.conversation.as_mut().filter(|_| !rest.is_empty()) else { break };
            mark = batch.effects.len();
            let next = RawEvent::bytes(event.stream, rest, self.wall);
            let handled = conversation.handle(session.id, &next, Sink::new(batch));
            self.more += 1;
            // Whose bytes these are is to be found out before anything of them is consumed.
            let routes = batch.effects[mark..]
                .iter()
                .any(|effect| matches!(effect, Effect::Route { .. } | Effect::Label { .. }));
            if handled.is_err() || batch.is_too_much() || routes {
                self.offer_alone(event.stream, before, 1 + self.more);
                return false;
            }
        }
        session.progress += self.more as u64;
        self.steps += self.more;
        true
    }

    /// Makes the session what it was before these offers. What they were of is offered again, to each event by itself.
    pub(super) fn offer_alone(&mut self, stream: u64, before: &[u8], offers: usize) {
        match self.restore(before) {
            Ok(()) => {
                if let Some(pipe) = self.session.pipe_mut(stream) {
                    pipe.alone = offers;
                }
                self.session.progress += 1;
            }
            Err(reason) => self.break_off(reason),
        }
    }

    /// Makes the session what it was before these answers. They are told again, each by itself.
    pub(super) fn tell_alone(&mut self, before: &[u8], told: Vec<Answer>) {
        if let Err(reason) = self.restore(before) {
            return self.break_off(reason);
        }
        let session = &mut *self.session;
        session.alone = told.len();
        told.into_iter().rev().for_each(|answer| session.answers.push_front(answer));
    }

    /// Makes the session what it was.
    pub(super) fn restore(&mut self, before: &[u8]) -> Result<(), String> {
        let session = &mut *self.session;
        let Some(conversation) = &session.conversation else { return Ok(()) };
        let lease = conversation.lease().clone();
        let opening = session.opening(self.worker, self.now, self.wall);
        let restored = Conversation::resume(lease, &opening, before, session.id)
            .map_err(|reason| format!("it does not resume what it exported itself: {reason}"))?;
        // It has its place before the one that it stands for is closed, which may not come back from that.
        drop(session.conversation.replace(restored));
        Ok(())
    }
}

impl Session {
    /// Whether it may be told several things together. Late answers come in an order of their own, and what a conversation writes
    /// is saved event by event.
    fn may_tell_together(&self) -> bool {
        self.failures == 0 && self.keyed.is_none() && self.late.is_none()
    }
}

impl Answer {
    /// Whether it is one of many: of the store, of another service, of an agreement, or what another asks.
    fn is_joined(&self) -> bool {
        let calls = [kind::REQUEST, kind::ANSWERED, kind::CALL_FAILED, kind::ADMITTED];
        calls.contains(&self.kind) || [kind::ROW, kind::ROWS, kind::CHANGED].contains(&self.kind)
    }
}

/// Whether the next answer may be told before this effect has happened: it takes none of the answers away, opens and
/// closes nothing, and ends no session for being too much.
fn joins(batch: &Batch, effect: &Effect) -> bool {
    match *effect {
        Effect::Send { .. } | Effect::Row { .. } | Effect::After { .. } | Effect::Record { .. } => true,
        Effect::Admit { .. } | Effect::Done { .. } | Effect::Ended { .. } => true,
        Effect::Call { asked: bytes, .. } | Effect::Answer { response: bytes, .. } => {
            batch.bytes(bytes).len() <= BYTES_MAX
        }
        _ => false,
    }
}

/// How much the effects from `mark` on consume, where that is something and the next offer may be told before they have happened.
fn consumed(batch: &Batch, mark: usize) -> Option<usize> {
    let mut consumed = 0_usize;
    for effect in &batch.effects[mark..] {
        match effect {
            Effect::Consume { n } => consumed = consumed.saturating_add(usize::try_from(*n).ok()?),
            // No answers are told between offers.
            Effect::Cancel { .. } => {}
            effect if joins(batch, effect) => {}
            _ => return None,
        }
    }
    (consumed > 0).then_some(consumed)
}

/// How much the effects from `mark` on send.
fn sends(batch: &Batch, mark: usize) -> usize {
    let sent = batch.effects[mark..].iter().map(|effect| match *effect {
        Effect::Send { bytes, .. } => batch.bytes(bytes).len(),
        _ => 0,
    });
    sent.sum()
}
