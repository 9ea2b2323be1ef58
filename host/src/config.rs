//! The configuration: one TOML file, checked whole before anything is done with it.
//!
//! An error names the key, the line and what would be right. Paths in the file are relative to the file's directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tandem_component::Policy;

use crate::account::{self, Accounts};
use crate::agreement::Agreement;
use crate::loader::signature::Keys;
use crate::service::connector::Reconnect;
use crate::service::{Health, Settings};
use crate::system::ADMIN;
use crate::tls;
use crate::transport::{Address, proxy};

mod admin;
mod component;
mod connect;
mod examination;
mod lines;
mod listen;
mod overrun;
mod records;
#[cfg(test)]
mod reference;
mod traces;

pub use admin::Admin;
pub use component::{Canary, Component, Memory, Rollback, Share, Versions};
pub use examination::Examination;
pub use listen::Listen;
pub use overrun::Overrun;
pub use records::{Records, Size};
pub use traces::Traces;

/// The upstreams by name, with the health of their servers, in the order of the servers.
pub type Upstreams = BTreeMap<String, (Settings, Vec<Arc<Health>>)>;

/// What `run` uses where no file is named.
pub const EMBEDDED: &str = include_str!("default.toml");

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory that a reload looks into.
    #[serde(default = "default_components")]
    pub components: PathBuf,
    /// The shelf, the admin socket, the lock. Takes a restart to change.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// How many worker threads; as many as processors at the start where it is not said. Takes a restart to change.
    pub workers: Option<usize>,
    /// How long sessions get to end when the host stops.
    #[serde(default = "default_shutdown")]
    pub shutdown: Span,
    /// Where it is asked beside the admin socket.
    #[serde(default)]
    pub admin: Admin,
    /// How long a component may take over one event.
    #[serde(default)]
    pub overrun: Overrun,
    /// Services by name.
    #[serde(default)]
    pub service: BTreeMap<String, Service>,
    /// What listeners serve by TLS with, by name.
    #[serde(default)]
    pub tls: BTreeMap<String, tls::Settings>,
    /// Upstreams by name.
    #[serde(default)]
    pub upstream: BTreeMap<String, Settings>,
    /// Accounts by name.
    #[serde(default)]
    pub account: Accounts,
    /// How many wrong secrets may be tried.
    #[serde(default)]
    pub attempts: account::attempts::Limits,
    /// Agreements by name.
    #[serde(default)]
    pub agreement: BTreeMap<String, Agreement>,
    /// What is said of components, by name.
    #[serde(default)]
    pub component: BTreeMap<String, Component>,
    /// Groups of components that change in one publication, or not at all.
    #[serde(default)]
    pub together: Vec<Vec<String>>,
    /// Whose libraries are loaded; anybody's where it is not said.
    #[serde(default)]
    pub trust: Keys,
    /// How libraries are examined.
    #[serde(default)]
    pub examination: Examination,
    /// Where traces are exported to; nowhere where it is not said.
    pub traces: Option<Traces>,
}

/// `[service.NAME]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The component that serves.
    pub component: String,
    /// Where it listens; nowhere where only other services call it.
    #[serde(default)]
    pub listen: Vec<Listen>,
    /// Where it is connected to, for as long as it is here.
    #[serde(default)]
    pub connect: Vec<Address>,
    /// How many connections to each of these; one where it is not said.
    pub connections: Option<usize>,
    /// How it is made sure who is there; by nothing where it is not said.
    pub connect_tls: Option<tls::Dial>,
    /// By which version of the PROXY protocol it is said there that we connect for ourselves; by none where it is not said.
    pub connect_proxy_protocol: Option<proxy::header::Version>,
    /// When one that is lost is made again.
    pub reconnect: Option<Reconnect>,
    /// What becomes of its sessions, where that is not what the component says.
    pub policy: Option<Policy>,
    /// Whether its exchanges have to be admitted.
    #[serde(default)]
    pub admission: Admission,
    /// Where its records go.
    pub records: Option<Records>,
    /// How long a keyed conversation stays bound to its version, and how many there may be.
    #[serde(default)]
    pub bindings: Bindings,
    /// The component's own configuration.
    pub config: Option<toml::Value>,
}

