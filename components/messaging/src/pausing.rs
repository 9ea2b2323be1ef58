//! A network that says that it is given too much is given nothing for a while, and then little by little.
//!
//! Each worker finds that out by itself, of what it has sent.

use tandem_component::prelude::*;
use tandem_sms::status;

use crate::Messaging;
use crate::desk::Desk;

/// It is given nothing until then, and afterwards no more at a time than it has taken since, and one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pause {
    until: Time,
    /// How often it has said so without taking anything in between.
    tries: u32,
    /// How many parts it has taken since it went on.
    taken: u32,
}

impl Desk {
    /// A network has too much to do. What was on its way when it said so first says nothing more.
    pub(crate) fn pause(&mut self, m: &Messaging, network: &str, out: &mut Out<'_, Desk>) {
        let pause = self.pauses.entry(network.to_owned()).or_default();
        if pause.until > out.now() {
            return;
        }
        // One that has taken some since takes some each time: it is not left alone for longer and longer.
        let tries = if pause.taken > 0 { 0 } else { pause.tries };
        let wait = m.config.retry.wait(tries, out.random());
        *pause = Pause { until: out.now() + wait, tries: tries.saturating_add(1), taken: 0 };
        tracing::warn!(
            network,
            milliseconds = wait.as_millis(),
            "it is given too much: it is given nothing for a while"
        );
    }

    /// A network has taken a part.
    pub(crate) fn go_on(&mut self, m: &Messaging, network: &str, now: Time) {
        let Some(pause) = self.pauses.get_mut(network).filter(|pause| pause.until <= now) else { return };
        pause.taken += 1;
        if pause.taken >= m.config.network(network).window {
            self.pauses.remove(network);
        }
    }

    /// When a network is given something again that has too much to do now.
    pub(crate) fn goes_on_at(&self, network: &str, now: Time) -> Option<Time> {
        self.pauses.get(network).map(|pause| pause.until).filter(|until| *until > now)
    }

    /// Whether a network that has so many parts may not be given so many more.
    pub(crate) fn is_paused(&self, network: &str, with: u32, parts: u32, now: Time) -> bool {
        let pause = self.pauses.get(network);
        pause.is_some_and(|pause| pause.until > now || with > 0 && with + parts > 1 + pause.taken)
    }
}

/// Whether it is the network itself that says by this that it has too much to do, and not whoever sends to it.
pub(crate) fn has_too_much(status: u32, limit: &str) -> bool {
    matches!(status, status::THROTTLED | status::FULL) && limit.is_empty()
}
