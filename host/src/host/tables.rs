//! The tables of versions: the store is opened for the first version that has some, each version's are compared before
//! it starts, and what they add is added as the last step before it serves.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use super::Host;
use crate::account;
use crate::agreement;
use crate::observe::notice::{self, Notice};
use crate::observe::records;
use crate::store::bindings::Bindings;
use crate::store::table::Table;
use crate::store::{HOST, Migrant, Migration, Settled, Store};
use crate::system;
use crate::version::verdicts::{QUARANTINE, ROLLOUTS};

/// The store's file in the data directory.
pub(crate) const FILE: &str = "store.sqlite";

impl Host {
    /// Opens the store, where it is not open.
    ///
    /// # Errors
    /// The file is no store, or cannot be opened.
    pub(super) fn open_store(&self) -> Result<&dyn Store, String> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let homes = self.homes.clone();
        // A worker that has ended has no sessions to be told.
        let deliver = move |worker: usize, settled: Vec<Settled>| {
            let _ = homes.get(worker).map(|home| home.send(settled));
        };
        let file = self.config.data.join(FILE);
        // Whatever the process's mask is: what SQLite puts beside it has its mode.
        system::make_private_file(&file).map_err(|error| format!("{} cannot be made: {error}", file.display()))?;
        let store = self.around.open_store(&file, Box::new(deliver)).map_err(|error| error.to_string())?;
        grow_own(&*store).map_err(|error| format!("{error:#}"))?;
        self.store.set(store);
        self.store.get().ok_or_else(|| "the store is not there".to_owned())
    }

    /// Compares a version's tables with those that there are. Nothing is changed.
    ///
    /// # Errors
    /// The version would drop or change what is there, or the store cannot be asked.
    pub(super) fn compare_tables(&self, at: usize) -> Result<(), String> {
        let version = &self.versions[at];
        let tables = version.manifest.tables().map_err(|error| error.to_string())?;
        // One that has the host's name has no tables, or it would have been refused; those there are not its own.
        if version.manifest.name == HOST {
            return Ok(());
        }
        // A version without tables may be a newer one that has dropped them.
        if tables.is_empty() && self.store.get().is_none() && !self.config.data.join(FILE).exists() {
            return Ok(());
        }
        let name = version.name();
        let migrant = Migrant { component: &version.manifest.name, number: &version.manifest.version, name: &name };
        self.open_store()?.compare(&migrant, &tables).map_err(|error| error.to_string())
    }

    /// Adds what the tables of these versions have and the store has not.
    ///
    /// # Errors
    /// The store could not take them, though they fit a moment ago.
    pub(super) fn migrate_tables(&self, chosen: impl Iterator<Item = usize>) -> anyhow::Result<()> {
        for at in chosen {
            let version = &self.versions[at];
            let tables = version.manifest.tables().map_err(anyhow::Error::msg)?;
            if tables.is_empty() {
                continue;
            }
            let name = version.name();
            let migrant = Migrant { component: &version.manifest.name, number: &version.manifest.version, name: &name };
            grow(self.open_store().map_err(anyhow::Error::msg)?, &migrant, &tables)?;
        }
        Ok(())
    }

    /// Every change that was made to the tables.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub(super) fn schema(&self) -> anyhow::Result<Vec<Migration>> {
        if self.store.get().is_none() && !self.config.data.join(FILE).exists() {
            return Ok(Vec::new());
        }
        match self.open_store() {
            Ok(store) => Ok(store.history()?),
            Err(error) => bail!(error),
        }
    }
}

/// Adds what the host's own tables have and the store has not.
fn grow_own(store: &dyn Store) -> anyhow::Result<()> {
    let number = semver::Version::parse(env!("CARGO_PKG_VERSION")).context("the host's version")?;
    let name = format!("{HOST}@{number}");
    let own = [&account::table::TABLE, &agreement::table::TABLE, &records::TABLE, &ROLLOUTS, &QUARANTINE];
    let own = own.map(|table| Table::clone(table));
    let own = own.into_iter().chain([Bindings::default().table().clone()]).collect::<Vec<_>>();
    // Said in the history alone: it is no component's doing.
    store.migrate(&Migrant { component: HOST, number: &number, name: &name }, &own).with_context(|| name.clone())
}

fn grow(store: &dyn Store, migrant: &Migrant<'_>, tables: &[Table]) -> anyhow::Result<()> {
    let before = store.history()?.len();
    store.migrate(migrant, tables).with_context(|| migrant.name.to_owned())?;
    let mut grown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Migration { table, change, .. } in store.history()?.into_iter().skip(before) {
        grown.entry(table).or_default().push(change);
    }
    for (table, changes) in grown {
        notice::give(Notice::SchemaGrown, &format!("{}: table {table}: {}", migrant.name, changes.join(", ")));
    }
    Ok(())
}
