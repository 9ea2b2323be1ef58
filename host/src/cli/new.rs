//! `tandem new NAME`: a component that builds, is tested, and swaps in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::say;
use crate::loader::manifest;

const MANIFEST: &str = include_str!("new/manifest.toml");
const LIBRARY: &str = include_str!("new/library.rs");
/// Which compiler: the gateway's own.
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");
/// What no crate is called, for the most part: cargo takes none that is a word of the language, or the name of a crate that comes with it.
const TAKEN: &str = "abstract alloc as async await become box break build const continue core crate deps do dyn else enum examples extern \
     false final fn for gen if impl in incremental let loop macro match mod move mut override priv proc-macro pub ref return self static \
     std struct super test trait true try type typeof unsized use virtual where while yield serde tandem-component";

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
        text.replace("@NAME@", name).replace("@TYPE@", &type_name(name)).replace("@API@", &path)
    };
    let put = |file: &str, text: &str| {
        let path = directory.join(file);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    };
    fs::create_dir_all(directory.join("src")).with_context(|| format!("{} cannot be made", directory.display()))?;
    put("Cargo.toml", &fill(MANIFEST))?;
    put("src/lib.rs", &fill(LIBRARY))?;
    put("rust-toolchain.toml", TOOLCHAIN)?;
    put(".gitignore", "/target\n")?;
    // The versions that the gateway was tested with, where they are known; cargo finds others where not.
    if let Ok(lock) = fs::read(api.join("../Cargo.lock")) {
        fs::write(directory.join("Cargo.lock"), lock).with_context(|| "Cargo.lock cannot be written")?;
    }
    let (at, prefix, extension) = (directory.display(), std::env::consts::DLL_PREFIX, std::env::consts::DLL_EXTENSION);
    let library = name.replace('-', "_");
    say(format_args!(
        "{at}: a component that counts lines. What comes next:

    cd {at}
    cargo test
    cargo build --release    # target/release/{prefix}{library}.{extension}

In the configuration of a gateway:

    [service.{name}]
    component = \"{component}\"
    listen = [\"tcp://127.0.0.1:7007\"]

Copied into the gateway's components directory, it serves after SIGHUP (or `tandem reload`). `tandem dev {at} --config FILE` does all of
that at each change.",
        component = name.strip_prefix("tandem-").unwrap_or(name),
    ));
    Ok(ExitCode::SUCCESS)
}

fn check(name: &str) -> anyhow::Result<()> {
    let component = name.strip_prefix("tandem-").unwrap_or(name);
    if !manifest::is_component_name(component) || name.ends_with('-') || name.contains("--") {
        bail!(
            "`{name}` is not a component's name: it takes a-z, then a-z, 0-9 and single `-` between, as in `smpp` or `my-proxy`"
        );
    }
    if TAKEN.split_whitespace().any(|taken| taken == name) {
        bail!("`{name}` means something to cargo or to Rust; choose another name, as in `my-{name}`");
    }
    Ok(())
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

/// `MyProxy`, of `my-proxy`.
fn type_name(name: &str) -> String {
    let component = name.strip_prefix("tandem-").unwrap_or(name);
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    component.split('-').map(capital).collect()
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
        ] {
            let said = check(name).unwrap_err().to_string();
            assert!(said.contains(reason), "{name}: {said}");
        }
        assert_eq!(["lines", "my-proxy", "tandem-x25"].map(type_name), ["Lines", "MyProxy", "X25"]);
        assert!(["lines", "my-proxy", "tandem-x25"].iter().all(|name| check(name).is_ok()));
    }
}
