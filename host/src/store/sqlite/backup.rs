//! A backup: one file, with the store as it was at one moment and the libraries of the shelf.
//!
//! It is a database of SQLite's, marked as what it is: a gateway does not run on one. The copy is one read of the store, so it has all
//! that was committed when it began and nothing that came later, and whoever writes meanwhile does not wait.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{APPLICATION, BUSY, FORM};
use crate::clock::time_of_day;
use crate::loader::shelf::{Digest, Shelf};
use crate::loader::signature;
use crate::system;

/// Marks the file as a backup: `TNDB`.
const BACKUP: i32 = 0x544e_4442;
/// What a backup has that no store has.
const TABLES: &str = "CREATE TABLE backup (made_at INTEGER NOT NULL, made_by TEXT NOT NULL);
    CREATE TABLE backup_shelf (digest TEXT PRIMARY KEY, library BLOB NOT NULL, signature TEXT) STRICT;";
const NO_TABLES: &str = "DROP TABLE backup; DROP TABLE backup_shelf; VACUUM;";
/// How long another's lock is waited for, each time that it is met.
const PAUSE: Duration = Duration::from_millis(50);
/// So often.
const ATTEMPTS: u32 = 200;

/// What a backup has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How long it is, in bytes.
    pub bytes: u64,
    /// How many libraries are in it.
    pub libraries: usize,
    /// When it was made, in nanoseconds since 1970.
    pub made_at: u64,
}

/// Makes a backup of a store and a shelf, whether a gateway runs on them or not.
///
/// # Errors
/// There is no store, something cannot be read or written, or what was written is not whole. No file is left then.
pub fn backup(store: &Path, shelf: &Path, file: &Path) -> anyhow::Result<Extent> {
    if !store.exists() {
        bail!("there is no store at {}: nothing has needed one yet", store.display());
    }
    let draft = Draft::beside(file)?;
    // What was on the shelf before and what is after: so whatever the store names at its moment is in it.
    let before = Kept::all_of(shelf)?;
    let made_at = time_of_day();
    let from = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("{} cannot be opened", store.display()))?;
    from.busy_timeout(BUSY)?;
    let mut to = Connection::open(&draft.0)?;
    copy(&from, &mut to).with_context(|| format!("{} cannot be copied", store.display()))?;
    drop(from);
    // Of one file, also while it is open.
    to.pragma_update(None, "journal_mode", "DELETE")?;
    let filled = to.transaction()?;
    filled.execute_batch(TABLES)?;
    filled.execute("INSERT INTO backup VALUES (?1, ?2)", (made_at.cast_signed(), env!("CARGO_PKG_VERSION")))?;
    let mut libraries = BTreeSet::new();
    for Kept { digest, content, signature } in before.into_iter().chain(Kept::all_of(shelf)?) {
        if libraries.insert(digest.to_string()) {
            filled.execute("INSERT INTO backup_shelf VALUES (?1, ?2, ?3)", (digest.to_string(), content, signature))?;
        }
    }
    filled.pragma_update(None, "application_id", BACKUP)?;
    filled.commit()?;
    whole(&to)?;
    drop(to);
    let bytes = draft.publish(file)?;
    Ok(Extent { bytes, libraries: libraries.len(), made_at })
}

