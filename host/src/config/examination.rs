//! `[examination]`: what the examination of a library may use.

use serde::Deserialize;

use super::{Size, Span};
use crate::loader::examine::Limits;

/// `[examination]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Examination {
    /// How long it may take, and how long a start may take afterwards in the host.
    pub limit: Span,
    /// How much memory it may take, the library's own among it.
    pub memory: Size,
    /// Whether it may have been changed after it was linked.
    pub altered: bool,
}

impl Default for Examination {
    fn default() -> Self {
        Examination { limit: Span::seconds(5), memory: Size(Limits::MEMORY), altered: false }
    }
}

impl Examination {
    /// What a child may use.
    pub fn limits(&self) -> Limits {
        Limits { time: self.limit.get(), memory: self.memory.0, altered: self.altered }
    }

    /// What a type cannot say: the key and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.memory < MEMORY_MIN {
            return Err(("memory", "at least 64MiB: in less a component can hardly be loaded".into()));
        }
        Ok(())
    }
}

const MEMORY_MIN: Size = Size(64 << 20);
