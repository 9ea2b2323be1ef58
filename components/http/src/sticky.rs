//! Conversations that stay with the version they began on: what names one, in a request and in an answer.
//!
//! A name is a cookie or a field that the configuration names. The host knows it by its SHA-256 alone: what names a
//! conversation is often a credential, and is not kept where others may read it.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tandem_component::prelude::*;
use tandem_http1::{RequestHead, ResponseHead};

use crate::Http;
use crate::config::check_name;
use crate::refusal::Refused;
use crate::session::Conversation;

/// What names a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Sticky {
    /// A cookie (RFC 6265): the conversation begins with the answer that sets it.
    Cookie(String),
    /// A field of the request: the conversation begins with the first request that has it.
    Header(String),
}

/// How far it is known whose the request at hand is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Routed {
    /// It was not asked.
    #[default]
    No,
    /// This version has the conversation.
    Yes,
    /// It cannot be said now.
    Failed,
}

type Key = [u8; 32];

impl Sticky {
    /// The same, where its name can be one.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn checked(self) -> Result<Self, Refusal> {
        let (Sticky::Cookie(name) | Sticky::Header(name)) = &self;
        check_name("sticky", name)?;
        Ok(self)
    }

    /// The key of the conversation that a request belongs to.
    fn of_request(&self, head: &RequestHead<'_, '_>) -> Option<Key> {
        match self {
            Sticky::Cookie(name) => head
                .fields
                .all("cookie")
                .flat_map(|cookies| cookies.split(|byte| *byte == b';'))
                .find_map(|pair| value_of(name, pair)),
            Sticky::Header(name) => head.fields.find(name).and_then(key),
        }
    }

    /// The key of the conversation that an answer begins.
    fn of_answer(&self, head: &ResponseHead<'_, '_>) -> Option<Key> {
        let Sticky::Cookie(name) = self else { return None };
        let pairs = head.fields.all("set-cookie").filter_map(|cookie| cookie.split(|byte| *byte == b';').next());
        pairs.filter_map(|pair| value_of(name, pair)).last()
    }
}

impl Conversation {
    /// Whether a request is to be answered by this version. Where it belongs to a conversation of which that is not known, it
    /// is asked for, and the request is read again.
    #[inline]
    pub(crate) fn is_ours(&mut self, http: &Http, head: &RequestHead<'_, '_>, out: &mut Out<'_, Self>) -> bool {
        let Some(sticky) = &http.sticky else {
            return http.label.as_ref().is_none_or(|label| label.is_ours(&mut self.routed, head, out));
        };
        match std::mem::take(&mut self.routed) {
            Routed::Yes => true,
            Routed::Failed => {
                self.refuse_unread(http, Refused::NoServer, out);
                false
            }
            Routed::No => match sticky.of_request(head) {
                Some(key) => {
                    match sticky {
                        // It has begun with the answer that set it; what else a client says is no name.
                        Sticky::Cookie(_) => out.find(&key),
                        Sticky::Header(_) => out.route(&key),
                    }
                    false
                }
                None => true,
            },
        }
    }

    /// Binds the conversation that an answer begins, if it begins one.
    #[inline]
    pub(crate) fn begin_conversation(&self, http: &Http, head: &ResponseHead<'_, '_>, out: &mut Out<'_, Self>) {
        if let Some(key) = http.sticky.as_ref().and_then(|sticky| sticky.of_answer(head)) {
            out.bind(&key);
        }
    }
}

/// The key of a cookie's value, where the cookie has this name.
fn value_of(name: &str, pair: &[u8]) -> Option<Key> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (found, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
    if found == name.as_bytes() { key(value) } else { None }
}

/// An empty value names nothing: it is how a cookie is taken back.
fn key(value: &[u8]) -> Option<Key> {
    (!value.is_empty()).then(|| Sha256::digest(value).into())
}
