//! Keys that sign libraries as `minisign` does.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use minisign::KeyPair;

/// A key that signs.
#[derive(Debug)]
pub struct Signer(KeyPair);

impl Signer {
    /// A new one.
    ///
    /// # Panics
    /// Where there is no chance to be had.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        Signer(KeyPair::generate_unencrypted_keypair().expect("there is chance"))
    }

    /// The public key, as `trust` names it.
    pub fn key(&self) -> String {
        self.0.pk.to_base64()
    }

    /// The signature of a library.
    ///
    /// # Panics
    /// Where the library cannot be read.
    pub fn signature(&self, library: &Path) -> String {
        let content = Cursor::new(fs::read(library).expect("the library is there"));
        let signature = minisign::sign(Some(&self.0.pk), &self.0.sk, content, None, None);
        signature.expect("it has a key of its own").into_string()
    }

    /// Signs a library, beside it.
    ///
    /// # Panics
    /// Where it cannot be read, or its signature be written.
    pub fn sign(&self, library: &Path) {
        fs::write(beside(library), self.signature(library)).expect("there is room for a signature");
    }
}

/// Where the signature of a library lies.
pub fn beside(library: &Path) -> PathBuf {
    let mut name = library.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}
