//! `tandem dev`: builds a component at each change of its sources, and deploys it into a gateway that runs.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use cargo_metadata::{Artifact, Message, Metadata, MetadataCommand, Package, TargetKind};
use notify::{EventKind, RecursiveMode, Watcher};
use tandem_component::manifest::name_of_package;

use super::say;
use crate::admin::{Answer, Request, SessionStatus, ask};
use crate::clock;
use crate::config::Source;
use crate::system;

/// So long nothing is to change before it is built: an editor writes several files, one after the other.
const QUIET: Duration = Duration::from_millis(200);
/// So long it is looked what has become of sessions, and how often.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);
/// Of so many it is said why they stay.
const SESSIONS_MAX: usize = 100;

/// The package in this directory. `release`: as it is built for those who use it.
pub(super) fn dev(directory: &Path, release: bool, source: &Source) -> anyhow::Result<ExitCode> {
    let component = Component::find(directory)?;
    let (changed, changes) = channel();
    // Before the first build: what changes meanwhile is built next.
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Who listens has ended.
        let _ = changed.send(event);
    });
    let mut watcher = watcher.context("changes of files cannot be watched")?;
    for place in &component.places {
        let failed = || format!("{} cannot be watched", place.display());
        watcher.watch(place, RecursiveMode::Recursive).with_context(failed)?;
    }
    let mut places = apart(source).unwrap_or_default();
    loop {
        if let Err(error) = component.deploy(release, source) {
            // What is wrong is for whoever writes it to mend: the next change is built again.
            say(format_args!("not deployed: {error:#}"));
        }
        say(format_args!("watching {}; ctrl-C ends it", shown(&component.places)));
        // While the configuration cannot be read, the gateway's places are those that it has said before.
        places = apart(source).unwrap_or(places);
        component.wait(&changes, &places)?;
    }
}

/// A package that makes a component's library, and what it is made of.
struct Component {
    package: Package,
    /// Its own directory, and those of the packages beside it that it is built with.
    places: BTreeSet<PathBuf>,
    /// Where cargo puts what it builds.
    target: PathBuf,
}

impl Component {
    fn find(directory: &Path) -> anyhow::Result<Self> {
        let manifest = directory.join("Cargo.toml");
        if !manifest.is_file() {
            bail!("{} is no package: it has no Cargo.toml; `tandem new NAME` makes one", directory.display());
        }
        let metadata = MetadataCommand::new().manifest_path(&manifest).exec().context("cargo metadata")?;
        let path = manifest.canonicalize()?;
        let own = metadata.packages.iter().find(|package| package.manifest_path.as_std_path() == path);
        let package = own.ok_or_else(|| anyhow!("{} is no package of its own", manifest.display()))?.clone();
        if !package.targets.iter().any(|target| target.kind.contains(&TargetKind::CDyLib)) {
            bail!(
                "{} makes no library that can be loaded; write crate-type = [\"cdylib\"] below [lib]",
                manifest.display()
            );
        }
        let places = beside(&metadata, &package);
        Ok(Component { package, places, target: metadata.target_directory.into_std_path_buf() })
    }

    /// Builds it, puts it where the gateway looks, and says what became of it.
    fn deploy(&self, release: bool, source: &Source) -> anyhow::Result<()> {
        let built = self.build(release)?;
        let components = source.read()?.components;
        if !components.is_dir() {
            bail!(
                "components: {} is no directory; make it, or name the configuration by --config",
                components.display()
            );
        }
        put(&built, &components)?;
        say(format_args!("{} is copied into {}", built.display(), components.display()));
        let report = match ask(&source.admin(), &Request::Reload) {
            Ok(Answer::Reload(report)) => report,
            Ok(other) => bail!("the host answered something else: {other:?}"),
            Err(error) => {
                let how = match source {
                    Source::File(file) => format!("tandem run --config {}", file.display()),
                    Source::Embedded => "tandem run".to_owned(),
                };
                say(format_args!("{error} `{how}` begins with it"));
                return Ok(());
            }
        };
        report.lines().iter().for_each(say);
        if report.ok {
            self.say_what_moved(source)?;
        }
        Ok(())
    }

    /// What became of the sessions that there were, once that is known.
    fn say_what_moved(&self, source: &Source) -> anyhow::Result<()> {
        let until = clock::instant() + PATIENCE;
        loop {
            let Answer::Status(status) = ask(&source.admin(), &Request::Status)? else { return Ok(()) };
            match status.moves {
                Some(moves) => {
                    say(format_args!("{} sessions moved, {} stay where they are", moves.moved, moves.stay));
                    return if moves.stay > 0 { self.say_why_they_stay(source) } else { Ok(()) };
                }
                None if clock::instant() < until => std::thread::sleep(LOOK),
                None => return Ok(()),
            }
        }
    }