/// `admission = "required"`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// Its sessions ask for it where they do.
    #[default]
    Optional,
    /// They call, dial and forward only while they hold one.
    Required,
}

/// `bindings = { … }`
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bindings {
    /// After so long without a word of the conversation its binding ends.
    pub idle: Span,
    /// So many a service may have; beyond that the one that would end first makes room.
    pub max: u64,
}

impl Default for Bindings {
    fn default() -> Self {
        Bindings { idle: Span::seconds(30 * 60), max: 100_000 }
    }
}

fn default_components() -> PathBuf {
    "var/components".into()
}
fn default_data() -> PathBuf {
    "var/data".into()
}
fn default_shutdown() -> Span {
    Span::seconds(10)
}

/// A span of time, written `250ms`, `10s` or `2h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(Duration);

impl Span {
    /// Of so many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// Of so many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Span(Duration::from_millis(millis))
    }

    /// What is waited for longer than this is not waited for.
    const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

    /// As std has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |reason: &str| format!("`{text}` is no span of time: {reason}; write 250ms, 10s or 2h 30m");
        let span = humantime::parse_duration(&text).map_err(|error| wrong(&error.to_string()))?;
        // So that a deadline can always be told: an `Instant` does not reach as far as a `Duration`.
        if span > Span::LONGEST { Err(wrong("it is longer than 100 years")) } else { Ok(Span(span)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The one that is built in; its paths are relative to the working directory.
    Embedded,
    /// A file.
    File(PathBuf),
}

/// What is wrong with a configuration: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no configuration.
    #[error("{place}: {reason}")]
    Wrong {
        /// The file and the line.
        place: String,
        /// Why, with the key and what would be right.
        reason: String,
    },
}

impl Source {
    /// Reads and checks the whole of it.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn read(&self) -> Result<Config, ConfigError> {
        self.parse(&self.text()?)
    }

    /// Checks the whole of a text that comes from here.
    ///
    /// # Errors
    /// As for [`read`](Source::read).
    pub fn parse(&self, text: &str) -> Result<Config, ConfigError> {
        let mut config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| lines::number(text, span.start));
            self.wrong(line, error.message().to_owned())
        })?;
        if let Err((path, reason)) = config.check() {
            return Err(self.wrong(lines::of(text, &path), format!("{}: {reason}", path.join("."))));
        }
        if let Source::File(file) = self {
            config.resolve(file.parent().unwrap_or(Path::new("")));
        }
        Ok(config)
    }

    /// Where the admin socket of the gateway with this configuration is, also where the rest of it is wrong: a host that runs
    /// is to be asked even then, and says what is wrong.
    pub fn admin(&self) -> PathBuf {
        let text = self.text().unwrap_or_default();
        let named = match text.parse::<toml::Table>() {
            Ok(table) => table.get("data").and_then(|data| Some(data.as_str()?.to_owned())),
            // Not even TOML: the line that says it, above the first table.
            Err(_) => text
                .lines()
                .take_while(|line| !line.trim_start().starts_with('['))
                .filter_map(|line| line.parse::<toml::Table>().ok())
                .find_map(|table| Some(table.get("data")?.as_str()?.to_owned())),
        };
        let data = named.map_or_else(default_data, PathBuf::from);
        match self {
            Source::Embedded => data.join(ADMIN),
            Source::File(file) => file.parent().unwrap_or(Path::new("")).join(data).join(ADMIN),
        }
    }

    /// An error at a key, with its line as far as the key is there: `routes[0].upstream` below `service.web.config`.
    pub fn wrong_at(&self, path: &[&str], below: &str, reason: &str) -> ConfigError {
        let keys = below.split(['.', '[', ']']).filter(|key| !key.is_empty());
        let whole: Vec<String> = path.iter().copied().chain(keys).map(str::to_owned).collect();
        let line = self.text().ok().and_then(|text| lines::of(&text, &whole));
        let dot = if below.is_empty() { "" } else { "." };
        self.wrong(line, format!("{}{dot}{below}: {reason}", path.join(".")))
    }

    /// As [`wrong_at`](Source::wrong_at), at this very key.
    pub fn wrong_at_path(&self, path: &[String], reason: &str) -> ConfigError {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.wrong_at(&path, "", reason)
    }

    fn text(&self) -> Result<String, ConfigError> {
        match self {
            Source::Embedded => Ok(EMBEDDED.to_owned()),
            Source::File(path) => {
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })
            }
        }
    }

    fn wrong(&self, line: Option<usize>, reason: String) -> ConfigError {
        let name = match self {
            Source::Embedded => "the embedded configuration".to_owned(),
            Source::File(path) => path.display().to_string(),
        };
        let place = line.map_or_else(|| name.clone(), |line| format!("{name}:{line}"));
        ConfigError::Wrong { place, reason }
    }
}

