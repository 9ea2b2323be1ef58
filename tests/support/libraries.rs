//! What the tests run, built as a user builds it: with cargo, in the profile of the tests.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The components of the workspace and its gateway.
#[derive(Debug)]
pub struct Libraries {
    /// `libtandem_http.so`
    pub http: PathBuf,
    /// `libtandem_echo.so`
    pub echo: PathBuf,
    /// `libtandem_smpp.so`
    pub smpp: PathBuf,
    /// `libtandem_rest.so`
    pub rest: PathBuf,
    /// `libtandem_messaging.so`
    pub messaging: PathBuf,
    /// The gateway's executable.
    pub tandem: PathBuf,
}

/// Builds them, once in a process.
///
/// # Panics
/// Where they cannot be built.
pub fn libraries() -> &'static Libraries {
    static LIBRARIES: OnceLock<Result<Libraries, String>> = OnceLock::new();
    let libraries = LIBRARIES.get_or_init(|| {
        let mut build = cargo("build");
        let packages = ["tandem", "tandem-http", "tandem-echo", "tandem-smpp", "tandem-rest", "tandem-messaging"];
        build.args(packages.iter().flat_map(|package| ["--package", package]));
        let artifacts = Place::of_this_test().artifacts();
        run(&mut build)?;
        Ok(Libraries {
            http: artifacts.join("libtandem_http.so"),
            echo: artifacts.join("libtandem_echo.so"),
            smpp: artifacts.join("libtandem_smpp.so"),
            rest: artifacts.join("libtandem_rest.so"),
            messaging: artifacts.join("libtandem_messaging.so"),
            tandem: artifacts.join("tandem"),
        })
    });
    libraries.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

/// Builds one of the components under `tests/misbehaving`, by the name of its directory.
///
/// # Panics
/// Where it cannot be built.
pub fn fixture(name: &str) -> PathBuf {
    let mut build = cargo("rustc");
    build.args(["--lib", "--package", &format!("misbehaving-{}", name.replace('_', "-"))]);
    if name == "aborts" {
        // No profile of one package can say this, so the compiler is told.
        build.args(["--", "-C", "panic=abort"]);
    }
    built(&mut build);
    Place::of_this_test().artifacts().join(format!("libmisbehaving_{name}.so"))
}

/// Builds the greeter under `tests/greeter`.
///
/// # Panics
/// Where it cannot be built.
pub fn greeter() -> PathBuf {
    built(cargo("build").args(["--package", "tandem-greeter"]));
    Place::of_this_test().artifacts().join("libtandem_greeter.so")
}

/// Builds the tally under `tests/tally`: the one that its feature makes, or the one without.
///
/// # Panics
/// Where it cannot be built.
pub fn tally(feature: Option<&str>) -> PathBuf {
    variant("tally", feature)
}

/// Builds the doorkeeper under `tests/doorkeeper`.
///
/// # Panics
/// Where it cannot be built.
pub fn doorkeeper() -> PathBuf {
    built(cargo("build").args(["--package", "tandem-doorkeeper"]));
    Place::of_this_test().artifacts().join("libtandem_doorkeeper.so")
}

/// Builds a version of the ledger under `tests/ledger`: one that its feature makes, or the first.
///
/// # Panics
/// Where it cannot be built.
pub fn ledger(feature: Option<&str>) -> PathBuf {
    variant("ledger", feature)
}

/// Builds the component under `tests/asks`: the one that its feature makes, or the one without.
///
/// # Panics
/// Where it cannot be built.
pub fn asks(feature: Option<&str>) -> PathBuf {
    variant("asks", feature)
}

fn variant(component: &str, feature: Option<&str>) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut known = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("{component}-{}", feature.unwrap_or("one"));
    if let Some(version) = known.get(&name) {
        return version.clone();
    }
    let mut build = cargo("build");
    build.args(["--package", &format!("tandem-{component}")]);
    build.args(feature.into_iter().flat_map(|feature| ["--features", feature]));
    built(&mut build);
    let library = Place::of_this_test().artifacts().join(format!("libtandem_{component}.so"));
    // The next version is built to the same place; other tests' processes have theirs.
    let version = target_directory(&format!("{name}-{}.so", std::process::id()));
    std::fs::copy(library, &version).expect("it was built");
    known.insert(name, version.clone());
    version
}

/// A cargo command for this workspace, in the profile and the target directory of the tests.
pub fn cargo(command: &str) -> Command {
    let place = Place::of_this_test();
    let mut cargo = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.current_dir(workspace()).arg(command).arg("--target-dir").arg(&place.target);
    cargo.args(["--quiet", "--profile", &place.profile]);
    if let Some(triple) = &place.triple {
        cargo.args(["--target", triple]);
    }
    cargo
}

/// Runs a command that builds.
///
/// # Panics
/// Where it fails, with what it said.
pub fn built(command: &mut Command) {
    run(command).unwrap_or_else(|error| panic!("{error}"));
}

/// A directory in the target directory of the tests, for what is built in another way.
pub fn target_directory(name: &str) -> PathBuf {
    Place::of_this_test().target.join(name)
}

fn run(command: &mut Command) -> Result<(), String> {
    // One at a time, as the machine's few processors have it anyway.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a directory of the workspace")
}

/// Where cargo has put this test: `TARGET[/TRIPLE]/PROFILE/deps/NAME-HASH`.
struct Place {
    target: PathBuf,
    triple: Option<String>,
    profile: String,
}

impl Place {
    fn of_this_test() -> Self {
        let this = std::env::current_exe().expect("a test knows where it lies");
        let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let artifacts = this.ancestors().nth(2).expect("cargo puts tests three directories deep");
        let above = artifacts.parent().expect("cargo puts tests three directories deep");
        let is_triple = name(above).starts_with(std::env::consts::ARCH) && name(above).contains("-linux-");
        let (target, triple) = match is_triple {
            true => (above.parent().expect("cargo puts tests three directories deep"), Some(name(above))),
            false => (above, None),
        };
        let profile = match name(artifacts) {
            profile if profile == "debug" => "dev".to_owned(),
            profile => profile,
        };
        Place { target: target.to_owned(), triple, profile }
    }

    fn artifacts(&self) -> PathBuf {
        let profile = if self.profile == "dev" { "debug" } else { &self.profile };
        self.target.join(self.triple.as_deref().unwrap_or_default()).join(profile)
    }
}
