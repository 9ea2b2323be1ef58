//! What a library says of itself, read from its file without running any of it.
//!
//! The manifest is JSON in a section named [`SECTION`], which the macro that exports a component writes, padded with
//! spaces at its end. Later revisions of the API add keys to it, so unknown keys are passed over; what this host relies
//! on is checked here, once, so that a [`Manifest`] is right wherever it turns up. No content makes the reader panic.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use object::{ReadCache, ReadRef};
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_component::Policy;

use super::elf::NotLoadable;
use crate::store::ledger::Books;
use crate::store::table::{Misdeclared, Table};

/// What a component's library says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The component's name: `http`.
    pub name: String,
    /// Its version: `1.2.0`.
    pub version: Version,
    /// The revision of the API that it was built against.
    pub api: u32,
    /// What becomes of its sessions when a newer version is active.
    pub policy: Policy,
    /// The variants of its sessions' `Then`: what a session of it may wait for.
    #[serde(default)]
    pub then: Vec<String>,
    /// The tables that it reads and writes.
    #[serde(default)]
    pub tables: Vec<TableManifest>,
    /// Whether each worker keeps a session of it without a peer.
    #[serde(default)]
    pub resident: bool,
    /// How its tables tell what became of all that it has accepted, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerManifest>,
}

/// How the tables of a version tell what became of all that it has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LedgerManifest {
    /// The table of the totals.
    pub totals: String,
    /// The table of what was accepted.
    pub rows: String,
    /// Its column with the version that has accepted it.
    pub version: String,
    /// Its column with how many parts it has beyond its first.
    pub more: String,
    /// Its column that says whether somebody else may have it.
    pub uncertain: String,
    /// Its column with what there is to be done about it.
    pub phase: String,
    /// What stands there while it is pending.
    pub pending: Vec<String>,
}

/// One table, as a version knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableManifest {
    /// Its name.
    pub name: String,
    /// The columns that tell its rows apart.
    pub key: Vec<String>,
    /// Its columns, the key's among them.
    pub columns: Vec<ColumnManifest>,
}

/// One column, as a version knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ColumnManifest {
    /// Its name.
    pub name: String,
    /// What kind of values it holds.
    pub kind: String,
    /// What it holds in rows that were written by a version that does not know it. `null` is a default too.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether rows are looked up by it.
    #[serde(default)]
    pub index: bool,
    /// Whether no two rows share its value.
    #[serde(default)]
    pub unique: bool,
}

impl Manifest {
    /// Reads the manifest of a library that lies on the shelf, where nobody writes to it.
    pub fn read(library: &Path, revisions: RangeInclusive<u32>) -> Result<Self, ManifestError> {
        let file =
            File::open(library).map_err(|source| ManifestError::Unopened { library: library.to_owned(), source })?;
        // Read by parts, a few dozen kilobytes of some megabytes.
        Self::find(&ReadCache::new(file), revisions)
    }

    /// Reads the manifest from the content of a library. `revisions` are the API revisions that this host speaks.
    pub fn parse(data: &[u8], revisions: RangeInclusive<u32>) -> Result<Self, ManifestError> {
        Self::find(data, revisions)
    }

    fn find<'data>(data: impl ReadRef<'data>, revisions: RangeInclusive<u32>) -> Result<Self, ManifestError> {
        let section = section(data)?.ok_or(ManifestError::Missing)?;
        Self::from_json(section, revisions)
    }

    /// Its tables, checked.
    ///
    /// # Errors
    /// One of them cannot be one.
    pub fn tables(&self) -> Result<Vec<Table>, Misdeclared> {
        self.tables.iter().map(|table| Table::of(&self.name, table)).collect()
    }

    /// Its ledger, checked, where it has one.
    ///
    /// # Errors
    /// A table or a column of it is not there, or is not of that kind.
    pub fn books(&self) -> Result<Option<Books>, Misdeclared> {
        self.ledger.as_ref().map(|ledger| Books::of(ledger, &self.tables()?)).transpose()
    }

    /// Reads the manifest from the bytes of its section, or as the loaded library gives it.
    pub fn from_json(section: &[u8], revisions: RangeInclusive<u32>) -> Result<Self, ManifestError> {
        if section.len() > LEN_MAX {
            return Err(ManifestError::TooLong { len: section.len() });
        }
        let json = section.trim_ascii_end();
        let json = json.split(|byte| *byte == 0).next().unwrap_or_default();
        // First what tells whether the rest can be understood at all, so that a later form gets the right text.
        let head: Head = serde_json::from_slice(json)?;
        if head.tandem != FORM {
            return Err(ManifestError::OtherForm { found: head.tandem });
        }
        match head.api {
            api if api > *revisions.end() => return Err(ManifestError::TooNew { api, newest: *revisions.end() }),
            api if api < *revisions.start() => return Err(ManifestError::TooOld { api, oldest: *revisions.start() }),
            _ => {}
        }
        let manifest: Self = serde_json::from_slice(json)?;
        if !is_component_name(&manifest.name) {
            return Err(ManifestError::BadName { name: manifest.name.chars().take(80).collect() });
        }
        Ok(manifest)
    }
}

