//! `tandem drain`: has the sessions of a version leave it, and waits until they have.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::say;
use crate::admin::{Answer, DrainReport, DrainRequest, Pace, Request, ask_for};
use crate::config::Source;

/// Where it is not said how long it may take, the host knows, and says that it is over.
const LONG: Duration = Duration::from_secs(24 * 3600);

pub(super) fn drain(
    source: &Source,
    named: &str,
    within: Option<Duration>,
    pace: Option<Pace>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Some((component, version)) = named.split_once('@') else {
        bail!(
            "{named}: say which of its versions, as in {named}@1.2.0; `tandem sessions {named}` says what they are held by"
        );
    };
    let within_ms = within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
    let request = DrainRequest { component: component.to_owned(), version: version.to_owned(), within_ms, pace };
    let report: DrainReport = match ask_for(&source.admin(), &Request::Drain(request), within.unwrap_or(LONG))? {
        Answer::Drained(report) => report,
        Answer::Refused(reason) => bail!(reason),
        other => bail!("the host answered something else: {other:?}"),
    };
    if json {
        say(serde_json::to_string(&report)?);
    } else {
        say(report.line());
        report.findings.iter().for_each(say);
    }
    Ok(if report.is_drained() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
