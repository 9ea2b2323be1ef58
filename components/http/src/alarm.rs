//! When the session has waited long enough: [`Alarm`].
//!
//! A deadline is data and moves with each request at no cost. At most one timer runs; one that fires before the deadline
//! is set again for the rest, and only a deadline before the running timer replaces it.

use tandem_component::prelude::*;

use crate::session::{Conversation, Then};

/// One deadline, and the timer that will tell.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Alarm {
    due: Option<Time>,
    running: Option<Running>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Running {
    token: Token,
    at: Time,
}

impl Alarm {
    /// Moves the deadline.
    #[inline]
    pub(crate) fn set(&mut self, due: Time) {
        self.due = Some(due);
    }

    /// There is nothing to wait for.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.due = None;
    }

    /// The timer has fired: whether the deadline is there.
    pub(crate) fn fired(&mut self, now: Time) -> bool {
        self.running = None;
        self.due.is_some_and(|due| due <= now)
    }

    /// Makes sure that a timer runs which fires no later than the deadline. Once an event, after all that moves it.
    #[inline]
    pub(crate) fn arm(&mut self, out: &mut Out<'_, Conversation>) {
        let Some(due) = self.due else { return };
        if self.running.as_ref().is_none_or(|running| running.at > due) {
            self.start(due, out);
        }
    }

    #[cold]
    fn start(&mut self, due: Time, out: &mut Out<'_, Conversation>) {
        if let Some(running) = self.running.take() {
            out.cancel(running.token);
        }
        let token = out.after(due.since(out.now()), Then::Alarm);
        self.running = Some(Running { token, at: due });
    }
}