/// Why a library has no manifest that this host could use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("{library} cannot be read: {source}", library = library.display())]
    Unopened {
        /// The file.
        library: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a library that this host could load and unload.
    #[error(transparent)]
    NotLoadable(#[from] NotLoadable),
    /// It is a library, but not a component.
    #[error("it has no Tandem manifest; is it built with export_component!?")]
    Missing,
    /// The section is longer than any manifest.
    #[error("its Tandem manifest has {len} bytes, more than the {LEN_MAX} that are read")]
    TooLong {
        /// The section's length in bytes.
        len: usize,
    },
    /// The section is not the JSON of a manifest.
    #[error("its Tandem manifest is not readable: {0}; build it again with this host's tandem-component")]
    Unreadable(#[from] serde_json::Error),
    /// The manifest has a form of which this host knows nothing.
    #[error("its Tandem manifest has form {found}, and this host reads form {FORM}; upgrade the host first")]
    OtherForm {
        /// The form that it has.
        found: u32,
    },
    /// It was built against an API that is newer than this host.
    #[error("it is built against API revision {api}, and this host speaks up to {newest}; upgrade the host first")]
    TooNew {
        /// The component's revision.
        api: u32,
        /// The newest revision that this host speaks.
        newest: u32,
    },
    /// It was built against an API that this host no longer speaks.
    #[error("it is built against API revision {api}, and this host speaks {oldest} and later; build it again")]
    TooOld {
        /// The component's revision.
        api: u32,
        /// The oldest revision that this host speaks.
        oldest: u32,
    },
    /// The name could not be written in a configuration or a file name.
    #[error("its name `{name}` is not a component's name: it takes a-z, then a-z, 0-9 and `-`, {NAME_LEN_MAX} at most")]
    BadName {
        /// The name, or as much of it as is fit to print.
        name: String,
    },
}

/// What every form of the manifest has.
#[derive(Deserialize)]
struct Head {
    tandem: u32,
    api: u32,
}

#[cfg(target_os = "linux")]
fn section<'data>(data: impl ReadRef<'data>) -> Result<Option<&'data [u8]>, NotLoadable> {
    super::elf::section(data, SECTION)
}

/// Elsewhere the format is the system's own, of which only the section is looked for.
#[cfg(not(target_os = "linux"))]
fn section<'data>(data: impl ReadRef<'data>) -> Result<Option<&'data [u8]>, NotLoadable> {
    use object::{Object as _, ObjectSection as _};
    let damaged = |error: object::Error| NotLoadable::Damaged { what: error.to_string() };
    let file = object::File::parse(data).map_err(damaged)?;
    file.section_by_name(SECTION).map(|section| section.data()).transpose().map_err(damaged)
}

/// A key that is there has a value, even if that is `null`.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Whether a component may be called so.
pub fn is_component_name(name: &str) -> bool {
    let rest = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    name.len() <= NAME_LEN_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(rest)
}

/// Where the manifest lies in a library.
pub const SECTION: &str = ".tandem";
/// The form of the manifest: what its key `tandem` says. A later one is for what cannot be said by adding keys.
const FORM: u32 = 1;
const NAME_LEN_MAX: usize = 64;
/// The bound of the section. A manifest has a few hundred bytes, and some thousand with many tables.
const LEN_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Manifest, String> {
        Manifest::from_json(json.as_bytes(), 1..=2).map_err(|error| error.to_string())
    }

    #[test]
    fn a_padded_manifest_is_read_and_unknown_keys_are_passed_over() {
        let manifest = parsed(concat!(
            r#"{"tandem":1,"name":"http","version":"1.2.0","api":1,"policy":"renew","then":["Dialed","Idle"],"#,
            r#""tables":[{"name":"seen","key":["id"],"columns":[{"name":"id","kind":"text"},"#,
            r#"{"name":"n","kind":"integer","default":0,"index":true,"later":1},{"name":"m","kind":"text","default":null}]}],"later":{"a":[1]}}      "#
        ))
        .unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.to_string().as_str()), ("http", "1.2.0"));
        assert_eq!((manifest.policy, manifest.then.len()), (Policy::Renew, 2));
        assert!(manifest.tables[0].columns[1].index);
        assert_eq!(manifest.tables[0].columns[1].default, Some(Value::from(0)));
        assert_eq!(
            (&manifest.tables[0].columns[0].default, &manifest.tables[0].columns[2].default),
            (&None, &Some(Value::Null))
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_the_way_out() {
        let with = |name: &str, api: u32, form: u32| {
            parsed(&format!(
                r#"{{"tandem":{form},"name":"{name}","version":"1.0.0","api":{api},"policy":"pin","then":[],"tables":[]}}"#
            ))
            .unwrap_err()
        };
        assert!(with("Http", 1, 1).contains("its name `Http` is not a component's name"));
        assert!(with("", 1, 1).contains("its name ``"));
        assert!(with("9p", 1, 1).contains("its name `9p`"));
        assert!(with("http", 3, 1).contains("API revision 3, and this host speaks up to 2; upgrade the host first"));
        assert!(with("http", 0, 1).contains("API revision 0, and this host speaks 1 and later; build it again"));
        assert!(with("http", 1, 2).contains("has form 2"));
        assert!(parsed("").unwrap_err().contains("not readable: EOF"));
        assert!(parsed(r#"{"tandem":1,"api":1,"name":"x"}"#).unwrap_err().contains("missing field `version`"));
    }
}
