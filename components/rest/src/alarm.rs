//! When the session has waited long enough: [`Alarm`].
//!
//! A deadline is data and moves with each event at no cost. At most one timer runs; one that fires before the deadline
//! is set again for the rest, and only a deadline before the running timer replaces it.

use tandem_component::prelude::*;

use crate::session::{Conversation, Then};

/// The timer that will tell of the first deadline.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Alarm {
    running: Option<Running>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Running {
    token: Token,
    at: Time,
}

impl Alarm {
    /// The timer has fired.
    pub(crate) fn fired(&mut self) {
        self.running = None;
    }

    /// Makes sure that a timer runs which fires no later than the deadline. Once an event, after all that moves it.
    pub(crate) fn arm(&mut self, due: Option<Time>, out: &mut Out<'_, Conversation>) {
        let Some(due) = due else { return };
        if self.running.as_ref().is_some_and(|running| running.at <= due) {
            return;
        }
        if let Some(running) = self.running.take() {
            out.cancel(running.token);
        }
        let token = out.after(due.since(out.now()), Then::Alarm);
        self.running = Some(Running { token, at: due });
    }
}
