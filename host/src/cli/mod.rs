//! The command line: `tandem run`, `check`, `reload`, `status`, `top`, `rollback`, `promote`, `sessions`, `drain`, `account`,
//! `backup`, `restore`, `stop`, `inspect`, `verify`, `new`, `dev`, `completions`, `man`.

mod account;
mod backup;
mod check;
mod completions;
mod dev;
mod drain;
mod inspect;
mod ledger;
mod man;
mod new;
mod reload;
mod rollout;
mod sessions;
mod status;
mod stop;
mod top;
mod verify;

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::admin::Pace;
use crate::config::Source;
use crate::loader::examine;
use crate::observe::log::{self, Form};

/// What the program is called.
const NAME: &str = "tandem";

/// A multiprotocol gateway whose protocol components are replaced while they carry traffic.
#[derive(Debug, Parser)]
#[command(name = NAME, version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway; with `--json` its log is a JSON object a line
    Run {
        #[command(flatten)]
        configured: Configured,
        /// For tests: have every answer come late, by what this seed says
        #[arg(long, value_name = "SEED", hide = true)]
        late: Option<u64>,
    },
    /// Check a configuration, and examine the components that it would load, without running anything
    Check(Configured),
    /// Do what SIGHUP does: look for new components and a changed configuration; one line for each file found
    Reload(Configured),
    /// Say which versions there are, what they do and why
    Status {
        #[command(flatten)]
        configured: Configured,
        /// Say instead what was ever added to the tables of components, by which version and when
        #[arg(long, conflicts_with = "ledger")]
        schema: bool,
        /// Say instead what became of all that was accepted, by version; exit code 1 where it does not add up
        #[arg(long)]
        ledger: bool,
    },
    /// Show in a terminal, as they change, the versions of each component: traffic, sessions, stage, share, failures, memory; and notices as
    /// they come. `?` says which keys there are, `q` ends it
    Top {
        /// The configuration file; without it the embedded default holds, relative to the working directory
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
    },
    /// Go back to the version of a component that served before, with all sessions that can be carried; it is held until the component's
    /// files change, or until `promote`
    Rollback {
        #[command(flatten)]
        configured: Configured,
        /// The component: `http`
        component: String,
    },
    /// Have a version serve, and hold it; where only the component is named, the newest that is not quarantined, and hold none
    Promote {
        #[command(flatten)]
        configured: Configured,
        /// The component, or one of its versions: `http`, `http@1.2.0`, `http@1.2.0#3fa9c1`
        version: String,
    },
    /// Say who holds a version: each session, since when, what it waits for, and why it has not moved; and what else does
    Sessions {
        #[command(flatten)]
        configured: Configured,
        /// The component, or one of its versions: `http`, `http@1.2.0`, `http@1.2.0#3fa9c1`; all where it is not said
        version: Option<String>,
        /// So many sessions at most: first those that do not run on what serves, and of these the longest there
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// Write into this file what another version would go on with, for `tandem verify`: what peers have shown to prove who they are may
        /// be in it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        record: Option<PathBuf>,
    },
    /// Have the sessions of a version that serves no more leave it: those that can move do, the others are told goodbye in their
    /// protocol's way, so many a second, and those that are left are ended. Waits for it; exit code 1 where some are still there
    Drain {
        #[command(flatten)]
        configured: Configured,
        /// The version: `http@1.2.0`, or `http@1.2.0#3fa9c1`
        version: String,
        /// When all are gone, from now: `30s`; by default the component's `versions.goodbye`
        #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
        within: Option<Duration>,
        /// How many are told goodbye in a span: `100/s`, `30/m`; faster where not all would be told by half of the time. By default
        /// the component's `versions.rate` on each worker
        #[arg(long, value_name = "RATE")]
        rate: Option<Pace>,
    },
    /// Say and change who may authenticate
    #[command(subcommand)]
    Account(account::Verb),
    /// Keep in one file what the data directory has that cannot be had anywhere else: the store, as it is at one moment, and the libraries
    /// that it names. While the gateway runs, or while it does not
    Backup {
        /// The file to make
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// It is there already: this backup takes its place
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// Make a data directory of what `backup` has kept, where no gateway runs and there is no store yet
    Restore {
        /// The backup
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
    /// Do what SIGTERM does: finish what is under way and end; waits for it
    Stop(Configured),
    /// Read the manifest and the signature of a library without running any of its code; exit code 1 where it is not trusted
    Inspect {
        /// The library
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
    /// Say before it is deployed whether a library can take over from another: its number, its tables, what its sessions may wait for, its
    /// examination with the services of the configuration, and sessions that were recorded; exit code 1 where it cannot
    Verify {
        /// The library that serves
        #[arg(value_hint = ValueHint::FilePath)]
        old: PathBuf,
        /// The library that is to follow it
        #[arg(value_hint = ValueHint::FilePath)]
        new: PathBuf,
        /// Sessions that are to go on, as `tandem sessions --record FILE` has written them
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        states: Option<PathBuf>,
        #[command(flatten)]
        configured: Configured,
    },
    /// Make the package of a component that builds, is tested, and swaps in
    New {
        /// What it is called: `my-proxy`
        name: String,
        /// The directory to make; one of that name where it is not said
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        at: Option<PathBuf>,
        /// Where the package `tandem-component` is: `component-api` of a checkout of Tandem. Beside what this program was built from where it
        /// is not said
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        api: Option<PathBuf>,
    },
    /// Build a component whenever its sources change, deploy it into the gateway that runs, and say what became of it
    Dev {
        /// The component's package
        #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
        /// Build it for release
        #[arg(long)]
        release: bool,
        /// The gateway's configuration file; without it the embedded default holds, relative to the working directory
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
    },
    /// Print what a shell reads to complete this command line: `source <(tandem completions bash)`
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command, into a directory
    Man {
        /// Where to, as in `man1` of a directory that MANPATH has
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// Examine a library, in a child of the host
    #[command(hide = true)]
    Examine {
        /// For tests: leave out what a kernel may lack
        #[arg(long, value_name = "LAYER")]
        without: Vec<examine::Layer>,
    },
}

/// Which gateway is meant.
#[derive(Debug, Args)]
struct Configured {
    /// The configuration file; without it the embedded default holds, relative to the working directory
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Configured {
    fn source(&self) -> Source {
        self.config.clone().map_or(Source::Embedded, Source::File)
    }
}

/// Prints a line. Who reads may have seen enough (`tandem status | head`): that is nobody's error.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Verb::Run { configured, late } => log::begin(configured.json).and_then(|form| {
            match crate::host::run(configured.source(), late) {
                // Who reads lines of JSON reads this as one as well.
                Err(error) if form == Form::Json => {
                    tracing::error!("{error:#}");
                    Ok(ExitCode::FAILURE)
                }
                result => result.map(|()| ExitCode::SUCCESS),
            }
        }),
        Verb::Check(configured) => check::check(&configured.source(), configured.json),
        Verb::Reload(configured) => reload::reload(&configured.source(), configured.json),
        Verb::Status { configured, schema: true, .. } => status::schema(&configured.source(), configured.json),
        Verb::Status { configured, ledger: true, .. } => ledger::ledger(&configured.source(), configured.json),
        Verb::Status { configured, .. } => status::status(&configured.source(), configured.json),
        Verb::Top { config } => top::top(&config.map_or(Source::Embedded, Source::File)),
        Verb::Rollback { configured, component } => rollout::rollback(&configured.source(), component, configured.json),
        Verb::Promote { configured, version } => rollout::promote(&configured.source(), &version, configured.json),
        Verb::Sessions { configured, version, limit, record } => {
            sessions::sessions(&configured.source(), version, limit, record.as_deref(), configured.json)
        }
        Verb::Drain { configured, version, within, rate } => {
            drain::drain(&configured.source(), &version, within, rate, configured.json)
        }
        Verb::Account(verb) => account::account(verb),
        Verb::Backup { file, replace, configured } => {
            backup::backup(&configured.source(), &file, replace, configured.json)
        }
        Verb::Restore { file, configured } => backup::restore(&configured.source(), &file, configured.json),
        Verb::Stop(configured) => stop::stop(&configured.source(), configured.json),
        Verb::Inspect { file, configured } => inspect::inspect(&file, &configured.source(), configured.json),
        Verb::Verify { old, new, states, configured } => {
            verify::verify(&old, &new, states.as_deref(), &configured.source(), configured.json)
        }
        Verb::New { name, at, api } => new::new(&name, at.as_deref(), api.as_deref()),
        Verb::Dev { directory, release, config } => {
            dev::dev(&directory, release, &config.map_or(Source::Embedded, Source::File))
        }
        Verb::Completions { shell } => completions::completions(shell),
        Verb::Man { directory } => man::man(&directory),
        Verb::Examine { without } => return examine::child::main(without),
    };
    result.unwrap_or_else(|error| {
        eprintln!("tandem: {error:#}");
        ExitCode::FAILURE
    })
}
