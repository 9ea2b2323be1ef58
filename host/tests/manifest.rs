//! What a library says of itself is read without loading it, and whatever the file is, the reader survives it.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};
use tandem::loader::elf::NotLoadable;
use tandem::loader::manifest::{Manifest, ManifestError};
use tandem_component::Policy;

const MANIFEST: &str =
    r#"{"tandem":1,"name":"sample","version":"1.2.3-rc.1","api":1,"policy":"carry","then":["Idle"],"tables":[]}   "#;

#[test]
fn a_library_is_read() {
    let library = Library::built("plain", MANIFEST, "", &[]);
    let manifest = Manifest::read(&library.path, 1..=1).unwrap();
    assert_eq!(manifest.name, "sample");
    assert_eq!(manifest.version.to_string(), "1.2.3-rc.1");
    assert_eq!((manifest.api, manifest.policy), (1, Policy::Carry));
    assert_eq!((manifest.then, manifest.tables), (vec!["Idle".to_owned()], vec![]));
}

#[test]
fn what_is_not_a_component_is_refused_with_a_reason() {
    let refused = |data: &[u8]| Manifest::parse(data, 1..=1).unwrap_err().to_string();
    assert!(refused(b"").contains("not an ELF file"));
    assert!(refused(b"#!/bin/sh\n").contains("not an ELF file; build the component with crate-type"));
    assert!(refused(b"\x7fELF").contains("not an ELF file"));
    // This test itself is a program.
    assert!(refused(&fs::read(std::env::current_exe().unwrap()).unwrap()).contains("it is not a shared object"));

    let bare = Library::built("bare", MANIFEST, "", &["--cfg", "bare"]);
    assert!(refused(&bare.data).contains("no Tandem manifest; is it built with export_component!?"));
    let newer = Library::built("newer", &MANIFEST.replace(r#""api":1"#, r#""api":7"#), "", &[]);
    assert!(refused(&newer.data).contains("API revision 7, and this host speaks up to 1"));
    let broken = Library::built("broken", &MANIFEST.replace("carry", "keep!"), "", &[]);
    assert!(refused(&broken.data).contains("unknown variant `keep!`, expected one of `renew`, `carry`, `pin`"));
    let missing = Manifest::read(Path::new("/nonexistent.so"), 1..=1).unwrap_err();
    assert!(matches!(missing, ManifestError::Unopened { .. }));
}

#[test]
fn what_could_never_be_unloaded_is_refused() {
    let nodelete = Library::built("nodelete", MANIFEST, "", &["-Clink-arg=-Wl,-z,nodelete"]);
    assert!(matches!(nodelete.refusal(), ManifestError::NotLoadable(NotLoadable::NoDelete)));

    // Only C++ compilers make such symbols, so one is made by hand.
    let more = "#[unsafe(no_mangle)] pub static only_one: u64 = 1;";
    let mut unique = Library::built("unique", MANIFEST, more, &[]);
    unique.make_unique("only_one");
    match Manifest::parse(&unique.data, 1..=1).unwrap_err() {
        ManifestError::NotLoadable(NotLoadable::Unique { symbol }) => assert_eq!(symbol, "only_one"),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_built_for_another_machine_is_refused() {
    let library = Library::built("machine", MANIFEST, "", &[]);
    let with = |at: usize, byte: u8| {
        let mut data = library.data.clone();
        data[at] = byte;
        Manifest::parse(&data, 1..=1).unwrap_err().to_string()
    };
    let (class, machine) = (4, 18);
    assert!(with(class, 1).contains("it is built for a 32-bit system, and this host runs on"));
    let (other, name) = if cfg!(target_arch = "x86_64") { (183, "aarch64") } else { (62, "x86_64") };
    assert!(with(machine, other).contains(&format!("it is built for {name}, and this host runs on")));
}

#[test]
fn every_truncation_is_refused() {
    let library = Library::built("truncated", MANIFEST, "", &[]);
    let len = library.data.len();
    let lengths = (0..len.min(1000)).chain((1000..len).step_by(37)).chain(len.saturating_sub(200)..len);
    for length in lengths {
        let error = Manifest::parse(&library.data[..length], 1..=1).expect_err("it is not whole");
        if length > 1000 {
            assert!(error.to_string().contains("it is truncated"), "{length} of {len}: {error}");
        }
    }
}

#[test]
fn no_flipped_byte_makes_the_reader_panic() {
    let library = Library::built("flipped", MANIFEST, "", &[]);
    let seed = std::env::var("TANDEM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x7a4d_e21b);
    println!("TANDEM_SEED={seed}");
    let mut random = Random(seed);
    // The tables are where a parser stumbles: the header, the program headers, the section headers at the end.
    let len = library.data.len();
    let edges = |random: &mut Random| match random.below(3) {
        0 => random.below(1024.min(len)),
        1 => len - 1 - random.below(2048.min(len)),
        _ => random.below(len),
    };
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut data = library.data.clone();
        for _ in 0..=random.below(4) {
            let at = edges(&mut random);
            data[at] = random.next() as u8;
        }
        refused += usize::from(Manifest::parse(&data, 1..=1).is_err());
    }
    println!("{refused} of 20000 were refused");
}

struct Library {
    path: PathBuf,
    data: Vec<u8>,
}

impl Library {
    /// Built by rustc alone: no std, a section with the manifest, and what a test adds.
    fn built(name: &str, manifest: &str, more: &str, arguments: &[&str]) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifest");
        fs::create_dir_all(&directory).unwrap();
        let (source, path) = (directory.join(format!("{name}.rs")), directory.join(format!("lib{name}.so")));
        let text = format!(
            "#![no_std]\n#[panic_handler] fn stop(_: &core::panic::PanicInfo) -> ! {{ loop {{}} }}\n\
             #[cfg(not(bare))] #[used] #[unsafe(link_section = \".tandem\")]\n\
             static MANIFEST: [u8; {}] = *br##\"{manifest}\"##;\n{more}\n",
            manifest.len()
        );
        fs::write(&source, text).unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let fixed =
            ["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-Clink-arg=-nostdlib", "--check-cfg=cfg(bare)"];
        let built = Command::new(rustc).args(fixed).args(arguments).arg("-o").arg(&path).arg(&source).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let data = fs::read(&path).unwrap();
        Self { path, data }
    }

    /// Turns an exported symbol into one that is unique to the process.
    fn make_unique(&mut self, name: &str) {
        let header = FileHeader64::<Endianness>::parse(self.data.as_slice()).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, self.data.as_slice()).unwrap();
        let symbols = sections.symbols(endian, self.data.as_slice(), elf::SHT_DYNSYM).unwrap();
        let is_it = |symbol| symbols.symbol_name(endian, symbol) == Ok(name.as_bytes());
        let (index, _) = symbols.enumerate().find(|(_, symbol)| is_it(symbol)).unwrap();
        let table = sections.section(symbols.section()).unwrap().sh_offset(endian) as usize;
        let info = table + index.0 * size_of::<elf::Sym64<Endianness>>() + 4;
        self.data[info] = elf::STB_GNU_UNIQUE.0 << 4 | self.data[info] & 0xf;
    }

    fn refusal(&self) -> ManifestError {
        Manifest::read(&self.path, 1..=1).unwrap_err()
    }
}

/// SplitMix64: enough chance to turn bytes over, and the same again for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
