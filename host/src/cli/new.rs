//! `tandem new NAME`: a component that builds, is tested, and swaps in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::say;
use crate::loader::manifest;
use crate::store::HOST;
use crate::system;

const MANIFEST: &str = include_str!("new/manifest.toml");
const LIBRARY: &str = include_str!("new/library.rs");
const PAGE: &str = include_str!("new/README.md");
/// A gateway to try it with.
const GATEWAY: &str = include_str!("new/tandem.toml");
/// Which compiler: the gateway's own.
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");
/// What no crate is called, for the most part: cargo takes none that is a word of the language, or the name of a crate that comes with it.
const TAKEN: &str = "abstract alloc as async await become box break build const continue core crate deps do dyn else enum examples extern \
     false final fn for gen if impl in incremental let loop macro match mod move mut override panic priv proc-macro pub ref return self \
     static std struct super test trait true try type typeof unsized use virtual where while yield";
/// What the package depends on.
const NEEDED: &str = "serde tandem-component tandem-component-derive";
/// What the code of a component means something else by.
const MEANT: &str = "Account Admission Alarm Allowance Allowances Answer Box Call CallFailure Clone Column Component Config Conversation Copy \
     Debug Default Deserialize Dial DialFailure Drop Err Event Fault Fn Forward From Harness Index Into Kind Ledger Limit Literal None Ok \
     Opening Option Out Outcome Peer Policy Record Recording Refusal RequestId Result Role Row Rows Scan Secured Self Send Serialize Server Session \
     Sized Some Span Starting StoreFailure Stream String Sync Table Then Time Token Trace Transport Vec Writes";

/// Makes the package in a directory of that name, or in another. `api`: where `tandem-component` is.
pub(super) fn new(name: &str, directory: Option<&Path>, api: Option<&Path>) -> anyhow::Result<ExitCode> {
    check(name)?;
    let directory = directory.unwrap_or(Path::new(name));
    if fs::read_dir(directory).is_ok_and(|mut there| there.next().is_some()) || directory.is_file() {
        bail!(
            "{} is there already, and not empty; choose another name, or --at another directory",
            directory.display()
        );
    }
    let api = find(api)?;
    let fill = |text: &str| {
        let path = api.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        text.replace("@NAME@", name)
            .replace("@COMPONENT@", component_name(name))
            .replace("@TYPE@", &type_name(name))
            .replace("@LIBRARY@", &library(name))
            .replace("@API@", &path)
    };
    let put = |file: &str, text: &str| {
        let path = directory.join(file);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    };
    fs::create_dir_all(directory.join("src")).with_context(|| format!("{} cannot be made", directory.display()))?;
    put("Cargo.toml", &fill(MANIFEST))?;
    put("src/lib.rs", &fill(LIBRARY))?;
    put("rust-toolchain.toml", TOOLCHAIN)?;
    put(".gitignore", "/target\n/var\n")?;
    put("README.md", &fill(PAGE))?;
    put("tandem.toml", &fill(GATEWAY))?;
    let components = directory.join("var/components");
    fs::create_dir_all(&components).with_context(|| format!("{} cannot be made", components.display()))?;
    // Whatever the mask: a gateway takes nothing from where others could write.
    for made in [directory, &directory.join("var"), &components] {
        system::only_owner_writes(made).with_context(|| made.display().to_string())?;
    }
    // The versions that the gateway was tested with, where they are known; cargo finds others where not.
    if let Ok(lock) = fs::read(api.join("../Cargo.lock")) {
        fs::write(directory.join("Cargo.lock"), lock).with_context(|| "Cargo.lock cannot be written")?;
    }
    say(format_args!(
        "{at}: a component that counts lines, and a gateway to try it with. What comes next:

    cd {at}
    cargo test                          # it has tests of its own
    tandem dev --config tandem.toml     # builds {library} and deploys it, now and whenever something is saved

In a second terminal the gateway, and in a third somebody who talks to it:

    tandem run --config tandem.toml
    nc 127.0.0.1 7007                   # say a line; change `hello()` in src/lib.rs, save, and say another

Its README.md says the same, and what comes after that.",
        at = directory.display(),
        library = library(name),
    ));
    Ok(ExitCode::SUCCESS)
}

