//! Which libraries the host takes: those that are signed by a key of the configuration, where it names some.

use std::path::Path;

use super::Host;
use crate::config::Config;
use crate::loader::shelf::{Digest, Shelved};
use crate::loader::signature::{self, Untrusted};

impl Host {
    /// Whether a library that was copied from this file may be looked at. Its signature goes to the shelf with it, also where
    /// none is asked for: keys may be named later.
    pub(super) fn admit(&self, config: &Config, shelved: &Shelved, file: &Path) -> Result<(), String> {
        let beside = signature::beside(file);
        let found = match signature::read(&beside) {
            // Nobody asks for it.
            Err(_) if config.trust.is_empty() => None,
            found => found.map_err(|error| error.to_string())?,
        };
        if !config.trust.is_empty() {
            let text = found.as_deref().ok_or_else(|| Untrusted::Unsigned(beside).to_string())?;
            self.verify(config, &shelved.digest, text)?;
        }
        match found {
            Some(text) => self.shelf.keep_signature(&shelved.digest, &text).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Whether a copy on the shelf may still be loaded: the keys may be others than when it came.
    pub(super) fn admit_again(&self, config: &Config, digest: &Digest) -> Result<(), String> {
        if config.trust.is_empty() {
            return Ok(());
        }
        let found = signature::read(&self.shelf.signature_of(digest)).map_err(|error| error.to_string())?;
        self.verify(config, digest, &found.ok_or_else(|| Untrusted::Unkept.to_string())?)
    }

    /// What is verified is the copy, which is what will be examined and loaded.
    fn verify(&self, config: &Config, digest: &Digest, signature: &str) -> Result<(), String> {
        let content = self.shelf.content(digest).map_err(|error| error.to_string())?;
        config.trust.verify(&content, signature).map(drop).map_err(|error| error.to_string())
    }
}
