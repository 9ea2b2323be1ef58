//! Each component of ours passes its examination, and this is how long one takes: `RUNS=100 cargo test -p tandem-tests --test
//! examinations -- --nocapture` says so in figures.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::libraries;

#[test]
fn each_component_passes_and_one_that_is_damaged_does_not() {
    let runs = std::env::var("RUNS").map_or(5, |runs| runs.parse().expect("RUNS is a number"));
    let libraries = libraries();
    let place = tempfile::tempdir().unwrap();
    let components = place.path().join("components");
    fs::create_dir(&components).unwrap();
    fs::set_permissions(&components, Permissions::from_mode(0o755)).unwrap();
    // What nobody serves is examined all the same.
    fs::write(
        place.path().join("tandem.toml"),
        "components = \"components\"\ndata = \"data\"\n[service.it]\ncomponent = \"none\"\nlisten = [\"tcp://127.0.0.1:9\"]\n",
    )
    .unwrap();
    let check = || check(&libraries.tandem, &place.path().join("tandem.toml"));
    let without = Spread::of(runs, || assert_eq!(check(), 1));
    println!("the command alone: {without}");
    for library in [&libraries.echo, &libraries.http, &libraries.smpp, &libraries.rest, &libraries.messaging] {
        let file = components.join(library.file_name().unwrap());
        fs::copy(library, &file).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let name = file.file_stem().unwrap().display();
        // That nothing is found but that the service has no component says that it has passed.
        let took = Spread::of(runs, || assert_eq!(check(), 1, "{name}"));
        println!("{name}, {} KiB: {took}", fs::metadata(&file).unwrap().len() / 1024);
        // One that is damaged is seen, so they were looked at.
        let mut content = fs::read(&file).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        fs::write(&file, content).unwrap();
        assert_eq!(check(), 2, "{name}");
        fs::remove_file(file).unwrap();
    }
}

/// How much `tandem check` finds.
fn check(tandem: &Path, configuration: &Path) -> usize {
    let output = Command::new(tandem)
        .args(["check", "--json", "--config"])
        .arg(configuration)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    found["findings"].as_array().unwrap().len()
}

struct Spread {
    mean: Duration,
    nine_tenths: Duration,
}

impl Spread {
    fn of(runs: u32, mut run: impl FnMut()) -> Self {
        let mut took: Vec<Duration> = (0..runs)
            .map(|_| {
                let began = Instant::now();
                run();
                began.elapsed()
            })
            .collect();
        took.sort();
        Spread { mean: took.iter().sum::<Duration>() / runs, nine_tenths: took[(took.len() * 9).div_ceil(10) - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1?} in the mean, nine in ten within {:.1?}", self.mean, self.nine_tenths)
    }
}
