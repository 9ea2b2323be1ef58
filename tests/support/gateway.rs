//! A gateway in a directory of its own, driven as an operator drives it: files, signals, and the command line.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::libraries::libraries;
use crate::manifest;
use crate::patience::{PATIENCE, eventually};
use crate::process;
use crate::said::{Balance, Ledger, Reload, Status, Sums};
use crate::starter::Starter;

/// A running gateway. It is killed when it is dropped; where the test has failed, its log is printed.
#[derive(Debug)]
pub struct Gateway {
    directory: TempDir,
    child: Child,
    late: Option<u64>,
    json: bool,
    starter: Option<Starter>,
}

/// A gateway that is not running yet.
#[derive(Debug)]
pub struct Builder {
    directory: TempDir,
    text: String,
    descriptors: Option<u64>,
    umask: Option<libc::mode_t>,
    late: Option<u64>,
    json: bool,
    starter: Option<Starter>,
}

/// How a gateway ended that did not start.
#[derive(Debug)]
pub struct Failed {
    /// Its exit.
    pub status: ExitStatus,
    /// What it said.
    pub log: String,
}

impl Gateway {
    /// Begins with an empty components directory and a configuration that names nothing but the directories. Where the variable
    /// `TANDEM_LATE` has a seed, every answer comes late.
    ///
    /// # Panics
    /// Where there is no room for a directory.
    pub fn builder() -> Builder {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let components = directory.path().join("components");
        fs::create_dir(&components).expect("the directory is new");
        // Whatever the mask of whoever tests is: nobody else may write there.
        fs::set_permissions(&components, Permissions::from_mode(0o755)).expect("it is ours");
        let text = "components = \"components\"\ndata = \"data\"\n".to_owned();
        let late = std::env::var("TANDEM_LATE").ok();
        let late = late.map(|seed| seed.parse().expect("TANDEM_LATE is a seed, a number"));
        Builder { directory, text, descriptors: None, umask: None, late, json: false, starter: None }
    }

    /// The directory that a reload looks into.
    pub fn components(&self) -> PathBuf {
        self.directory.path().join("components")
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("tandem.toml")
    }

