//! Static checks of an ELF file: could the dynamic linker of this host load it, and let go of it again?
//!
//! Nothing here runs any of the file, and no content makes it panic. It looks at what can be told apart from the
//! outside; what a library does when it is loaded, the examination finds out.

use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind, ReadRef};

/// Finds the section `name` in a shared object that this host could load and unload.
pub fn section<'data>(data: impl ReadRef<'data>, name: &str) -> Result<Option<&'data [u8]>, NotLoadable> {
    let kind = FileKind::parse(data).map_err(|_| NotLoadable::NotElf)?;
    let header = match kind {
        FileKind::Elf64 => FileHeader64::<Endianness>::parse(data).map_err(damaged)?,
        FileKind::Elf32 => return Err(NotLoadable::OtherArchitecture { found: "a 32-bit system".to_owned() }),
        _ => return Err(NotLoadable::NotElf),
    };
    let endian = header.endian().map_err(damaged)?;
    check_machine(header, endian)?;
    if header.e_type(endian) != elf::ET_DYN {
        return Err(NotLoadable::NotShared);
    }
    check_length(header, endian, data)?;
    check_flags(header, endian, data)?;

    let sections = header.sections(endian, data).map_err(damaged)?;
    let symbols = sections.symbols(endian, data, elf::SHT_DYNSYM).map_err(damaged)?;
    if let Some(unique) = symbols.iter().find(|symbol| symbol.st_bind() == elf::STB_GNU_UNIQUE) {
        let symbol = symbols.symbol_name(endian, unique).unwrap_or_default();
        return Err(NotLoadable::Unique { symbol: String::from_utf8_lossy(symbol).chars().take(200).collect() });
    }
    let Some((_, section)) = sections.section_by_name(endian, name.as_bytes()) else { return Ok(None) };
    section.data(endian, data).map(Some).map_err(damaged)
}

/// Why the dynamic linker of this host could not load a file, or not unload it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLoadable {
    /// It is something else.
    #[error("it is not an ELF file; build the component with crate-type = [\"cdylib\"] and copy the .so file")]
    NotElf,
    /// It ends before its own tables and segments do.
    #[error("it is truncated: it has {len} bytes and describes {described}; copy it again, whole")]
    Truncated {
        /// How long it is.
        len: u64,
        /// How long it says that it is.
        described: u64,
    },
    /// Its structures contradict each other.
    #[error("its ELF structure is damaged ({what}); copy it again, or build it again")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// It was built for another kind of machine.
    #[error("it is built for {found}, and this host runs on {HOST}; build it with --target {TARGET}")]
    OtherArchitecture {
        /// For what it was built.
        found: String,
    },
    /// It is a relocatable object, a core dump or a program.
    #[error("it is not a shared object; build the component with crate-type = [\"cdylib\"]")]
    NotShared,
    /// It asks never to be unloaded.
    #[error(
        "it is marked never to be unloaded (DF_1_NODELETE), so each upgrade would leave it behind; \
         link it without -z nodelete"
    )]
    NoDelete,
    /// It has a symbol that makes the dynamic linker keep it for good.
    #[error(
        "its symbol `{symbol}` is unique to the process (STB_GNU_UNIQUE), so it could never be unloaded; \
         build the C++ code in it with -fno-gnu-unique"
    )]
    Unique {
        /// The first of these symbols.
        symbol: String,
    },
}

type Header = FileHeader64<Endianness>;

fn check_machine(header: &Header, endian: Endianness) -> Result<(), NotLoadable> {
    let machine = header.e_machine(endian);
    let found = match machine {
        elf::EM_X86_64 => "x86_64".to_owned(),
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::EM_RISCV => "riscv64".to_owned(),
        elf::EM_S390 => "s390x".to_owned(),
        elf::EM_PPC64 => "powerpc64".to_owned(),
        other => format!("machine {}", other.0),
    };
    let endianness = if header.is_little_endian() { "little" } else { "big" };
    if found != HOST {
        return Err(NotLoadable::OtherArchitecture { found });
    }
    if (endianness == "little") != cfg!(target_endian = "little") {
        return Err(NotLoadable::OtherArchitecture { found: format!("{endianness}-endian {found}") });
    }
    Ok(())
}

/// A library that ends too early is mapped all the same, and kills the process where the missing page is touched.
fn check_length<'data>(header: &Header, endian: Endianness, data: impl ReadRef<'data>) -> Result<(), NotLoadable> {
    let len = data.len().map_err(|()| NotLoadable::Damaged { what: "its length cannot be read".to_owned() })?;
    let table = |offset: u64, entries: u64, size: u16| offset.saturating_add(entries.saturating_mul(size.into()));
    let tables = [
        table(header.e_shoff(endian), header.e_shnum(endian).into(), header.e_shentsize(endian)),
        table(header.e_phoff(endian), header.e_phnum(endian).into(), header.e_phentsize(endian)),
    ];
    let fits = |described: u64| if described > len { Err(NotLoadable::Truncated { len, described }) } else { Ok(()) };
    tables.into_iter().try_for_each(fits)?;
    for segment in header.program_headers(endian, data).map_err(damaged)? {
        fits(segment.p_offset(endian).saturating_add(segment.p_filesz(endian)))?;
    }
    for section in header.section_headers(endian, data).map_err(damaged)? {
        if section.sh_type(endian) != elf::SHT_NOBITS {
            fits(section.sh_offset(endian).saturating_add(section.sh_size(endian)))?;
        }
    }
    Ok(())
}

fn check_flags<'data>(header: &Header, endian: Endianness, data: impl ReadRef<'data>) -> Result<(), NotLoadable> {
    let segments = header.program_headers(endian, data).map_err(damaged)?;
    let mut dynamic = None;
    for segment in segments {
        dynamic = dynamic.or(segment.dynamic(endian, data).map_err(damaged)?);
    }
    let Some(dynamic) = dynamic else { return Err(NotLoadable::NotShared) };
    let flags = dynamic.iter().take_while(|entry| entry.d_tag(endian) != elf::DT_NULL);
    let flags = flags.filter(|entry| entry.d_tag(endian) == elf::DT_FLAGS_1).fold(0, |f, entry| f | entry.val(endian));
    if flags & elf::DF_1_PIE.0 != 0 {
        return Err(NotLoadable::NotShared);
    }
    if flags & elf::DF_1_NODELETE.0 != 0 {
        return Err(NotLoadable::NoDelete);
    }
    Ok(())
}

fn damaged(error: object::read::Error) -> NotLoadable {
    NotLoadable::Damaged { what: error.to_string() }
}

const HOST: &str = std::env::consts::ARCH;
/// As an operator would write it after `--target`.
const TARGET: &str = if cfg!(target_arch = "x86_64") {
    "x86_64-unknown-linux-gnu"
} else if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "the host's own target"
};