    /// Each reason once: mostly all of them have the same one.
    fn say_why_they_stay(&self, source: &Source) -> anyhow::Result<()> {
        let named = Some(name_of_package(&self.package.name).to_owned());
        let request = Request::Sessions { named, most: SESSIONS_MAX, states: false };
        let Answer::Holders(holders) = ask(&source.admin(), &request)? else { return Ok(()) };
        let stays = |session: SessionStatus| Some(format!("    on {}: {}", session.version, session.stays?));
        let reasons: BTreeSet<String> = holders.sessions.into_iter().filter_map(stays).collect();
        reasons.iter().for_each(say);
        Ok(())
    }

    /// The library that cargo has made. What is wrong with the sources cargo says itself.
    fn build(&self, release: bool) -> anyhow::Result<PathBuf> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--message-format", "json-render-diagnostics", "--manifest-path"]);
        cargo.arg(&self.package.manifest_path).args(release.then_some("--release"));
        let mut building = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo cannot be run")?;
        let said = building.stdout.take().context("cargo says nothing")?;
        let mut library = None;
        for message in Message::parse_stream(BufReader::new(said)) {
            if let Message::CompilerArtifact(Artifact { package_id, filenames, .. }) = message?
                && package_id == self.package.id
            {
                let is_library = |file: &&cargo_metadata::camino::Utf8PathBuf| {
                    file.extension() == Some(std::env::consts::DLL_EXTENSION)
                };
                library = filenames.iter().find(is_library).map(|file| file.clone().into_std_path_buf()).or(library);
            }
        }
        let status = building.wait()?;
        if !status.success() {
            bail!("cargo build: {status}");
        }
        library.context("cargo build has made no library")
    }

    /// Waits until something has changed that it is made of, and nothing more does for a while.
    fn wait(&self, changes: &Receiver<notify::Result<notify::Event>>, apart: &[PathBuf]) -> anyhow::Result<()> {
        while !self.is_changed(&changes.recv()??, apart) {}
        loop {
            match changes.recv_timeout(QUIET) {
                Ok(event) => drop(event?),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => bail!("changes of files are not told any more"),
            }
        }
    }

    fn is_changed(&self, event: &notify::Event, apart: &[PathBuf]) -> bool {
        let changes = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_));
        let is_source = |path: &PathBuf| {
            // What editors and cargo put beside the sources is hidden, or ends so.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let passing =
                name.starts_with(['.', '#']) || name.ends_with(['~', '#']) || name == "Cargo.lock" || name == "4913";
            let hidden = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with(".git"));
            !passing && !hidden && !path.starts_with(&self.target) && !apart.iter().any(|other| path.starts_with(other))
        };
        changes && event.paths.iter().any(is_source)
    }
}

/// What the gateway writes, and we for it, which may lie in the package.
fn apart(source: &Source) -> anyhow::Result<Vec<PathBuf>> {
    let config = source.read()?;
    // What is not there yet has no other name.
    let named = |directory: PathBuf| directory.canonicalize().or_else(|_| std::path::absolute(directory));
    Ok(vec![named(config.components)?, named(config.data)?])
}

/// The directories of a package and of those that it is built with and that no registry has.
fn beside(metadata: &Metadata, package: &Package) -> BTreeSet<PathBuf> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: std::collections::BTreeMap<_, _> = nodes.map(|node| (&node.id, &node.dependencies)).collect();
    let (mut reached, mut at) = (vec![&package.id], 0);
    while let Some(id) = reached.get(at) {
        let further = nodes.get(*id).into_iter().flat_map(|further| *further);
        let further: Vec<_> = further.filter(|id| !reached.contains(id)).collect();
        reached.extend(further);
        at += 1;
    }
    let local = metadata.packages.iter().filter(|package| package.source.is_none() && reached.contains(&&package.id));
    local.filter_map(|package| Some(package.manifest_path.parent()?.as_std_path().to_owned())).collect()
}

/// Under a hidden name first: a reload never meets half a file.
fn put(library: &Path, components: &Path) -> anyhow::Result<()> {
    let name = library.file_name().context("cargo build has made a library without a name")?;
    let hidden = components.join(format!(".{}", name.display()));
    let put = || -> std::io::Result<()> {
        std::fs::copy(library, &hidden)?;
        system::only_owner_writes(&hidden)?;
        std::fs::rename(&hidden, components.join(name))
    };
    put().with_context(|| format!("{} cannot be copied into {}", library.display(), components.display()))
}

fn shown(places: &BTreeSet<PathBuf>) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}
