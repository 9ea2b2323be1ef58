//! The lock on a data directory: one process has it at a time, and its number is in it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::system;

/// The file, in the data directory.
const FILE: &str = "lock";

/// Takes the lock, for as long as the file is open: a process that is killed leaves none behind.
///
/// # Errors
/// Another process has it, or it cannot be made.
pub(crate) fn take(data: &Path) -> anyhow::Result<File> {
    let path = data.join(FILE);
    let open = || {
        system::make_private_file(&path)?;
        File::options().read(true).write(true).open(&path)
    };
    let mut lock = open().with_context(|| format!("data: the lock in {} cannot be made", data.display()))?;
    if lock.try_lock().is_err() {
        let mut holder = String::new();
        // Where the lock keeps others from reading as well, it is not known.
        let holder = match lock.read_to_string(&mut holder) {
            Ok(_) if !holder.trim().is_empty() => format!(", process {}", holder.trim()),
            _ => String::new(),
        };
        bail!("data: {} is in use by another tandem{holder}; give each a data directory of its own", data.display());
    }
    let write = |lock: &mut File| {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
    };
    // Who looks for the process finds it here; the lock holds all the same.
    if let Err(error) = write(&mut lock) {
        tracing::warn!("data: the lock in {} cannot be written: {error}", data.display());
    }
    Ok(lock)
}