    /// A place for files of the test itself.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes the configuration anew; a reload takes it.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.file()).expect("the configuration is there");
        fs::write(self.file(), change(text)).expect("the configuration can be written");
    }

    /// Copies a library into the components directory as an operator should: under another name, then renamed.
    ///
    /// # Panics
    /// Where it cannot be copied.
    pub fn deploy(&self, library: &Path, name: &str) {
        place(&self.components(), library, name);
    }

    /// Copies a library over the one that is there, in place, as `cp` does.
    ///
    /// # Panics
    /// Where it cannot be copied.
    pub fn deploy_by_cp(&self, library: &Path, name: &str) {
        let content = fs::read(library).expect("the library is there");
        fs::write(self.components().join(name), content).expect("the components directory can be written");
        close_to_others(&self.components().join(name));
    }

    /// Puts a library that says another version of itself in the place of the one that is there. A reload takes it.
    ///
    /// # Panics
    /// Where it cannot be stamped or copied.
    pub fn deploy_stamped(&self, library: &Path, version: &str) {
        self.deploy_stamped_as(library, version, &file_name(library));
    }

    /// [`deploy_stamped`](Gateway::deploy_stamped), under another name.
    ///
    /// # Panics
    /// Where it cannot be stamped or copied.
    pub fn deploy_stamped_as(&self, library: &Path, version: &str, name: &str) {
        let hidden = self.components().join(".stamped.so");
        manifest::stamp(library, &hidden, version).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
        close_to_others(&hidden);
        fs::rename(hidden, self.components().join(name)).expect("both are in one directory");
    }

    /// [`deploy_stamped`](Gateway::deploy_stamped), and a reload that has to load it.
    ///
    /// # Panics
    /// Where it is not loaded.
    pub fn swap(&self, library: &Path, version: &str) -> Reload {
        self.deploy_stamped(library, version);
        let reload = self.reload();
        let file = reload.file(&file_name(library));
        assert_eq!((reload.ok, file.outcome.as_str()), (true, "loaded"), "{version}: {reload:?}");
        reload
    }

    /// `tandem reload --json`
    ///
    /// # Panics
    /// Where the command says nothing that can be read.
    pub fn reload(&self) -> Reload {
        let output = self.tandem(&["reload", "--json"]);
        let mut reload: Reload = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("tandem reload --json: {error}: {output:?}"));
        reload.code = output.status.code();
        reload
    }

    /// `tandem status --json`
    ///
    /// # Panics
    /// Where the command says nothing that can be read.
    pub fn status(&self) -> Status {
        let output = self.tandem(&["status", "--json"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("tandem status --json: {error}: {output:?}"))
    }

    /// `tandem status --ledger --json`, of which each line adds up: what became of all that each version has accepted.
    ///
    /// # Panics
    /// Where something does not add up, or the command says nothing that can be read.
    pub fn ledger(&self) -> Vec<Balance> {
        let output = self.tandem(&["status", "--ledger", "--json"]);
        let ledgers: Vec<Ledger> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("tandem status --ledger --json: {error}: {output:?}"));
        let balances: Vec<Balance> = ledgers.into_iter().flat_map(|ledger| ledger.balances).collect();
        let adds_up = |balance: &Balance| balance.whole.add_up() && balance.parts.add_up();
        assert!(balances.iter().all(adds_up) && output.status.success(), "{balances:#?}");
        balances
    }

    /// The same over all versions, in whole.
    ///
    /// # Panics
    /// As for [`Gateway::ledger`].
    pub fn ledger_in_all(&self) -> Sums {
        let mut all = Sums::default();
        for Balance { whole, .. } in self.ledger() {
            all.accepted += whole.accepted;
            all.delivered += whole.delivered;
            all.rejected += whole.rejected;
            all.expired += whole.expired;
            all.cancelled += whole.cancelled;
            all.pending += whole.pending;
            all.uncertain += whole.uncertain;
        }
        all
    }

    /// Runs the command line on this gateway's configuration.
    ///
    /// # Panics
    /// Where it cannot be run.
    pub fn tandem(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("tandem can be run")
    }

    /// The command line on this gateway's configuration, not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&libraries().tandem);
        command.args(arguments).arg("--config").arg(self.file()).stdin(Stdio::null());
        command
    }

    /// Says to reload, as an operator does; does not wait for it.
    pub fn sighup(&self) {
        process::signal(self.pid(), libc::SIGHUP);
    }

    /// Says to stop and waits for the end.
    ///
    /// # Panics
    /// Where it does not end within `deadline`.
    pub fn stop(&mut self, signal: libc::c_int, deadline: Duration) -> ExitStatus {
        process::signal(self.pid(), signal);
        self.ended(deadline)
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// Where it does not end within `deadline`.
    pub fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status;
            }
            assert!(begun.elapsed() < deadline, "the gateway has not ended after {deadline:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, as a crash or a power cut would, and starts it again in the same place.
    ///
    /// # Panics
    /// Where it does not serve again within [`PATIENCE`].
    pub fn kill_and_start(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
        self.start_again();
    }

    /// Starts one that has ended again in the same place.
    ///
    /// # Panics
    /// Where it does not serve again within [`PATIENCE`].
    pub fn start_again(&mut self) {
        self.child = run(self.directory.path(), None, None, self.late, self.json, self.starter.as_ref());
        self.serves();
    }

    /// Stops it, as an operator does, and starts it again in the same place.
    ///
    /// # Panics
    /// Where it does not end, or does not serve again, within [`PATIENCE`].
    pub fn stop_and_start(&mut self) {
        assert!(self.stop(libc::SIGTERM, PATIENCE).success());
        self.start_again();
    }

    /// Waits until every service has a version.
    fn serves(&mut self) {
        eventually("the gateway serves", || {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                panic!("the gateway has ended: {status}");
            }
            let status: Status = serde_json::from_slice(&self.tandem(&["status", "--json"]).stdout).ok()?;
            status.services.iter().all(|service| service.version.is_some()).then_some(())
        });
    }

    /// Its resident memory, in bytes.
    pub fn rss(&self) -> u64 {
        process::rss(self.pid())
    }

    /// The libraries of its shelf that it has mapped.
    pub fn maps(&self) -> BTreeSet<PathBuf> {
        let data = self.directory.path().join("data").canonicalize().expect("a running gateway has its data");
        process::mapped(self.pid(), &data)
    }

    /// All that it has logged.
    ///
    /// # Panics
    /// Where the log is not there.
    pub fn log(&self) -> String {
        log(self.directory.path())
    }

    /// Who has started it.
    ///
    /// # Panics
    /// Where it was the test itself.
    pub fn starter(&self) -> &Starter {
        self.starter.as_ref().expect("the builder was told who starts it")
    }

    /// A new connection to a port of it.
    pub fn connect(&self, port: u16) -> Client {
        Client::connect(loopback(port))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            const LINES_MAX: usize = 200;
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("--- the gateway's log, its last {LINES_MAX} lines ---");
            lines[lines.len().saturating_sub(LINES_MAX)..].iter().for_each(|line| println!("{line}"));
        }
    }
}

impl Builder {
    /// Adds to the end of the configuration.
    #[must_use]
    pub fn toml(mut self, text: &str) -> Self {
        self.text.push_str(text.trim());
        self.text.push('\n');
        self
    }

    /// Keeps its data somewhere else.
    #[must_use]
    pub fn data(mut self, directory: &str) -> Self {
        self.text = self.text.replace("data = \"data\"", &format!("data = \"{directory}\""));
        self
    }

