//! The mode in which every answer comes late, as from a store across a network. For tests: `tandem run --late SEED`.
//!
//! What was answered is kept back for a span that is drawn, and told in an order that is drawn (`tandem_component::late` has its
//! rules); meanwhile the session's other events come. So is what the store has committed, and what it says of a conversation:
//! while these are waited for the session gets no event in any case, only for longer. The seed decides on spans and order; when a
//! peer speaks is the peer's.

use tandem_component::abi::kind;
use tandem_component::late::{self, Late};

use super::driver::Driver;
use super::{Answer, Session};
use crate::clock::Nanos;

/// What a session is late by.
#[derive(Debug)]
pub(super) struct Lateness {
    late: Late,
    /// Until then what is there next is kept back, once that was drawn.
    until: Option<Nanos>,
}

const MILLISECOND: Nanos = 1_000_000;

impl Lateness {
    /// Of one session. Each has chances of its own.
    pub(super) fn new(seed: u64, session: u64) -> Self {
        Lateness { late: Late::new(seed.wrapping_add(session.rotate_left(32))), until: None }
    }

    /// How long the next thing is kept back: often not at all, so that several come at once; mostly for about as long as a store
    /// across a network takes; and sometimes for so long that peers say something meanwhile.
    fn span(&mut self) -> Nanos {
        let (draw, much) = (self.late.draw(), self.late.draw());
        match draw % 16 {
            0..8 => 0,
            8..15 => much % (4 * MILLISECOND),
            _ => much % (25 * MILLISECOND),
        }
    }
}

impl Driver<'_, '_> {
    /// Whether what is there is told now. What is kept back wakes the session when its time has come.
    pub(super) fn is_late_enough(&mut self) -> bool {
        let Some(lateness) = &mut self.session.late else { return true };
        let until = match lateness.until {
            Some(until) => until,
            None => self.now.saturating_add(lateness.span()),
        };
        let enough = until <= self.now;
        lateness.until = (!enough).then_some(until);
        self.session.due_changed |= !enough;
        enough
    }

    /// Takes the answer that is told now, if one is.
    #[cold]
    pub(super) fn take_late_answer(&mut self) -> Option<Answer> {
        if self.session.answers.is_empty() {
            return None;
        }
        let answers =
            |session: &Session| session.answers.iter().map(|answer| (answer.kind, answer.token)).collect::<Vec<_>>();
        // Where a conversation is found that was late already; what follows belongs to it.
        let routed = self.session.answers.iter().position(|answer| answer.kind == kind::ROUTED);
        let at = match late::urgent(answers(self.session).into_iter()).or(routed) {
            Some(at) => at,
            // What could not be stored is told again at once: nothing comes between it and `StoreFailed`.
            None if self.session.failures > 0 => 0,
            None if !self.is_late_enough() => return None,
            None => {
                let answers = answers(self.session);
                self.session.late.as_mut()?.late.choose(answers.into_iter())?
            }
        };
        self.session.answers.remove(at)
    }
}

impl Session {
    /// When what is there and was kept back is told.
    pub(super) fn late_due(&self) -> Option<Nanos> {
        let until = self.late.as_ref()?.until?;
        let there = match (&self.held, &self.routing) {
            (Some(held), _) => held.is_settled(),
            (None, Some(routing)) => routing.is_found(),
            (None, None) => !self.answers.is_empty(),
        };
        there.then_some(until)
    }

    /// Whether what comes in on a stream waits for something that comes late.
    #[inline]
    pub(super) fn is_early(&self, stream: u64) -> bool {
        let precedes = |answer: &Answer| late::precedes(answer.kind, answer.stream, stream);
        self.late.is_some() && self.answers.iter().any(precedes)
    }
}
