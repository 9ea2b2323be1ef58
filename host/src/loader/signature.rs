//! Who has signed a library: the keys that are trusted, and what a signature says under them.
//!
//! A signature is minisign's, detached, in a file beside the library under its name and [`SUFFIX`]. The keys are the
//! configuration's; where it names none, nothing is asked. What is verified is the copy on the shelf, whose digest is looked
//! at with the same bytes: so it is that very content which is then examined and loaded. The signature lies on the shelf
//! beside the copy, so that it can be asked again when the copy is loaded later, under the keys of that day.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use minisign_verify::{Error, PublicKey, Signature};
use serde::Deserialize;

use super::shelf::open_without_waiting;

/// What is appended to a library's name: `libtandem_http.so.minisig`.
pub const SUFFIX: &str = "minisig";

/// The keys that are trusted: `trust = ["RWQ…"]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone, PartialEq)]
struct Key {
    key: PublicKey,
    /// As it is written.
    text: String,
}

impl Keys {
    /// Whether every library may be loaded, as there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which of the keys, as it is written, has signed this content.
    ///
    /// # Errors
    /// None has.
    pub fn verify(&self, content: &[u8], signature: &str) -> Result<&str, Untrusted> {
        let signature = Signature::decode(signature).map_err(|_| Untrusted::Malformed)?;
        for Key { key, text } in &self.0 {
            match key.verify(content, &signature, true) {
                Ok(()) => return Ok(text),
                // By its number it is of another key.
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => return Err(Untrusted::Changed),
            }
        }
        Err(Untrusted::OtherKey)
    }
}

impl TryFrom<Vec<String>> for Keys {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        if texts.is_empty() {
            return Err("it names no key; leave `trust` out where libraries need no signature".to_owned());
        }
        let key = |text: String| match PublicKey::from_base64(text.trim()) {
            Ok(key) => Ok(Key { key, text }),
            Err(_) => Err(format!(
                "`{}` is no public key of minisign; write the second line of its minisign.pub, as in \"RWQ…\"",
                text.chars().take(80).collect::<String>()
            )),
        };
        texts.into_iter().map(key).collect::<Result<_, _>>().map(Keys)
    }
}

/// Why a library is not trusted. The text goes on from its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// It has no signature.
    #[error("it is not signed: there is no {signature}; sign it with `minisign -Sm` and copy both", signature = .0.display())]
    Unsigned(PathBuf),
    /// A copy on the shelf has none.
    #[error(
        "its copy on the shelf has no signature; copy it with its signature into the components directory, and reload"
    )]
    Unkept,
    /// The signature cannot be read.
    #[error("its signature {file} cannot be read: {source}", file = .file.display())]
    Unreadable {
        /// The signature.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no signature.
    #[error("its signature is none of minisign's; sign it again with `minisign -Sm` and copy both")]
    Malformed,
    /// It is somebody else's.
    #[error("it is signed with a key that `trust` does not name; sign it with one of those, or name that key there")]
    OtherKey,
    /// It is a trusted key's, of another content.
    #[error(
        "it is not what was signed: it was changed since, or is still being copied; copy it and its signature again"
    )]
    Changed,
}

/// Where the signature of a library is looked for.
pub fn beside(library: &Path) -> PathBuf {
    let mut name = library.as_os_str().to_owned();
    name.push(".");
    name.push(SUFFIX);
    name.into()
}

/// Whether a file is a signature, by its name.
pub fn is_signature(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == SUFFIX)
}

/// Reads a signature; nothing where there is none. More than any has is not read.
///
/// # Errors
/// It is there and cannot be read.
pub fn read(file: &Path) -> Result<Option<String>, Untrusted> {
    let unreadable = |source| Untrusted::Unreadable { file: file.to_owned(), source };
    let opened = match open_without_waiting(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    if !opened.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    let mut text = Vec::new();
    opened.take(LEN_MAX).read_to_end(&mut text).map_err(unreadable)?;
    String::from_utf8(text).map(Some).map_err(|_| Untrusted::Malformed)
}

/// The bound of a signature's file: four lines, of which two are comments.
const LEN_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use minisign::KeyPair;

    use super::*;

    fn keys(pairs: &[&KeyPair]) -> Keys {
        pairs.iter().map(|pair| pair.pk.to_base64()).collect::<Vec<_>>().try_into().unwrap()
    }

    fn sign(pair: &KeyPair, content: &[u8]) -> String {
        minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(content), Some("http 1.2.0"), None).unwrap().into_string()
    }

    #[test]
    fn a_signature_holds_for_its_content_under_its_key() {
        let [ours, theirs] = [(), ()].map(|()| KeyPair::generate_unencrypted_keypair().unwrap());
        let (content, signature) = (b"code".as_slice(), sign(&ours, b"code"));
        let said = |keys: &Keys, content, signature: &str| {
            keys.verify(content, signature).map(str::to_owned).map_err(|error| error.to_string())
        };
        assert_eq!(said(&keys(&[&theirs, &ours]), content, &signature), Ok(ours.pk.to_base64()));
        let wrong = |keys: &Keys, content, signature: &str, says: &str| {
            let error = said(keys, content, signature).unwrap_err();
            assert!(error.contains(says), "{error}");
        };
        wrong(&keys(&[&theirs]), content, &signature, "a key that `trust` does not name");
        wrong(&keys(&[&ours]), b"codE", &signature, "not what was signed");
        wrong(&keys(&[&ours]), content, &signature.replace("http 1.2.0", "http 1.3.0"), "not what was signed");
        for malformed in ["", "RWQ", "untrusted comment: x\nRWQ\n", &signature[..signature.len() / 2]] {
            wrong(&keys(&[&ours]), content, malformed, "none of minisign's");
        }
        // The number of a key is not the key: who copies it has signed nothing.
        let mut forged: Vec<String> = sign(&theirs, b"code").lines().map(str::to_owned).collect();
        forged[1].replace_range(..14, &signature.lines().nth(1).unwrap()[..14]);
        wrong(&keys(&[&ours]), content, &forged.join("\n"), "not what was signed");
    }

    /// Made by minisign 0.11 (`minisign -Sm`, and with `-l`, as those before 0.10 signed).
    #[test]
    fn what_minisign_has_signed_is_signed() {
        let keys: Keys =
            vec![include_str!("signature/minisign.pub").lines().nth(1).unwrap().to_owned()].try_into().unwrap();
        for signature in [include_str!("signature/content.minisig"), include_str!("signature/legacy.minisig")] {
            assert!(keys.verify(b"content\n", signature).is_ok());
            assert!(matches!(keys.verify(b"Content\n", signature), Err(Untrusted::Changed)));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let refused = |texts: &[&str]| Keys::try_from(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(refused(&[]).unwrap_err().contains("names no key"));
        let error = refused(&["hunter2"]).unwrap_err();
        assert!(error.starts_with("`hunter2` is no public key of minisign; write the second line"), "{error}");
    }
}
