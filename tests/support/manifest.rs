//! Copies of a component's library that say something else of themselves, and so have other content.
//!
//! The manifest is JSON in a section of the library, padded with spaces; it is rewritten in place, so that nothing in
//! the library moves.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use object::{Object, ObjectSection};

/// A copy of a component's library that says another version of itself.
///
/// # Errors
/// The library cannot be read or has no manifest, there is no room in it, or the copy cannot be written.
pub fn stamp(input: &Path, output: &Path, version: &str) -> Result<(), StampError> {
    rewrite(input, output, |manifest| manifest["version"] = version.into())
}

/// A copy of a component's library that says it is another component.
///
/// # Errors
/// As for [`stamp`].
pub fn relabel(input: &Path, output: &Path, name: &str, version: &str) -> Result<(), StampError> {
    rewrite(input, output, |manifest| {
        manifest["name"] = name.into();
        manifest["version"] = version.into();
    })
}

/// A copy of a component's library with another manifest.
///
/// # Errors
/// As for [`stamp`].
pub fn rewrite(input: &Path, output: &Path, change: impl FnOnce(&mut serde_json::Value)) -> Result<(), StampError> {
    let mut library = fs::read(input)?;
    let mut section = section(&library)?;
    // AddressSanitizer puts zeros behind whatever it guards, in the manifest's section as well.
    section.end =
        library[section.clone()].iter().position(|byte| *byte == 0).map_or(section.end, |n| section.start + n);
    let mut manifest = serde_json::from_slice(&library[section.clone()])?;
    change(&mut manifest);
    let mut text = serde_json::to_vec(&manifest)?;
    if text.len() > section.len() {
        return Err(StampError::NoRoom { needed: text.len(), there: section.len() });
    }
    text.resize(section.len(), b' ');
    library[section].copy_from_slice(&text);
    link(&mut library)?;
    Ok(fs::write(output, library)?)
}

/// Makes a library say that it is what its linker has written, as LLD does: the build id is of a BLAKE3 hash of each megabyte, with
/// zeros in its own place. One without such an id stays as it is.
///
/// # Errors
/// It is no library.
pub fn link(library: &mut [u8]) -> Result<(), StampError> {
    let begin = library.as_ptr().addr();
    let place = object::File::parse(&*library)?.build_id()?.map(|id| (id.as_ptr().addr() - begin, id.len()));
    let Some((at, length)) = place.filter(|(_, length)| matches!(length, 16 | 20)) else { return Ok(()) };
    library[at..at + length].fill(0);
    let hashes: Vec<u8> =
        library.chunks(1 << 20).flat_map(|piece| blake3::hash(piece).as_bytes()[..length].to_vec()).collect();
    library[at..at + length].copy_from_slice(&blake3::hash(&hashes).as_bytes()[..length]);
    Ok(())
}

/// Why there is no copy.
#[derive(Debug)]
pub enum StampError {
    /// A file cannot be read or written.
    File(io::Error),
    /// The file is no library.
    NoLibrary(object::Error),
    /// The library is no component.
    NoManifest,
    /// The manifest is no JSON.
    NoJson(serde_json::Error),
    /// The manifest would become longer than its section.
    NoRoom {
        /// What it needs, in bytes.
        needed: usize,
        /// What the section has, in bytes.
        there: usize,
    },
}

impl fmt::Display for StampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StampError::File(error) => error.fmt(f),
            StampError::NoLibrary(error) => write!(f, "is no library: {error}"),
            StampError::NoManifest => f.write_str("has no manifest; is it a component"),
            StampError::NoJson(error) => write!(f, "the manifest is no JSON: {error}"),
            StampError::NoRoom { needed, there } => write!(f, "the manifest would need {needed} bytes and has {there}"),
        }
    }
}

impl std::error::Error for StampError {}

impl From<io::Error> for StampError {
    fn from(error: io::Error) -> Self {
        StampError::File(error)
    }
}

impl From<object::Error> for StampError {
    fn from(error: object::Error) -> Self {
        StampError::NoLibrary(error)
    }
}

impl From<serde_json::Error> for StampError {
    fn from(error: serde_json::Error) -> Self {
        StampError::NoJson(error)
    }
}

/// Where the manifest lies in the file.
fn section(library: &[u8]) -> Result<Range<usize>, StampError> {
    let file = object::File::parse(library)?;
    let section = file.section_by_name(".tandem").ok_or(StampError::NoManifest)?;
    let (begin, length) = section.file_range().ok_or(StampError::NoManifest)?;
    let begin = usize::try_from(begin).map_err(|_| StampError::NoManifest)?;
    let end = usize::try_from(length).ok().and_then(|length| begin.checked_add(length));
    end.filter(|end| *end <= library.len()).map(|end| begin..end).ok_or(StampError::NoManifest)
}
