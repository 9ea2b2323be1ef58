//! `tandem reload`: what SIGHUP does, with the outcome. Exit code 1 where anything was refused.

use std::process::ExitCode;

use anyhow::bail;

use super::say;
use crate::admin::{Answer, Request, ask};
use crate::config::Source;

pub(super) fn reload(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let report = match ask(&source.admin(), &Request::Reload)? {
        Answer::Reload(report) => report,
        other => bail!("the host answered something else: {other:?}"),
    };
    if json {
        say(serde_json::to_string(&report)?);
    } else {
        for line in report.lines() {
            say(line);
        }
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