impl Config {
    /// What a type cannot say. An error is the path of the key, and the reason.
    fn check(&self) -> Result<(), (Vec<String>, String)> {
        let at = |path: &[&str], reason: String| Err((path.iter().map(ToString::to_string).collect(), reason));
        if let Some(workers) = self.workers
            && !(1..=1024).contains(&workers)
        {
            return at(&["workers"], format!("{workers} is not between 1 and 1024"));
        }
        if let Err((key, reason)) = self.examination.check() {
            return at(&["examination", key], reason);
        }
        if let Err((key, reason)) = self.admin.check(&self.tls) {
            return at(&["admin", key], reason);
        }
        if let Err((key, reason)) = self.overrun.check() {
            return at(&["overrun", key], reason);
        }
        if self.service.is_empty() {
            return at(&["service"], "there is no service; write [service.web] with component and listen".into());
        }
        let mut taken: BTreeMap<&Address, &str> = BTreeMap::new();
        let mut files: BTreeMap<&PathBuf, (&str, &Records)> = BTreeMap::new();
        for (name, service) in &self.service {
            if let Err((key, reason)) = connect::check(service) {
                let path = ["service", name.as_str()].into_iter().chain(key.iter().copied());
                return Err((path.map(str::to_owned).collect(), reason));
            }
            if service.bindings.max == 0 {
                return at(&["service", name, "bindings", "max"], "at least 1: with 0 nothing can be bound".into());
            }
            if service.bindings.idle.get().is_zero() {
                let reason = "at least 1ms: within no time nothing is bound".into();
                return at(&["service", name, "bindings", "idle"], reason);
            }
            if let Some(reason) = service.listen.iter().find_map(|listen| listen.check(&self.tls).err()) {
                return at(&["service", name, "listen"], reason);
            }
            if let Some(records) = &service.records {
                if let Err((key, reason)) = records.check() {
                    return at(&["service", name, "records", key], reason);
                }
                let (other, others) = *files.entry(&records.file).or_insert((name, records));
                if others != records {
                    let reason = format!("service.{other} has that file with other settings; write the same in both");
                    return at(&["service", name, "records"], reason);
                }
            }
            for Listen { address, .. } in &service.listen {
                if let Some(other) = taken.insert(address, name) {
                    return at(&["service", name, "listen"], format!("{address} is taken by service.{other}"));
                }
            }
        }
        for (name, settings) in &self.tls {
            if let Err((key, reason)) = settings.check() {
                return at(&["tls", name, key], reason);
            }
        }
        for (name, upstream) in &self.upstream {
            if upstream.servers.is_empty() {
                let reason = "it has no server; write servers = [\"tcp://127.0.0.1:9000\"]".into();
                return at(&["upstream", name, "servers"], reason);
            }
            let unreachable = |server: &&Address| matches!(server, Address::Tcp(address) if address.port() == 0);
            if let Some(server) = upstream.servers.iter().find(unreachable) {
                return at(&["upstream", name, "servers"], format!("{server} has no port; write tcp://127.0.0.1:9000"));
            }
            if upstream.max_connections == 0 {
                return at(&["upstream", name, "max_connections"], "at least 1: with 0 it serves nothing".into());
            }
            if upstream.connect_timeout.get().is_zero() {
                let reason = "at least 1ms: within no time there is no connection".into();
                return at(&["upstream", name, "connect_timeout"], reason);
            }
            if let Some(server) = upstream.servers.iter().find(|server| matches!(server, Address::Udp(_))) {
                return at(&["upstream", name, "servers"], format!("{server} is no stream; write tcp:// or unix://"));
            }
        }
        if let Some((path, reason)) = self.wrong_dials().next() {
            return Err((path, reason));
        }
        for (name, one) in &self.account {
            if let Err(reason) = account::check_name(name) {
                return at(&["account", name], reason);
            }
            if let Err(reason) = account::check_services(one.services.as_ref(), self.service.keys()) {
                return at(&["account", name, "services"], reason);
            }
        }
        for (name, agreement) in &self.agreement {
            if let Err((key, reason)) = agreement.check(self.service.keys()) {
                let path: &[&str] = if key.is_empty() { &["agreement", name] } else { &["agreement", name, key] };
                return at(path, reason);
            }
        }
        for (name, component) in &self.component {
            if let (Some(soft), Some(hard)) = (component.memory.soft, component.memory.hard)
                && soft > hard
            {
                return at(&["component", name, "memory"], "soft is more than hard, and would never be come to".into());
            }
            if let Some(version) = &component.version {
                let number = version.split_once('#').map_or(version.as_str(), |(number, _)| number);
                if let Err(error) = semver::Version::parse(number) {
                    let reason = format!("`{version}` is no version: {error}; write 1.2.0 or 1.2.0#3fa9c1");
                    return at(&["component", name, "version"], reason);
                }
            }
        }
        for group in &self.together {
            for name in group {
                if !self.service.values().any(|service| service.component == *name) {
                    return at(&["together"], format!("no service has the component `{name}`"));
                }
            }
        }
        Ok(())
    }

