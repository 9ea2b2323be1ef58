//! One timer for all deadlines of a session: [`Alarm`].

use serde::{Deserialize, Serialize};

use crate::component::Time;
use crate::out::{Out, Token};
use crate::session::Session;

/// The timer of a session that has deadlines. They are data, and move at no cost: at most one timer runs; one that rings before
/// the deadline is set again for the rest, and only a deadline before the running timer replaces it.
///
/// A field of the session. After each event, [`arm`](Alarm::arm) it for the first deadline that there is; when what it was
/// armed with comes as a [`Timeout`](crate::Event::Timeout), say [`fired`](Alarm::fired), do what is due, and arm it again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Alarm {
    running: Option<Running>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Running {
    token: Token,
    at: Time,
}

impl Alarm {
    /// The timer has rung.
    pub fn fired(&mut self) {
        self.running = None;
    }

    /// Makes sure that a timer runs which rings no later than `due`.
    pub fn arm<S: Session>(&mut self, due: Option<Time>, then: S::Then, out: &mut Out<'_, S>) {
        let Some(due) = due else { return };
        if self.running.as_ref().is_some_and(|running| running.at <= due) {
            return;
        }
        if let Some(running) = self.running.take() {
            out.cancel(running.token);
        }
        let token = out.after(due.since(out.now()), then);
        self.running = Some(Running { token, at: due });
    }
}
