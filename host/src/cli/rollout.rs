//! `tandem rollback` and `tandem promote`: which version serves, without a reload.

use std::process::ExitCode;

use anyhow::bail;

use super::say;
use crate::admin::{Answer, PromoteRequest, Request, RollbackRequest, Rolled, RolledOne, ask};
use crate::config::Source;

pub(super) fn rollback(source: &Source, component: String, json: bool) -> anyhow::Result<ExitCode> {
    if let Some((name, _)) = component.split_once('@') {
        bail!(
            "{component}: a rollback goes back to what served before; `tandem rollback {name}` does that, `tandem promote {component}` goes to this one"
        );
    }
    report(source, &Request::Rollback(RollbackRequest { component }), json)
}

pub(super) fn promote(source: &Source, named: &str, json: bool) -> anyhow::Result<ExitCode> {
    let (component, version) = match named.split_once('@') {
        Some((component, version)) => (component, Some(version.to_owned())),
        None => (named, None),
    };
    report(source, &Request::Promote(PromoteRequest { component: component.to_owned(), version }), json)
}

fn report(source: &Source, request: &Request, json: bool) -> anyhow::Result<ExitCode> {
    let rolled: Rolled = match ask(&source.admin(), request)? {
        Answer::Rolled(rolled) => rolled,
        Answer::Refused(reason) => bail!(reason),
        other => bail!("the host answered something else: {other:?}"),
    };
    if json {
        say(serde_json::to_string(&rolled)?);
    } else {
        for RolledOne { from, to, .. } in &rolled.changes {
            say(if from == to { format!("{to} serves, as before") } else { format!("{to} serves, and {from} did") });
        }
        rolled.findings.iter().for_each(say);
    }
    Ok(if rolled.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
