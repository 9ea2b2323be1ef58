//! Our requests that the peer has not answered yet: [`Window`].

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use crate::frame::HEADER;
use crate::pdu::{DELIVER_SM, ENQUIRE_LINK, GENERIC_NACK, RESPONSE, SUBMIT_SM, UNBIND};
use crate::record::Behalf;

/// Requests by their sequence number, and the numbers to come (section 5.1.4).
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Carried")]
pub(crate) struct Window {
    last: u32,
    open: BTreeMap<u32, Asked>,
    /// How many of them there are of these kinds, counted so that no event has to.
    #[serde(skip)]
    submits: usize,
    #[serde(skip)]
    enquires: usize,
}

/// A window as it is carried.
#[derive(Deserialize)]
struct Carried {
    last: u32,
    open: BTreeMap<u32, Asked>,
}

impl From<Carried> for Window {
    fn from(Carried { last, open }: Carried) -> Self {
        let mut window = Window { last, open: BTreeMap::new(), submits: 0, enquires: 0 };
        open.into_iter().for_each(|(sequence, asked)| window.insert(sequence, asked));
        window
    }
}

/// One request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) what: Request,
    pub(crate) at: Time,
    /// How long it is.
    #[serde(default)]
    pub(crate) bytes: u64,
}

/// What we ask of a peer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    EnquireLink,
    Unbind,
    /// To be bound to an SMSC.
    Bind {
        /// `command_id`
        command: u32,
    },
    /// What another service has asked us to submit.
    Submit {
        asked: RequestId,
        /// Where records are wanted.
        #[serde(default)]
        behalf: Option<Box<Behalf>>,
    },
    /// The receipt of the message in this row.
    Receipt {
        id: String,
    },
}

impl Request {
    /// On whose behalf it is, where that is known.
    pub(crate) fn behalf(&self) -> Option<&Behalf> {
        match self {
            Request::Submit { behalf, .. } => behalf.as_deref(),
            _ => None,
        }
    }

    /// The `command_id` that asks it.
    pub(crate) fn command(&self) -> u32 {
        match self {
            Request::EnquireLink => ENQUIRE_LINK,
            Request::Unbind => UNBIND,
            Request::Bind { command } => *command,
            Request::Submit { .. } => SUBMIT_SM,
            Request::Receipt { .. } => DELIVER_SM,
        }
    }
}

impl Window {
    /// The sequence number of another request.
    pub(crate) fn ask(&mut self, what: Request, now: Time) -> u32 {
        self.ask_with(what, 0, now)
    }

    /// The same of a request with so many bytes of a body.
    pub(crate) fn ask_with(&mut self, what: Request, body: usize, now: Time) -> u32 {
        let sequence = self.next();
        self.insert(sequence, Asked { what, at: now, bytes: (HEADER + body) as u64 });
        sequence
    }

    fn insert(&mut self, sequence: u32, asked: Asked) {
        self.count(&asked.what, 1);
        self.open.insert(sequence, asked);
    }

    fn count(&mut self, what: &Request, by: isize) {
        let counted = match what {
            Request::Submit { .. } => &mut self.submits,
            Request::EnquireLink => &mut self.enquires,
            _ => return,
        };
        *counted = counted.saturating_add_signed(by);
    }

    /// The sequence number of a request that has no response.
    pub(crate) fn next(&mut self) -> u32 {
        loop {
            self.last = if self.last >= SEQUENCE_MAX { 1 } else { self.last + 1 };
            if !self.open.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// What a response answers: the request with its number, where it is a response to such a request or `generic_nack`.
    pub(crate) fn answered(&mut self, sequence: u32, response: u32) -> Option<Asked> {
        let asked = self.open.get(&sequence)?;
        if response != GENERIC_NACK && response != asked.what.command() | RESPONSE {
            return None;
        }
        let asked = self.open.remove(&sequence)?;
        self.count(&asked.what, -1);
        Some(asked)
    }

    /// When the oldest request was made. The numbers go round: it is the first after the last one that was given.
    pub(crate) fn oldest(&self) -> Option<Time> {
        let (_, asked) = self.open.range(self.last + 1..).next().or_else(|| self.open.first_key_value())?;
        Some(asked.at)
    }

    /// All of them.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Asked> {
        self.open.values()
    }

    pub(crate) fn enquires(&self) -> bool {
        self.enquires > 0
    }

    /// How many messages the SMSC has not answered.
    pub(crate) fn submits(&self) -> usize {
        self.submits
    }

    /// Takes the messages that are not answered and were submitted at such a time.
    pub(crate) fn take_submits(&mut self, then: impl Fn(Time) -> bool) -> Vec<Asked> {
        let wanted = |asked: &Asked| matches!(asked.what, Request::Submit { .. }) && then(asked.at);
        let taken: Vec<Asked> = self.open.extract_if(.., |_, asked| wanted(asked)).map(|(_, asked)| asked).collect();
        self.submits = self.submits.saturating_sub(taken.len());
        taken
    }

    /// The rows whose receipts are under way.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = &str> {
        self.open.values().filter_map(|asked| match &asked.what {
            Request::Receipt { id } => Some(id.as_str()),
            _ => None,
        })
    }
}

const SEQUENCE_MAX: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_known_when_the_numbers_begin_again_and_when_it_was_carried() {
        let at = Time::from_nanos;
        let mut window = Window { last: SEQUENCE_MAX - 1, ..Window::default() };
        let first = window.ask(Request::EnquireLink, at(1));
        window.ask(Request::Unbind, at(2));
        let third = window.ask(Request::Submit { asked: serde_json::from_str("7").unwrap(), behalf: None }, at(3));
        assert_eq!((first, third), (SEQUENCE_MAX, 2));
        let mut window: Window = rmp_serde::from_slice(&rmp_serde::to_vec_named(&window).unwrap()).unwrap();
        assert_eq!((window.oldest(), window.submits(), window.enquires()), (Some(at(1)), 1, true));
        assert!(window.answered(first, ENQUIRE_LINK | RESPONSE).is_some());
        assert_eq!((window.oldest(), window.submits(), window.enquires()), (Some(at(2)), 1, false));
        assert_eq!(window.take_submits(|_| true).len(), 1);
        assert_eq!((window.oldest(), window.submits()), (Some(at(2)), 0));
    }
}
