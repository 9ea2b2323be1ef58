//! `tandem account`: who may authenticate, and by which secret. Secrets are read from standard input and hashed here: the
//! host is told no other.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, stdin};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use zeroize::{Zeroize, Zeroizing};

use super::{Configured, say};
use crate::account::{Hashed, SECRET_MAX, check_name};
use crate::admin::{AccountRequest, AccountStatus, Answer, From, Request, ask};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add an account to those of the running gateway; its secret is read from standard input
    Add {
        /// Its name
        name: String,
        /// The services that it may use; all of them where it is not said
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        services: Option<Vec<String>>,
        /// It is there already: it gets this secret and these services
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// Give an account that was added another secret, which is read from standard input
    Passwd {
        /// Its name
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Have an account that was added use nothing for now; its sessions stay, and are admitted nothing new
    Suspend {
        /// Its name
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Have an account that was suspended use again what it may
    Resume {
        /// Its name
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Remove an account that was added
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Say which accounts there are
    List(Configured),
    /// Read a secret from standard input and print what to write as `secret` into the configuration
    Hash {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn account(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Add { name, services, replace, configured } => {
            check_name(&name).map_err(anyhow::Error::msg)?;
            let services: Option<BTreeSet<String>> = services.map(|services| services.into_iter().collect());
            let secret = read_hashed()?;
            change(&configured, AccountRequest::Add { name, secret, services, replace })
        }
        Verb::Passwd { name, configured } => {
            check_name(&name).map_err(anyhow::Error::msg)?;
            change(&configured, AccountRequest::Passwd { name, secret: read_hashed()? })
        }
        Verb::Suspend { name, configured } => change(&configured, AccountRequest::Suspend { name, suspended: true }),
        Verb::Resume { name, configured } => change(&configured, AccountRequest::Suspend { name, suspended: false }),
        Verb::Remove { name, configured } => change(&configured, AccountRequest::Remove { name }),
        Verb::List(configured) => list(&configured),
        Verb::Hash { json } => {
            let hashed = read_hashed()?;
            match json {
                true => say(serde_json::json!({ "secret": hashed })),
                false => say(hashed.text()),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn change(configured: &Configured, request: AccountRequest) -> anyhow::Result<ExitCode> {
    let changed = match ask(&configured.source().admin(), &Request::Account(request))? {
        Answer::Account(changed) => changed,
        Answer::Refused(reason) => bail!(reason),
        other => bail!("the host answered something else: {other:?}"),
    };
    match configured.json {
        true => say(serde_json::to_string(&changed)?),
        false => say(format_args!("{} {}", changed.outcome, changed.name)),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(configured: &Configured) -> anyhow::Result<ExitCode> {
    let accounts = match ask(&configured.source().admin(), &Request::Account(AccountRequest::List))? {
        Answer::Accounts(accounts) => accounts,
        Answer::Refused(reason) => bail!(reason),
        other => bail!("the host answered something else: {other:?}"),
    };
    if configured.json {
        say(serde_json::to_string(&accounts)?);
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!("{:<24} {:<14} SERVICES", "ACCOUNT", "FROM"));
    for AccountStatus { name, from, services, suspended } in accounts {
        let from = match from {
            From::Configuration => "configuration",
            From::Command => "command",
        };
        let services =
            services.map_or_else(|| "all".to_owned(), |names| names.into_iter().collect::<Vec<_>>().join(" "));
        let suspended = if suspended { " (suspended)" } else { "" };
        say(format_args!("{name:<24} {from:<14} {services}{suspended}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn read_hashed() -> anyhow::Result<Hashed> {
    let secret = if stdin().is_terminal() { prompted() } else { piped() };
    Ok(Hashed::of(secret.context("the secret cannot be read")?.as_bytes())?)
}

/// Typed twice, since nobody sees what is typed.
fn prompted() -> anyhow::Result<Zeroizing<String>> {
    let secret = Zeroizing::new(rpassword::prompt_password("secret: ")?);
    let again = Zeroizing::new(rpassword::prompt_password("once more: ")?);
    if *secret != *again {
        bail!("the two are not the same");
    }
    Ok(secret)
}

/// All that comes, but for the end of the line that `echo` adds.
fn piped() -> anyhow::Result<Zeroizing<String>> {
    // With all the room that it may need, and one byte by which too much is seen: a buffer that grows leaves copies behind.
    let room = SECRET_MAX + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    stdin().take(room as u64).read_to_end(&mut bytes)?;
    let end = bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let length = end.map_or(bytes.len(), <[u8]>::len);
    bytes[length..].zeroize();
    bytes.truncate(length);
    let text = std::str::from_utf8(&bytes).context("it is no UTF-8")?;
    Ok(Zeroizing::new(text.to_owned()))
}
