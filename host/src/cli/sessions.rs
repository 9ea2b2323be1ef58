//! `tandem sessions`: who holds a version, since when, and for what.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use super::say;
use crate::admin::{Answer, Holders, OtherHolder, Request, SessionStatus, ask};
use crate::clock::time_of_day;
use crate::config::Source;
use crate::system;

pub(super) fn sessions(
    source: &Source,
    named: Option<String>,
    most: usize,
    record: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let states = record.is_some();
    let mut holders = match ask(&source.admin(), &Request::Sessions { named, most, states })? {
        Answer::Holders(holders) => holders,
        Answer::Refused(reason) => bail!(reason),
        other => bail!("the host answered something else: {other:?}"),
    };
    if let Some(file) = record {
        keep(&mut holders, file)?;
    }
    if json {
        say(serde_json::to_string(&holders)?);
    } else {
        lines(&holders, time_of_day()).iter().for_each(say);
    }
    Ok(if holders.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the states into a file that nobody else reads, and says of the others how many they are.
fn keep(holders: &mut Holders, file: &Path) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", file.display());
    let text = serde_json::to_string(holders)?;
    let mut kept = system::begin_private_file(file).with_context(failed)?;
    kept.write_all(text.as_bytes()).with_context(failed)?;
    let all = holders.sessions.len();
    let kept = holders.sessions.iter_mut().filter_map(|session| session.state.take()).count();
    if kept < all {
        let busy = all - kept;
        holders
            .findings
            .push(format!("{busy} of {all} sessions are in the middle of something, and were not recorded"));
    }
    Ok(())
}

fn lines(holders: &Holders, now: u64) -> Vec<String> {
    let Holders { count, sessions, others, findings } = holders;
    let mut lines = Vec::new();
    if !sessions.is_empty() {
        lines.push(format!(
            "{:<28} {:<16} {:>6} {:>8} {:<22} {:<20} {:>8}  POLICY",
            "VERSION", "SERVICE", "WORKER", "SESSION", "PEER", "SINCE", "IDLE"
        ));
    }
    for session in sessions {
        lines.push(format!(
            "{:<28} {:<16} {:>6} {:>8} {:<22} {:<20} {:>8}  {}",
            session.version,
            session.service,
            session.worker,
            session.session,
            session.peer,
            humantime::format_rfc3339_seconds(at(session.since)).to_string(),
            span(now.saturating_sub(session.idle_since)),
            session.policy
        ));
        lines.extend(below(session, now).map(|below| format!("    {below}")));
    }
    let more = count.saturating_sub(sessions.len() as u64);
    lines.extend((more > 0).then(|| format!("and {more} more; --limit shows more of them")));
    if sessions.is_empty() && *count == 0 {
        lines.push("no sessions".to_owned());
    }
    if !others.is_empty() {
        lines.extend([String::new(), format!("{:<28} {:<16} HELD, SINCE", "VERSION", "SERVICE")]);
    }
    lines.extend(others.iter().map(|OtherHolder { version, service, what }| {
        format!("{version:<28} {:<16} {what}", service.as_deref().unwrap_or("-"))
    }));
    lines.extend(findings.iter().cloned());
    lines
}

/// What there is to say of a session beyond its line.
fn below(session: &SessionStatus, now: u64) -> Option<String> {
    let SessionStatus { waits, conversation, stays, ends, .. } = session;
    let stays = stays.as_ref().map(|why| format!("stays, since {why}"));
    let ends = ends.map(|ends| format!("told goodbye, ended in {}", span(ends.saturating_sub(now))));
    let conversation = conversation.as_ref().map(|key| format!("the conversation {key}"));
    let waits = (!waits.is_empty()).then(|| format!("waits for {}", waits.join(", ")));
    let parts: Vec<String> = [stays, ends, conversation, waits].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn at(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// `0s`, `12s`, `3m 4s`: as a person says it.
fn span(nanos: u64) -> String {
    humantime::format_duration(Duration::from_secs(nanos / 1_000_000_000)).to_string()
}