/// Makes a store and fills a shelf from a backup. The caller sees to it that no gateway runs there.
///
/// # Errors
/// There is a store already, the file is no backup or not whole, or something cannot be written. No store is left then.
pub fn restore(file: &Path, store: &Path, shelf: &Path) -> anyhow::Result<Extent> {
    if store.exists() {
        bail!("{} is there already; move it away, with what lies beside it, to begin from the backup", store.display());
    }
    let from = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("{} cannot be opened", file.display()))?;
    let number = |pragma: &str| from.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    match number("application_id").with_context(|| format!("{} is no backup, or it is damaged", file.display()))? {
        BACKUP => {}
        APPLICATION => bail!("{} is a store, and no backup; `tandem backup` makes one", file.display()),
        id => bail!("{} is no backup (application id {id:#x})", file.display()),
    }
    let form = number("user_version")?;
    if form > FORM {
        bail!("{} was made by a newer tandem (form {form}, this one reads up to {FORM})", file.display());
    }
    whole(&from).with_context(|| format!("{} is damaged", file.display()))?;
    let made_at = from.query_one("SELECT made_at FROM backup", (), |row| row.get::<_, i64>(0))?.cast_unsigned();
    // Libraries first: a store that names what is not there is worse than a shelf with more than is named.
    let libraries = fill(&from, shelf)?;
    let draft = Draft::beside(store)?;
    let mut to = Connection::open(&draft.0)?;
    copy(&from, &mut to).with_context(|| format!("{} cannot be copied", file.display()))?;
    to.pragma_update(None, "application_id", APPLICATION)?;
    to.execute_batch(NO_TABLES)?;
    whole(&to)?;
    drop(to);
    draft.publish(store)?;
    Ok(Extent { bytes: file.metadata()?.len(), libraries, made_at })
}

/// In one step, which reads the store as it is at one moment.
fn copy(from: &Connection, to: &mut Connection) -> anyhow::Result<()> {
    let backup = Backup::new(from, to)?;
    for _ in 0..ATTEMPTS {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            _ => std::thread::sleep(PAUSE),
        }
    }
    bail!("somebody else holds it locked")
}

fn whole(connection: &Connection) -> anyhow::Result<()> {
    let found: String = connection.query_one("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if found != "ok" {
        bail!("it is not whole: {found}");
    }
    Ok(())
}

fn fill(from: &Connection, shelf: &Path) -> anyhow::Result<usize> {
    let shelf = Shelf::open(shelf).with_context(|| format!("the shelf {} cannot be opened", shelf.display()))?;
    let mut query = from.prepare("SELECT digest, library, signature FROM backup_shelf")?;
    let mut rows = query.query(())?;
    let mut libraries = 0;
    while let Some(row) = rows.next()? {
        let (name, content, signature): (String, Vec<u8>, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if Digest::of(&content).to_string() != name {
            bail!("the library {name} in the backup is something else than what was put there");
        }
        let digest = shelf.put(&content)?.digest;
        if let Some(signature) = signature {
            shelf.keep_signature(&digest, &signature)?;
        }
        libraries += 1;
    }
    Ok(libraries)
}

/// A library of the shelf.
struct Kept {
    digest: Digest,
    content: Vec<u8>,
    signature: Option<String>,
}

impl Kept {
    fn all_of(shelf: &Path) -> anyhow::Result<Vec<Kept>> {
        let Ok(entries) = fs::read_dir(shelf) else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<Digest>().ok());
            let Some(digest) = stem.filter(|_| path.extension().is_some_and(|extension| extension == "so")) else {
                continue;
            };
            // A gateway that runs may have swept it meanwhile. One that is not what its name says is of no use to anybody.
            let Ok(content) = fs::read(&path) else { continue };
            if Digest::of(&content) == digest {
                let signature = fs::read_to_string(path.with_extension(signature::SUFFIX)).ok();
                all.push(Kept { digest, content, signature });
            }
        }
        Ok(all)
    }
}

/// A file that is not whole yet, which only its owner can read. It goes when it is dropped unpublished.
struct Draft(PathBuf);

impl Draft {
    fn beside(file: &Path) -> anyhow::Result<Self> {
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        let draft = file.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        system::begin_private_file(&draft).with_context(|| format!("{} cannot be made", draft.display()))?;
        Ok(Draft(draft))
    }

    /// Synced before it has its name, so that the name never stands for less than all of it.
    fn publish(self, path: &Path) -> anyhow::Result<u64> {
        let file = fs::File::options().write(true).open(&self.0)?;
        file.sync_all()?;
        fs::rename(&self.0, path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut journal = self.0.clone().into_os_string();
        journal.push("-journal");
        // Published, it has no longer this name.
        let _ = (fs::remove_file(&self.0), fs::remove_file(journal));
    }
}
