//! Five hundred corrupted copies of a real component do nothing to a gateway that serves: each is refused, since it is not what its
//! linker has written, or not what was signed. Where neither is looked at, each is refused whose corruption can be seen by trying it,
//! which is told here in figures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Chance, Client, Gateway, Signer, beside, free_port, libraries, link};

const COPIES: usize = 500;
/// So many lie in the components directory at a time.
const BATCH: usize = 25;

/// How a copy is corrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Corruption {
    /// Some bits, anywhere: a bad disk, a bad memory.
    Bits,
    /// A range that was never written.
    Zeros,
    /// A page of something else.
    Noise,
    /// An end that is missing.
    Truncated,
    /// The file's header, or the table of segments behind it.
    Headers,
    /// What it says of itself.
    Manifest,
}

impl Corruption {
    const ALL: [Corruption; 6] = [
        Corruption::Bits,
        Corruption::Zeros,
        Corruption::Noise,
        Corruption::Truncated,
        Corruption::Headers,
        Corruption::Manifest,
    ];

    /// Corrupts what is whole, so that it differs.
    fn corrupt(self, whole: &[u8], chance: &mut Chance) -> Vec<u8> {
        loop {
            let mut data = whole.to_vec();
            let mut below = |bound: usize| usize::try_from(chance.draw() % bound as u64).unwrap();
            match self {
                Corruption::Bits => {
                    for _ in 0..=below(64) {
                        data[below(whole.len())] ^= 1 << below(8);
                    }
                }
                Corruption::Zeros | Corruption::Noise => {
                    let at = below(whole.len());
                    let end = whole.len().min(at + 1 + below(1 << 16));
                    for byte in &mut data[at..end] {
                        *byte = if self == Corruption::Zeros { 0 } else { below(256) as u8 };
                    }
                }
                Corruption::Truncated => data.truncate(below(whole.len() - 1) + 1),
                // What it is, for which machine, where its segments are told of, and in how many bytes each.
                Corruption::Headers => {
                    const FIELDS: [usize; 5] = [0, 4, 18, 32, 54];
                    data[FIELDS[below(FIELDS.len())]] ^= 1 << below(8);
                }
                Corruption::Manifest => {
                    let at = manifest(&data);
                    // The braces, the quotes, the names: what is no digit and no space.
                    let at = (at..at + 200).filter(|at| !data[*at].is_ascii_digit()).nth(below(100)).unwrap();
                    data[at] |= 0x80;
                }
            }
            if data != whole {
                return data;
            }
        }
    }

    /// Whether it can be seen wherever it is.
    fn shows(self) -> bool {
        matches!(self, Corruption::Truncated | Corruption::Headers | Corruption::Manifest)
    }
}

/// Where the manifest begins.
fn manifest(library: &[u8]) -> usize {
    library.windows(9).position(|bytes| bytes == b"{\"tandem\"").expect("it is a component")
}

/// A component as it is deployed, without the compiler's notes for debuggers.
fn component(into: &Path) -> PathBuf {
    let stripped = into.join("libtandem_http.so");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(&libraries().http).status();
    if !strip.is_ok_and(|status| status.success()) {
        fs::copy(&libraries().http, &stripped).unwrap();
    }
    // As the linker would have stripped it.
    let mut content = fs::read(&stripped).unwrap();
    link(&mut content).unwrap();
    fs::write(&stripped, content).unwrap();
    stripped
}

/// The corrupted copies: which, how, and the content.
fn copies(whole: &[u8]) -> impl Iterator<Item = (usize, Corruption, Vec<u8>)> {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    println!("SEED={seed}");
    let mut chance = Chance::seeded(seed);
    (0..COPIES).map(move |number| {
        let corruption = Corruption::ALL[number % Corruption::ALL.len()];
        (number, corruption, corruption.corrupt(whole, &mut chance))
    })
}

fn toml(port: u16) -> String {
    format!(
        r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", status = 200, body = "as before" }}]
"#
    )
}

fn answers(client: &mut Client) {
    assert_eq!(client.get("/").unwrap().text(), "as before");
}

#[test]
fn with_signatures_each_is_refused_and_the_host_is_untouched() {
    let (signer, port, place) = (Signer::new(), free_port(), tempfile::tempdir().unwrap());
    let component = component(place.path());
    let signature = signer.signature(&component);
    let builder = Gateway::builder().library(&component);
    fs::write(beside(&builder.scratch("components/libtandem_http.so")), &signature).unwrap();
    let gateway = builder.toml(&format!("trust = [{:?}]\n{}", signer.key(), toml(port))).start();
    let reasons = each_is_refused(&gateway, port, &component, Some(&signature));
    assert_eq!(reasons.len(), 1, "one look tells: it is not what was signed");
    assert_eq!(fs::read_dir(gateway.scratch("data/shelf")).unwrap().count(), 2, "the component and its signature");
}

