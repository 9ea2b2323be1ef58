//! `tandem stop`: what SIGTERM does, waited for. Exit code 1 where the gateway still runs after its time.

use std::process::ExitCode;

use super::say;
use crate::admin;
use crate::config::Source;

pub(super) fn stop(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let stopping = admin::stop(&source.admin())?;
    if json {
        say(serde_json::to_string(&stopping)?);
    } else {
        say(format_args!("stopped {}", stopping.pid));
    }
    Ok(ExitCode::SUCCESS)
}
