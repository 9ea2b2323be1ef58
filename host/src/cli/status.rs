//! `tandem status`: which versions there are, what they do and why.

use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::bail;
use bytesize::ByteSize;

use super::say;
use crate::admin::{
    AgreementStatus, Answer, ConnectionStage, ConnectionStatus, MovesStatus, Request, Status, VersionStatus, ask,
};
use crate::config::Source;
use crate::store::Migration;

pub(super) fn status(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let status = match ask(&source.admin(), &Request::Status)? {
        Answer::Status(status) => status,
        other => bail!("the host answered something else: {other:?}"),
    };
    if json {
        say(serde_json::to_string(&status)?);
    } else {
        say(text(&status).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// `tandem status --schema`
pub(super) fn schema(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let migrations = match ask(&source.admin(), &Request::Schema)? {
        Answer::Schema(migrations) => migrations,
        Answer::Unknown(error) => bail!(error),
        other => bail!("the host answered something else: {other:?}"),
    };
    if json {
        say(serde_json::to_string(&migrations)?);
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!("{:<20} {:<28} {:<20} ADDED", "WHEN", "VERSION", "TABLE"));
    for Migration { at, component, version, table, change } in migrations {
        let when = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(at));
        say(format_args!("{:<20} {version:<28} {:<20} {change}", when.to_string(), format!("{component}.{table}")));
    }
    Ok(ExitCode::SUCCESS)
}

/// `tcp://192.0.2.1:2776  down, next try in 3s: Connection refused`
fn connection_line(connection: &ConnectionStatus) -> String {
    let ConnectionStatus { address, nth, stage, up_since, next_try_ms, reason, .. } = connection;
    let which = if *nth > 0 { format!(" (connection {})", nth + 1) } else { String::new() };
    let why = |before| reason.as_ref().map(|reason| format!("{before}: {reason}")).unwrap_or_default();
    let how = match stage {
        ConnectionStage::Unserved => "waits for a version that serves".to_owned(),
        ConnectionStage::Connecting => format!("connecting{}", why(", last down")),
        ConnectionStage::Up => {
            let since = UNIX_EPOCH + Duration::from_nanos(up_since.unwrap_or_default());
            format!("up since {}", humantime::format_rfc3339_seconds(since))
        }
        ConnectionStage::Down => {
            let next = Duration::from_millis(next_try_ms.unwrap_or_default());
            let next = match next.as_secs() {
                0..60 => format!("{:.1}s", next.as_secs_f64()),
                whole => humantime::format_duration(Duration::from_secs(whole)).to_string(),
            };
            format!("down, next try in {next}{}", why(""))
        }
    };
    format!("{:<32} {how}", format!("{address}{which}"))
}

/// How much a version has allocated.
fn memory(version: &VersionStatus) -> String {
    match version.memory {
        Some(bytes) => ByteSize(bytes).to_string(),
        None if version.uncounted => "uncounted".to_owned(),
        None => "-".to_owned(),
    }
}

/// So many agreements are shown to a person.
const AGREEMENTS_SHOWN: usize = 20;

fn text(status: &Status) -> String {
    let mut lines =
        vec![format!("pid {} · {} workers · publication {}", status.pid, status.workers, status.publication)];
    match status.moves {
        Some(MovesStatus { moved: 0, stay: 0, .. }) => {}
        Some(MovesStatus { moved, stay, took_ms, .. }) => {
            lines.push(format!("{moved} sessions moved in {took_ms:.1} ms, {stay} stay where they are"));
        }
        None => lines.push("sessions are moving".to_owned()),
    }
    lines.push(String::new());
    lines.push(format!("{:<16} {:<28} {}", "SERVICE", "VERSION", "LISTENS"));
    for service in &status.services {
        let version = service.version.as_deref().unwrap_or("none");
        lines.push(format!("{:<16} {version:<28} {}", service.name, service.listen.join(" ")).trim_end().to_owned());
        lines.extend(service.connect.iter().map(|connection| format!("    {}", connection_line(connection))));
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<28} {:<10} {:>8} {:>10} {:>8} {:>8} {:>10}  {}",
        "VERSION", "STAGE", "SESSIONS", "TAKEN", "FAILED", "OVERRUN", "MEMORY", "SERVICES"
    ));
    for version in &status.versions {
        lines.push(
            format!(
                "{:<28} {:<10} {:>8} {:>10} {:>8} {:>8} {:>10}  {}",
                version.version,
                version.stage,
                version.sessions,
                version.taken,
                version.failures,
                version.overruns,
                memory(version),
                version.services.join(" ")
            )
            .trim_end()
            .to_owned(),
        );
        if let Some(reason) = &version.reason {
            lines.push(format!("    {reason}"));
        }
    }
    if !status.agreements.is_empty() {
        lines.extend([String::new(), format!("{:<16} {:<16} {:<16} USED", "AGREEMENT", "ACCOUNT", "SERVICE")]);
        lines.extend(status.agreements.iter().take(AGREEMENTS_SHOWN).map(AgreementStatus::line));
        let more = status.agreements.len().saturating_sub(AGREEMENTS_SHOWN) + status.agreements_left_out;
        lines.extend((more > 0).then(|| format!("    and {more} that are less full; --json has more")));
    }
    if let Some(error) = &status.reload_error {
        lines.extend([String::new(), format!("the last reload changed nothing: {error}")]);
    }
    for refused in &status.refused {
        lines.extend([String::new(), format!("refused {}: {}", refused.file, refused.reason)]);
    }
    if !status.notices.is_empty() {
        lines.extend([String::new(), format!("{:<20} {:>6}  {}", "NOTICE", "COUNT", "LAST")]);
        let notices = status.notices.iter();
        lines.extend(
            notices.map(|tally| format!("{:<20} {:>6}  {}", tally.notice.to_string(), tally.count, tally.last)),
        );
    }
    lines.push(String::new());
    lines.join("\n")
}