#[test]
fn without_signatures_each_is_refused_as_well() {
    let (port, place) = (free_port(), tempfile::tempdir().unwrap());
    let component = component(place.path());
    let gateway = Gateway::builder().library(&component).toml(&toml(port)).start();
    let reasons = each_is_refused(&gateway, port, &component, None);
    let altered = reasons.iter().filter(|(reason, _)| reason.contains("is not what its linker has written"));
    assert!(altered.map(|(_, count)| count).sum::<usize>() > COPIES / 3, "most are whole but for what was corrupted");
}

/// Why, and how often.
fn each_is_refused(gateway: &Gateway, port: u16, component: &Path, signature: Option<&str>) -> BTreeMap<String, usize> {
    let mut client = gateway.connect(port);
    answers(&mut client);
    let (version, maps) = (gateway.status().services[0].version.clone(), gateway.maps());
    let whole = fs::read(component).unwrap();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut copies = copies(&whole).peekable();
    while copies.peek().is_some() {
        let batch: Vec<String> = copies
            .by_ref()
            .take(BATCH)
            .map(|(number, _, content)| {
                let name = format!("copy-{number}.so");
                let file = gateway.components().join(&name);
                fs::write(&file, content).unwrap();
                if let Some(signature) = signature {
                    fs::write(beside(&file), signature).unwrap();
                }
                name
            })
            .collect();

        let reload = gateway.reload();

        answers(&mut client);
        for name in &batch {
            let file = reload.file(name);
            assert_eq!(file.outcome, "refused", "{file:?}");
            *reasons.entry(file.reason.clone().unwrap()).or_default() += 1;
            let file = gateway.components().join(name);
            if signature.is_some() {
                fs::remove_file(beside(&file)).unwrap();
            }
            fs::remove_file(file).unwrap();
        }
        assert_eq!(reload.file("libtandem_http.so").outcome, "unchanged");
        assert_eq!(gateway.maps(), maps, "nothing of them is mapped");
    }
    println!("of {COPIES}, refused: {reasons:#?}");
    assert_eq!(reasons.values().sum::<usize>(), COPIES);

    // The same process, the same connection, and nothing is left of any.
    let status = gateway.status();
    assert_eq!((status.pid, &status.services[0].version), (gateway.pid(), &version));
    assert!(gateway.reload().ok);
    answers(&mut client);
    answers(&mut gateway.connect(port));
    reasons
}

#[test]
fn of_those_that_may_be_altered_each_is_refused_that_can_be_seen() {
    let (port, place) = (free_port(), tempfile::tempdir().unwrap());
    let component = component(place.path());
    let whole = fs::read(&component).unwrap();
    let altered = format!("[examination]\naltered = true\n{}", toml(port));
    let gateway = Gateway::builder().library(&component).toml(&altered).start();
    let mut client = gateway.connect(port);

    // As the host examines them, but that nothing is loaded: what is not seen is nothing to serve with.
    let beside_it = place.path().join("components");
    fs::create_dir(&beside_it).unwrap();
    gateway.configure(|text| text.replace("\"components\"", &format!("{:?}", beside_it.display().to_string())));
    let check = || {
        let checked: Value = serde_json::from_slice(&gateway.tandem(&["check", "--json"]).stdout).unwrap();
        let said = checked["findings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
        said.collect::<Vec<String>>()
    };
    let mut seen: BTreeMap<Corruption, (usize, usize)> = BTreeMap::new();
    let mut copies = copies(&whole).peekable();
    while copies.peek().is_some() {
        let batch: Vec<(PathBuf, Corruption)> = copies
            .by_ref()
            .take(BATCH)
            .map(|(number, corruption, content)| {
                let file = beside_it.join(format!("copy-{number}.so"));
                fs::write(&file, content).unwrap();
                (file, corruption)
            })
            .collect();

        let findings = check();

        answers(&mut client);
        for (file, corruption) in batch {
            let name = file.display().to_string();
            let finding = findings.iter().find(|finding| finding.starts_with(&format!("{name}: ")));
            assert!(finding.is_some() || !corruption.shows(), "{name}: {corruption:?} was not seen");
            let (refused, all) = seen.entry(corruption).or_default();
            *refused += usize::from(finding.is_some());
            *all += 1;
            fs::remove_file(file).unwrap();
        }
    }
    let refused: usize = seen.values().map(|(refused, _)| refused).sum();
    println!("of {COPIES}, {refused} refused: (refused, of) by corruption: {seen:?}");
    assert!(refused > COPIES / 2, "the examination sees next to nothing");

    // What is whole passes, and this is how long it takes, with the start of the command that asks.
    fs::copy(&component, beside_it.join("libtandem_http.so")).unwrap();
    let mut took: Vec<Duration> = (0..11)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(check(), [""; 0]);
            began.elapsed()
        })
        .collect();
    took.sort();
    println!("`tandem check` of one whole component of {} bytes: {:?} at the median", whole.len(), took[5]);
    assert_eq!(gateway.status().pid, gateway.pid());
    answers(&mut client);
}
