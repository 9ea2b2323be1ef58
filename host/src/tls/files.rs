//! Certificates and keys, read from their files. An error names the file, what is wrong, and the way out.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::system;

/// The certificates in a PEM file, in their order.
///
/// # Errors
/// The file cannot be read, or there is none in it.
pub(super) fn certificates(path: &Path, seen: &mut blake3::Hasher) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{file} cannot be read: {error}"))?;
    seen.update(&text);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| format!("{file} is no PEM of certificates: {error}"))?;
    if chain.is_empty() {
        return Err(format!(
            "{file} has no certificate; it takes PEM, that is blocks of -----BEGIN CERTIFICATE-----, the own one first and those \
             that vouch for it after it"
        ));
    }
    Ok(chain)
}

/// The private key in a PEM file that nobody else may read.
///
/// # Errors
/// The file cannot be read, others may read it, or there is no key in it.
pub(super) fn key(path: &Path, seen: &mut blake3::Hasher) -> Result<PrivateKeyDer<'static>, String> {
    let file = path.display();
    let unreadable = |error| format!("{file} cannot be read: {error}");
    let mut opened = File::open(path).map_err(unreadable)?;
    let mode = system::mode(&opened).map_err(unreadable)?;
    if mode & 0o007 != 0 {
        let kept = mode & 0o770;
        return Err(format!(
            "{file} is a private key, and everybody may use it (mode {mode:o}): chmod {kept:o} {file}"
        ));
    }
    let mut text = Zeroizing::new(Vec::new());
    opened.read_to_end(&mut text).map_err(unreadable)?;
    seen.update(&text);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        format!(
            "{file} has no private key: {error}; it takes PEM without a password, as `openssl pkey -in KEY` writes it"
        )
    })
}

/// Those whose word is taken for who somebody is.
///
/// # Errors
/// As for `certificates`, and where one of them cannot vouch for others.
pub(super) fn authorities(path: &Path, seen: &mut blake3::Hasher) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, seen)? {
        roots.add(certificate).map_err(|error| {
            format!(
                "{}: one of its certificates vouches for nobody: {error}; it takes those of authorities",
                path.display()
            )
        })?;
    }
    Ok(roots)
}