    /// Puts a library into the components directory.
    ///
    /// # Panics
    /// Where it cannot be copied.
    #[must_use]
    pub fn library(self, library: &Path) -> Self {
        let name = file_name(library);
        self.library_as(library, &name)
    }

    /// Puts a library into the components directory, under another name.
    ///
    /// # Panics
    /// Where it cannot be copied.
    #[must_use]
    pub fn library_as(self, library: &Path, name: &str) -> Self {
        place(&self.directory.path().join("components"), library, name);
        self
    }

    /// Lets it have so many descriptors at most.
    #[must_use]
    pub fn descriptors(self, count: u64) -> Self {
        Builder { descriptors: Some(count), ..self }
    }

    /// Runs it with this mask of file modes.
    #[must_use]
    pub fn umask(self, mask: u32) -> Self {
        Builder { umask: Some(mask), ..self }
    }

    /// Has every answer come late, by what this seed says; `None`: as it comes.
    #[must_use]
    pub fn late(self, seed: Option<u64>) -> Self {
        Builder { late: seed, ..self }
    }

    /// Its system trusts these authorities, and no others.
    ///
    /// # Panics
    /// Where the file cannot be read.
    #[must_use]
    pub fn system_trusts(self, authorities: &Path) -> Self {
        fs::copy(authorities, self.directory.path().join(AUTHORITIES)).expect("there is room for authorities");
        self
    }

    /// Has it log in JSON.
    #[must_use]
    pub fn json(self) -> Self {
        Builder { json: true, ..self }
    }

    /// Has it started by this one.
    #[must_use]
    pub fn started_by(self, starter: Starter) -> Self {
        Builder { starter: Some(starter), ..self }
    }

    /// A place for files of the test itself, which the gateway will have as well.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts it and waits until every service has a version.
    ///
    /// # Panics
    /// Where it ends, or does not serve within [`PATIENCE`].
    pub fn start(self) -> Gateway {
        let mut gateway = self.spawn();
        gateway.serves();
        gateway
    }

    /// Starts it and waits for its end.
    ///
    /// # Panics
    /// Where it goes on running.
    pub fn start_in_vain(self) -> Failed {
        let mut gateway = self.spawn();
        let status = gateway.ended(PATIENCE);
        Failed { status, log: gateway.log() }
    }

    fn spawn(self) -> Gateway {
        let Builder { directory, text, descriptors, umask, late, json, starter } = self;
        fs::write(directory.path().join("tandem.toml"), &text).expect("there is room for a configuration");
        let child = run(directory.path(), descriptors, umask, late, json, starter.as_ref());
        Gateway { directory, child, late, json, starter }
    }
}

/// Runs a gateway in a directory, with its log there.
fn run(
    directory: &Path,
    descriptors: Option<u64>,
    umask: Option<libc::mode_t>,
    late: Option<u64>,
    json: bool,
    starter: Option<&Starter>,
) -> Child {
    let log =
        fs::OpenOptions::new().create(true).append(true).open(directory.join(LOG)).expect("there is room for a log");
    let program = &libraries().tandem;
    let mut command = starter.map_or_else(|| Command::new(program), |starter| starter.command(program));
    command.arg("run").arg("--config").arg(directory.join("tandem.toml")).stdin(Stdio::null());
    command.args(late.iter().flat_map(|seed| ["--late".to_owned(), seed.to_string()]));
    command.args(json.then_some("--json"));
    command.stdout(log.try_clone().expect("there is a descriptor left")).stderr(log);
    process::end_with_this_thread(&mut command);
    let authorities = directory.join(AUTHORITIES);
    if authorities.exists() {
        command.env("SSL_CERT_FILE", authorities);
    }
    if let Some(count) = descriptors {
        let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
        // SAFETY: `setrlimit` may be called between fork and exec; the limit is a copy that the closure has.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }
    if let Some(mask) = umask {
        // SAFETY: `umask` may be called between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::umask(mask);
                Ok(())
            });
        }
    }
    command.spawn().expect("tandem can be run")
}

/// A port of the loopback.
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn place(components: &Path, library: &Path, name: &str) {
    let hidden = components.join(format!(".{name}.tmp"));
    fs::copy(library, &hidden).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    close_to_others(&hidden);
    fs::rename(hidden, components.join(name)).expect("both are in one directory");
}

/// A copy has the mode of what it was copied from, and what is built has that of the builder's mask.
fn close_to_others(library: &Path) {
    fs::set_permissions(library, Permissions::from_mode(0o644)).expect("it is ours");
}

fn file_name(library: &Path) -> String {
    library.file_name().expect("a library has a name").to_string_lossy().into_owned()
}

fn log(directory: &Path) -> String {
    String::from_utf8_lossy(&fs::read(directory.join(LOG)).expect("the log is there")).into_owned()
}

const LOG: &str = "log";
/// The authorities that the gateway's system trusts, where they are not this one's.
const AUTHORITIES: &str = "authorities.pem";
