//! `tandem completions SHELL`: what a shell reads to complete the command line, made of its definition.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Cli, NAME};

pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), NAME, &mut script);
    stdout().write_all(&script).context("the completions cannot be written")?;
    Ok(ExitCode::SUCCESS)
}
