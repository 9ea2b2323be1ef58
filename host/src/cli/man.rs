//! `tandem man DIR`: a manual page for each command, made of the command line's definition.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use super::Cli;

pub(super) fn man(directory: &Path) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    // A page about asking for help helps nobody.
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, directory)
        .with_context(|| format!("{}: the pages cannot be written", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
