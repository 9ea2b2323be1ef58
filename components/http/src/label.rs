//! What a request is labelled with, so that a canary may take it: the value of a field that the configuration names.

use serde::Deserialize;
use tandem_component::prelude::*;
use tandem_http1::RequestHead;

use crate::config::check_name;
use crate::session::Conversation;
use crate::sticky::Routed;

/// What labels a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Label {
    /// A field of it. One without it has the label that is empty.
    Header(String),
}

impl Label {
    /// The same, where its name can be one.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn checked(self) -> Result<Self, Refusal> {
        let Label::Header(name) = &self;
        check_name("label", name)?;
        Ok(self)
    }

    /// Whether a request is to be answered by this version. Where that is not known it is asked, and the request is read again.
    pub(crate) fn is_ours(
        &self,
        routed: &mut Routed,
        head: &RequestHead<'_, '_>,
        out: &mut Out<'_, Conversation>,
    ) -> bool {
        if std::mem::take(routed) != Routed::No {
            return true;
        }
        let Label::Header(name) = self;
        let value = head.fields.find(name).unwrap_or_default();
        out.label(&String::from_utf8_lossy(value));
        false
    }
}
