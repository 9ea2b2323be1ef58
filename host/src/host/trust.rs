//! What the host relies on that nobody else has made: where it lies, nobody else can write; and where the configuration names
//! keys, one of them has signed it.

use std::path::{Path, PathBuf};

use super::Host;
use super::tables::FILE;
use crate::config::{Config, Source};
use crate::loader::shelf::{Digest, Shelved};
use crate::loader::signature::{self, Untrusted};
use crate::system;

/// The shelf, in the data directory.
pub(crate) const SHELF: &str = "shelf";

/// Whether nobody else can write where the host keeps what it runs and what it knows: the data directory, the shelf with its
/// copies, the store. Where keys are named, also the file that names them.
///
/// # Errors
/// Somebody can, with the key that names the place.
pub(crate) fn check_own(config: &Config, source: &Source) -> Result<(), String> {
    let shelf = config.data.join(SHELF);
    let copies = match std::fs::read_dir(&shelf) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>(),
        // It is made yet.
        Err(_) => Vec::new(),
    };
    let store = config.data.join(FILE);
    let beside = ["-wal", "-shm"].map(|suffix| {
        let mut name = store.clone().into_os_string();
        name.push(suffix);
        name.into()
    });
    let only_ours = |paths: &[PathBuf]| {
        system::only_ours(paths.iter().map(PathBuf::as_path)).map_err(|reason| format!("data: {reason}"))
    };
    // What lies in them says no more than they do.
    only_ours(&[config.data.clone(), shelf])?;
    only_ours(&[store].into_iter().chain(beside).chain(copies).collect::<Vec<_>>())?;
    match source {
        Source::File(file) if !config.trust.is_empty() => {
            system::only_ours([file.as_path()]).map_err(|reason| format!("trust: by {}, {reason}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Whether nobody else can put libraries into the components directory.
///
/// # Errors
/// Somebody can.
pub(crate) fn check_components(config: &Config) -> Result<(), String> {
    system::only_ours([config.components.as_path()]).map_err(|reason| format!("components: {reason}"))
}

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