    fn resolve(&mut self, directory: &Path) {
        let resolve = |path: &mut PathBuf| *path = directory.join(&*path);
        resolve(&mut self.components);
        resolve(&mut self.data);
        self.admin.resolve(directory);
        self.tls.values_mut().for_each(|settings| settings.resolve(directory));
        let upstreams = self.upstream.values_mut().filter_map(|upstream| upstream.tls.as_mut());
        let services = self.service.values_mut().filter_map(|service| service.connect_tls.as_mut());
        upstreams.chain(services).for_each(|dial| dial.resolve(directory));
        let records = self.service.values_mut().filter_map(|service| service.records.as_mut());
        records.map(|records| &mut records.file).for_each(resolve);
    }

    /// What is said of a component, or what holds where nothing is.
    pub fn component(&self, name: &str) -> Component {
        self.component.get(name).cloned().unwrap_or_default()
    }

    /// Of which components it says something, though no service has them and they are none of those that are there.
    pub fn unknown_components<'a>(&'a self, there: impl Iterator<Item = &'a str>) -> Vec<String> {
        let served = self.service.values().map(|service| service.component.as_str());
        let known: BTreeSet<&str> = served.chain(there).collect();
        let names = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let unknown = self.component.keys().filter(|name| !known.contains(name.as_str()));
        let finding =
            |name| format!("component.{name}: no file is this component, and no service has it; there are {names}");
        unknown.map(finding).collect()
    }

    /// Where the admin socket is.
    pub fn admin_socket(&self) -> PathBuf {
        self.data.join(ADMIN)
    }
}

#[cfg(test)]
mod tests {
    use super::{ADMIN, EMBEDDED, Source};

    fn error(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tandem.toml");
        std::fs::write(&file, text).unwrap();
        let error = Source::File(file).read().unwrap_err().to_string();
        error.replace(&format!("{}/", directory.path().display()), "")
    }

    #[test]
    fn the_embedded_one_is_right() {
        let config = Source::Embedded.read().unwrap();
        assert!(EMBEDDED.contains("8080") && config.service.len() == 7);
    }