fn check(name: &str) -> anyhow::Result<()> {
    let component = component_name(name);
    if !manifest::is_component_name(component) || name.ends_with('-') || name.contains("--") {
        bail!(
            "`{name}` is not a component's name: it takes a-z, then a-z, 0-9 and single `-` between, as in `smpp` or `my-proxy`"
        );
    }
    let among = |words: &str| words.split_whitespace().any(|word| word == name);
    let reason = if among(TAKEN) {
        "means something to cargo or to Rust"
    } else if among(NEEDED) {
        "is a package that a component depends on, and cargo would take one for the other"
    } else if component == HOST {
        "is the gateway itself, and the tables of that name are its own"
    } else {
        return Ok(());
    };
    bail!("`{name}` {reason}; choose another name, as in `my-{component}`");
}

/// Where `tandem-component` is: as is said, or beside the sources that this program was built from.
fn find(said: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../component-api");
    let path = said.unwrap_or(&beside);
    let is_it = |text: String| text.lines().any(|line| line.trim() == "name = \"tandem-component\"");
    if fs::read_to_string(path.join("Cargo.toml")).is_ok_and(is_it) {
        return path.canonicalize().with_context(|| path.display().to_string());
    }
    match said {
        Some(path) => bail!(
            "--api: {} is not the package tandem-component; it is component-api of a checkout of Tandem",
            path.display()
        ),
        None => bail!(
            "where the package tandem-component is cannot be told; check Tandem out, and say --api CHECKOUT/component-api"
        ),
    }
}

/// `MyProxy`, of `my-proxy`; `StreamProtocol`, of `stream`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let of: String = component_name(name).split('-').map(capital).collect();
    if MEANT.split_whitespace().any(|meant| meant == of) { of + "Protocol" } else { of }
}

/// What the component is called that a package makes.
fn component_name(package: &str) -> &str {
    package.strip_prefix("tandem-").unwrap_or(package)
}

/// The file that cargo makes.
fn library(package: &str) -> String {
    format!("{}{}{}", std::env::consts::DLL_PREFIX, package.replace('-', "_"), std::env::consts::DLL_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_are_refused_with_the_way_out() {
        for (name, reason) in [
            ("", "it takes a-z"),
            ("Lines", "it takes a-z"),
            ("9p", "it takes a-z"),
            ("a_b", "it takes a-z"),
            ("lines-", "single `-` between"),
            ("a--b", "single `-` between"),
            ("../a", "it takes a-z"),
            ("match", "choose another name, as in `my-match`"),
            ("test", "choose another name"),
            ("tandem-component", "a package that a component depends on, and cargo would take one for the other"),
            ("serde", "choose another name, as in `my-serde`"),
            ("tandem", "is the gateway itself"),
            ("tandem-tandem", "choose another name, as in `my-tandem`"),
        ] {
            let said = check(name).unwrap_err().to_string();
            assert!(said.contains(reason), "{name}: {said}");
        }
        assert_eq!(["lines", "my-proxy", "tandem-x25"].map(type_name), ["Lines", "MyProxy", "X25"]);
        assert!(["lines", "my-proxy", "tandem-x25"].iter().all(|name| check(name).is_ok()));
    }

    #[test]
    fn a_type_is_called_as_nothing_else_that_its_code_names() {
        assert_eq!(["stream", "tandem-session"].map(type_name), ["StreamProtocol", "SessionProtocol"]);
        let api = include_str!("../../../component-api/src/lib.rs");
        let (_, prelude) = api.split_once("pub mod prelude").unwrap();
        let names = prelude.split(|c: char| !c.is_alphanumeric()).filter(|word| word.starts_with(char::is_uppercase));
        for name in names.filter(|name| *name != "All") {
            assert!(MEANT.split_whitespace().any(|meant| meant == name), "{name} is missing in MEANT");
        }
    }
}
