//! Our requests that the peer has not answered yet: [`Window`].

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use crate::pdu::{DELIVER_SM, ENQUIRE_LINK, GENERIC_NACK, RESPONSE, SUBMIT_SM, UNBIND};

/// Requests by their sequence number, and the numbers to come (section 5.1.4).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    last: u32,
    open: BTreeMap<u32, Asked>,
}

/// One request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) what: Request,
    at: Time,
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
    },
    /// The receipt of the message in this row.
    Receipt {
        id: String,
    },
}

impl Request {
    /// The `command_id` that asks it.
    fn command(&self) -> u32 {
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
        let sequence = self.next();
        self.open.insert(sequence, Asked { what, at: now });
        sequence
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
    pub(crate) fn answered(&mut self, sequence: u32, response: u32) -> Option<Request> {
        let asked = self.open.get(&sequence)?;
        if response != GENERIC_NACK && response != asked.what.command() | RESPONSE {
            return None;
        }
        self.open.remove(&sequence).map(|asked| asked.what)
    }

    /// When the oldest request was made.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.open.values().map(|asked| asked.at).min()
    }

    pub(crate) fn enquires(&self) -> bool {
        self.open.values().any(|asked| matches!(asked.what, Request::EnquireLink))
    }

    /// How many messages the SMSC has not answered.
    pub(crate) fn submits(&self) -> usize {
        self.open.values().filter(|asked| matches!(asked.what, Request::Submit { .. })).count()
    }

    /// Takes the messages that are not answered and were submitted at such a time.
    pub(crate) fn take_submits(&mut self, then: impl Fn(Time) -> bool) -> Vec<RequestId> {
        let mut taken = Vec::new();
        self.open.retain(|_, asked| match asked.what {
            Request::Submit { asked: request } if then(asked.at) => {
                taken.push(request);
                false
            }
            _ => true,
        });
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
