//! Our requests that the peer has not answered yet: [`Window`].

use std::collections::BTreeMap;

use tandem_component::prelude::*;

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
    /// The receipt of the message in this row.
    Receipt {
        id: String,
    },
}

impl Window {
    /// The sequence number of another request.
    pub(crate) fn ask(&mut self, what: Request, now: Time) -> u32 {
        loop {
            self.last = if self.last >= SEQUENCE_MAX { 1 } else { self.last + 1 };
            if !self.open.contains_key(&self.last) {
                break;
            }
        }
        self.open.insert(self.last, Asked { what, at: now });
        self.last
    }

    /// What a response answers.
    pub(crate) fn answered(&mut self, sequence: u32) -> Option<Request> {
        self.open.remove(&sequence).map(|asked| asked.what)
    }

    /// When the oldest request was made.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.open.values().map(|asked| asked.at).min()
    }

    pub(crate) fn enquires(&self) -> bool {
        self.open.values().any(|asked| matches!(asked.what, Request::EnquireLink))
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
