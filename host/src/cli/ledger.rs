//! `tandem status --ledger`: what became of all that was accepted, and whether it adds up.

use std::process::ExitCode;

use anyhow::bail;

use super::say;
use crate::admin::{Answer, LedgerStatus, Request, ask};
use crate::config::Source;
use crate::store::ledger::{Balance, Sums};

pub(super) fn ledger(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let ledgers = match ask(&source.admin(), &Request::Ledger)? {
        Answer::Ledger(ledgers) => ledgers,
        Answer::Refused(reason) => bail!(reason),
        other => bail!("the host answered something else: {other:?}"),
    };
    if json {
        say(serde_json::to_string(&ledgers)?);
    } else {
        say(text(&ledgers).trim_end());
    }
    let adds_up = ledgers.iter().flat_map(|ledger| &ledger.balances).all(|balance| balance.wrong().is_none());
    Ok(if adds_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(ledgers: &[LedgerStatus]) -> String {
    if ledgers.is_empty() {
        return "no component that serves keeps a ledger".to_owned();
    }
    let mut lines = vec![format!(
        "{:<32} {:>12} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "ACCEPTED BY", "ACCEPTED", "DELIVERED", "REJECTED", "EXPIRED", "CANCELLED", "PENDING", "UNCERTAIN"
    )];
    let mut wrong = Vec::new();
    for LedgerStatus { component, balances } in ledgers {
        for Balance { version, whole, parts } in balances {
            lines.push(line(version, whole));
            lines.extend((parts != whole).then(|| line("  in parts", parts)));
        }
        let sum = |of: fn(&Balance) -> Sums| balances.iter().map(of).fold(Sums::default(), |sum, one| sum + one);
        let (whole, parts) = (sum(|balance| balance.whole), sum(|balance| balance.parts));
        if balances.len() != 1 {
            lines.push(line(&format!("all of {component}"), &whole));
            lines.extend((parts != whole).then(|| line("  in parts", &parts)));
        }
        wrong.extend(balances.iter().filter_map(Balance::wrong));
    }
    lines.push(String::new());
    if wrong.is_empty() {
        lines.push("it adds up: accepted = delivered + rejected + expired + cancelled + pending".to_owned());
    } else {
        lines.push("it does NOT add up:".to_owned());
        lines.extend(wrong);
    }
    lines.join("\n")
}

fn line(name: &str, sums: &Sums) -> String {
    let Sums { accepted, delivered, rejected, expired, cancelled, pending, uncertain } = sums;
    format!(
        "{name:<32} {accepted:>12} {delivered:>12} {rejected:>10} {expired:>10} {cancelled:>10} {pending:>10} {uncertain:>10}"
    )
}