    #[test]
    fn the_admin_socket_is_found_also_where_the_file_is_wrong() {
        let rows = [
            ("data = \"d\"\ncolour = 1\n", "d"),
            ("data = \"d\"\n[service.web\n", "d"),
            ("[service.web\n", "var/data"),
        ];
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tandem.toml");
        for (text, data) in rows {
            std::fs::write(&file, text).unwrap();
            assert_eq!(Source::File(file.clone()).admin(), directory.path().join(data).join(ADMIN), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_account_is_named_and_its_secret_is_not() {
        const WEB: &str = "[service.web]\ncomponent = \"http\"\nlisten = [\"tcp://127.0.0.1:1\"]\n";
        const HASHED: &str =
            "secret = \"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\"";
        let dear = HASHED.replace("m=256", "m=1000000");
        let rows = [
            ("[account.acme]\nsecret = \"hunter2\"".to_owned(), "tandem.toml:5", "`tandem account hash`"),
            ("[account.acme]\nsecret = 22222".to_owned(), "tandem.toml:5", "`tandem account hash`"),
            ("[account.acme]\nsecret = [\"hunter2\"]".to_owned(), "tandem.toml:5", "`tandem account hash`"),
            ("[account]\nacme = \"hunter2\"".to_owned(), "tandem.toml:5", "[account.NAME]"),
            ("[account]\nacme = 22222".to_owned(), "tandem.toml:5", "[account.NAME]"),
            (format!("[account.acme]\n{dear}"), "tandem.toml:5", "would cost too much"),
            ("[account.acme]".to_owned(), "tandem.toml:4", "missing field `secret`"),
            (format!("[account.acme]\n{HASHED}\npassword = \"hunter2\""), "tandem.toml:6", "unknown field `password`"),
            (
                format!("[account.acme]\n{HASHED}\n[account.acme.agreement.web]"),
                "tandem.toml:6",
                "unknown field `agreement`",
            ),
            (
                format!("[account.acme]\n{HASHED}\nservices = [\"web\", \"x\"]"),
                "tandem.toml:6",
                "no service `x`; there are `web`",
            ),
            (format!("[account.acme]\n{HASHED}\nservices = []"), "tandem.toml:6", "leave `services` out"),
            (format!("[account.\"a b\"]\n{HASHED}"), "tandem.toml:4", "an account's name"),
        ];
        for (text, place, reason) in rows {
            let error = error(&format!("{WEB}{text}\n"));
            assert!(error.starts_with(place) && error.contains(reason), "{text}\n{error}");
            assert!(
                !error.contains("hunter2") && !error.contains("22222") && !error.contains("c29tZXNhbHQ"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_error_names_the_line_the_key_and_what_would_be_right() {
        const WEB: &str = "[service.web]\ncomponent = \"http\"\nlisten = [\"tcp://127.0.0.1:1\"]\n";
        let rows = [
            ("workres = 2\n", "tandem.toml:1", "unknown field `workres`, expected one of"),
            ("workers = 0\n[service.a]\ncomponent=\"x\"\n", "tandem.toml:1", "not between 1 and 1024"),
            ("", "tandem.toml", "[service.web]"),
            ("[service.web]\ncomponent = \"http\"\nlisten = [\"8080\"]\n", "tandem.toml:3", "tcp://127.0.0.1:8080"),
            (&format!("{WEB}[service.b]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:1\"]\n"), "", "is taken by"),
            (&format!("{WEB}[upstream.a]\nservers = []\n"), "tandem.toml:5", "upstream.a.servers"),
            (&format!("{WEB}[upstream.a]\nservers = [\"tcp://127.0.0.1:0\"]\n"), "tandem.toml:5", "has no port"),
            (
                &format!("{WEB}[upstream.a]\nservers = [\"tcp://127.0.0.1:1\"]\nmax_connections = 0\n"),
                "tandem.toml:6",
                "at least 1",
            ),
            (
                &format!("{WEB}[upstream.a]\nservers = [\"tcp://127.0.0.1:1\"]\nconnect_timeout = \"0s\"\n"),
                "tandem.toml:6",
                "at least 1ms",
            ),
            (&format!("{WEB}[component.http]\nversion = \"one\"\n"), "tandem.toml:5", "1.2.0#3fa9c1"),
            (&format!("together = [[\"smpp\"]]\n{WEB}"), "tandem.toml:1", "`smpp`"),
            (&format!("shutdown = \"soon\"\n{WEB}"), "tandem.toml:1", "250ms"),
            (&format!("examination.limit = \"18446744073709551615s\"\n{WEB}"), "tandem.toml:1", "100 years"),
            (&format!("examination.memory = \"1MB\"\n{WEB}"), "tandem.toml:1", "at least 64MiB"),
            (&format!("trust = [\"hunter2\"]\n{WEB}"), "tandem.toml:1", "no public key of minisign"),
            (&format!("trust = []\n{WEB}"), "tandem.toml:1", "leave `trust` out"),
            ("[service.web\n", "tandem.toml:1", "]"),
        ];
        for (text, place, reason) in rows {
            let error = error(text);
            assert!(error.starts_with(place) && error.contains(reason), "{text}\n{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
