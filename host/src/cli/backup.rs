//! `tandem backup FILE` and `tandem restore FILE`: what the data directory has that cannot be had anywhere else.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::bail;
use bytesize::ByteSize;

use super::say;
use crate::config::Source;
use crate::host::{lock, tables, trust};
use crate::store::sqlite::backup::{self as file, Extent};
use crate::system;

pub(super) fn backup(source: &Source, to: &Path, replace: bool, json: bool) -> anyhow::Result<ExitCode> {
    let data = source.read()?.data;
    if to.exists() && !replace {
        bail!("{} is there already; --replace puts this backup in its place", to.display());
    }
    let extent = file::backup(&data.join(tables::FILE), &data.join(trust::SHELF), to)?;
    tell("kept", to, extent, json);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(source: &Source, from: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let data = source.read()?.data;
    system::make_private_directory(&data)?;
    if !system::owns(&data)? {
        bail!("data: {} is another user's; restore as that one, whose the files have to be", data.display());
    }
    // No gateway begins while this is at work.
    let _lock = lock::take(&data)?;
    let extent = file::restore(from, &data.join(tables::FILE), &data.join(trust::SHELF))?;
    tell("restored", from, extent, json);
    Ok(ExitCode::SUCCESS)
}

fn tell(what: &str, file: &Path, Extent { bytes, libraries, made_at }: Extent, json: bool) {
    let made_at = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(made_at)).to_string();
    match json {
        true => say(serde_json::json!({ "file": file, "bytes": bytes, "libraries": libraries, "made_at": made_at })),
        false => say(format_args!(
            "{what} the store of {made_at} and {libraries} libraries: {}, {}",
            file.display(),
            ByteSize(bytes)
        )),
    }
}
