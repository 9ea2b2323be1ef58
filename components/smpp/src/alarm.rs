//! When the session has waited long enough: [`Alarm`], one timer for all deadlines.
//!
//! Deadlines are data and move at no cost. At most one timer runs; one that fires early is set again for the rest.

use tandem_component::prelude::*;

use crate::session::Bind;
use crate::then::Then;

/// The timer that runs.
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

    /// Makes sure that a timer runs which fires no later than `due`. Once an event, after all that moves deadlines.
    pub(crate) fn arm(&mut self, due: Option<Time>, out: &mut Out<'_, Bind>) {
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
