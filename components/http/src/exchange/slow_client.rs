//! A client that takes its answer slowly has a time of its own: what it does not take is not the server's doing.
//!
//! While the host moves a body it says whose stall it is. Chunks that this component passes on wait for the client where
//! too much is unsent, and do not come either where the server sends none; which of the two it is, is asked of the host:
//! whether all that was sent has left.

use tandem_component::prelude::*;

use crate::Http;
use crate::session::{Conversation, Stage, Then};

/// What is known of a client that may be slow. Most are not, so an exchange has it beside itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Slow {
    /// Since when nothing of a body that the host moves was taken.
    since: Option<Time>,
    /// Whether all has left was asked, and when.
    asked: Option<(Token, Time)>,
}

impl Conversation {
    /// The host could not move on because the client takes nothing: it goes on until the client has had its time. False
    /// where it has.
    pub(crate) fn wait_for_client(&mut self, http: &Http, moved: u64, out: &mut Out<'_, Self>) -> bool {
        let idle = u64::try_from(http.timeouts.response_body.as_nanos()).unwrap_or(u64::MAX);
        let stalled = Time::from_nanos(out.now().nanos().saturating_sub(idle));
        let slow = self.exchange.slow.get_or_insert_default();
        let since = slow.since.filter(|_| moved == 0).unwrap_or(stalled);
        slow.since = Some(since);
        let until = since + http.timeouts.send;
        let (Some(mut way), true) = (self.way_down(http), out.now() < until) else { return false };
        way.idle = way.idle.min(until.since(out.now()));
        let Stage::PassAnswer { download } = &mut self.stage else { return false };
        download.go_on(moved, way, out);
        true
    }

    /// No chunks have come for too long. Asked once whose doing it is, a client that still has not taken all is given up.
    pub(crate) fn chunks_stall(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let slow = self.exchange.slow.get_or_insert_default();
        if slow.asked.is_some() {
            self.client_gone(out);
            return out.abort(Stream::OWN);
        }
        slow.asked = Some((out.writable(Stream::OWN, Then::Taken), out.now()));
        self.alarm.set(out.now() + http.timeouts.send);
    }

    /// All that was sent has left.
    pub(crate) fn taken(&mut self, http: &Http, out: &mut Out<'_, Self>) {
        let Some((_, asked)) = self.exchange.slow.as_mut().and_then(|slow| slow.asked.take()) else { return };
        if !matches!(self.stage, Stage::PassAnswer { .. }) {
            return;
        }
        if asked == out.now() {
            // There was nothing to wait for: the server sends none.
            return self.answer_cut_off(out);
        }
        self.alarm.set(out.now() + http.timeouts.response_body);
    }

    /// Chunks come again.
    pub(crate) fn chunks_go_on(&mut self, out: &mut Out<'_, Self>) {
        if let Some((token, _)) = self.exchange.slow.as_mut().and_then(|slow| slow.asked.take()) {
            out.cancel(token);
        }
    }
}
