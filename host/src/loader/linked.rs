//! Whether a library is what its linker has written: a copy that was cut, mixed up or damaged on its way is not, wherever that is.
//!
//! A linker leaves its output's digest in it, the build id. How that is made is the linker's own affair, and of LLD, rustc's own linker
//! on x86-64, it is known: of each megabyte a BLAKE3 hash, and of those another, with zeros where the id will be (`writeBuildId` in
//! lld/ELF/Writer.cpp, since LLVM 15). What others have linked is not looked at.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endian as _, Endianness, ReadCache, ReadRef};

/// What there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It is what the linker has written, to the last bit.
    Whole,
    /// Its linker has left nothing in it that says so.
    Unknown,
}

/// It is something else than what the linker has written.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is not what its linker has written (build id {id}): it was damaged or changed since. Copy it again, whole. Where it was stripped, \
     have the linker do that ([profile.release] strip = true); where it was changed on purpose, say so: [examination] altered = true"
)]
pub struct Altered {
    /// Which build it was.
    id: String,
}

/// The first LLD whose way of doing this is known.
const LLD_SINCE: u32 = 15;
/// What is hashed at once.
const PIECE: usize = 1 << 20;
/// How long a build id is that LLD makes of BLAKE3: for `md5`, and for `sha1`.
const LENGTHS: [usize; 2] = [16, 20];

/// Looks at a library.
///
/// # Errors
/// The file cannot be read; inside, it is another than the linker's.
pub fn check(library: &Path) -> io::Result<Result<Linked, Altered>> {
    let Some((place, id)) = build_id(&ReadCache::new(File::open(library)?)) else { return Ok(Ok(Linked::Unknown)) };
    let found = hash(File::open(library)?, &place)?;
    if found[..id.len()] == id[..] {
        return Ok(Ok(Linked::Whole));
    }
    match is_others(&ReadCache::new(File::open(library)?)) {
        true => Ok(Ok(Linked::Unknown)),
        false => Ok(Err(Altered { id: id.iter().map(|byte| format!("{byte:02x}")).collect() })),
    }
}

/// The hash of a file, with zeros at this place.
fn hash(mut file: File, zeros: &Range<u64>) -> io::Result<[u8; 32]> {
    let length = usize::try_from(zeros.end - zeros.start).unwrap_or(usize::MAX);
    let (mut piece, mut hashes, mut at) = (Vec::with_capacity(PIECE), Vec::new(), 0_u64);
    loop {
        piece.clear();
        file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(*blake3::hash(&hashes).as_bytes());
        }
        let end = at + piece.len() as u64;
        for place in zeros.start.max(at)..zeros.end.min(end) {
            piece[(place - at) as usize] = 0;
        }
        hashes.extend_from_slice(&blake3::hash(&piece).as_bytes()[..length]);
        at = end;
    }
}

/// Where a library's build id lies, and it, where it is one that LLD could have made.
fn build_id<'data>(data: impl ReadRef<'data>) -> Option<(Range<u64>, Vec<u8>)> {
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    for segment in header.program_headers(endian, data).ok()? {
        if segment.p_type(endian) != elf::PT_NOTE {
            continue;
        }
        let Ok(mut notes) = segment.data(endian, data) else { continue };
        let mut at = segment.p_offset(endian);
        // Three numbers, a name, and what it says, each filled up to four bytes (System V ABI, "Note Section").
        while let Some((head, rest)) = notes.split_at_checked(12) {
            let number = |n: usize| head.as_chunks().0.get(n).map(|bytes| endian.read_u32(*bytes));
            let (name, said, kind) = (number(0)?, number(1)?, number(2)?);
            let filled = |length: u32| usize::try_from(length).ok()?.checked_next_multiple_of(4);
            let (name_filled, said_filled) = (filled(name)?, filled(said)?);
            let found = rest.get(name_filled..name_filled.checked_add(said as usize)?);
            let start = at + 12 + name_filled as u64;
            if let (true, true, Some(id)) = (rest.starts_with(b"GNU\0"), kind == elf::NT_GNU_BUILD_ID.0, found)
                && LENGTHS.contains(&id.len())
            {
                return Some((start..start + u64::from(said), id.to_vec()));
            }
            let Some(after) = rest.get(name_filled.checked_add(said_filled)?..) else { break };
            (notes, at) = (after, start + said_filled as u64);
        }
    }
    None
}

/// Whether what has made it says who it is, and that is not an LLD whose way is known.
fn is_others<'data>(data: impl ReadRef<'data>) -> bool {
    let comment = || {
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, data).ok()?;
        let (_, section) = sections.section_by_name(endian, b".comment")?;
        object::read::elf::SectionHeader::data(section, endian, data).ok()
    };
    let Some(comment) = comment() else { return false };
    let lines: Vec<&[u8]> = comment.split(|byte| *byte == 0).collect();
    if !lines.iter().any(|line| line.starts_with(b"rustc version ")) {
        return false;
    }
    let lld = lines.iter().find_map(|line| line.strip_prefix(b"Linker: LLD "));
    let version = lld.and_then(|rest| std::str::from_utf8(rest).ok()?.split('.').next()?.parse::<u32>().ok());
    version.is_none_or(|version| version < LLD_SINCE)
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use memchr::memmem;

    use super::*;

    /// What is found of this test's own executable, which the same linker has written, once it is changed.
    fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Linked, Altered> {
        let place = tempfile::NamedTempFile::new().unwrap();
        let mut content = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        change(&mut content);
        std::fs::write(place.path(), content).unwrap();
        check(place.path()).unwrap()
    }

    /// Where LLD has written something: not where this test has, which lies between.
    fn find(content: &[u8], what: &[u8]) -> usize {
        let found = if what == ID { memmem::find(content, what) } else { memmem::rfind(content, what) };
        found.expect("LLD has linked this")
    }

    const ID: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";

    #[test]
    fn what_the_linker_has_written_is_whole_and_one_bit_of_it_is_not_another() {
        assert_eq!(changed(|_| ()).unwrap(), Linked::Whole);
        let last = changed(|content| *content.last_mut().unwrap() ^= 1).unwrap_err();
        assert!(last.to_string().contains("[examination] altered = true"), "{last}");
        for (at, of) in [(1, 3), (1, 2), (2, 3), (99, 100)] {
            let bit = |content: &mut Vec<u8>| {
                let at = content.len() / of * at;
                content[at] ^= 0x10;
            };
            assert!(changed(bit).is_err(), "{at}/{of}");
        }
        assert!(changed(|content| content.truncate(content.len() - 1)).is_err());
        assert!(changed(|content| content.push(0)).is_err());
        // The id itself.
        let id = |content: &mut Vec<u8>| {
            let at = find(content, ID) + ID.len();
            content[at] ^= 1;
        };
        assert!(changed(id).is_err());
    }

    #[test]
    fn of_what_others_have_linked_nothing_is_known() {
        let other = |content: &mut Vec<u8>, by: &[u8]| {
            let at = find(content, b"\0Linker: LLD ") + 1;
            content[at..at + by.len()].copy_from_slice(by);
        };
        for by in [&b"Linker: LLD 14."[..], b"mold 2.40 abcd "] {
            assert_eq!(changed(|content| other(content, by)).unwrap(), Linked::Unknown);
        }
        // Of one that has lost who has linked it, with whatever else.
        let lost = |content: &mut Vec<u8>| {
            let (from, to) = (find(content, b"\0rustc version "), find(content, b"\0Linker: LLD "));
            content[from..to + 20].fill(0);
        };
        assert!(changed(lost).is_err());
        let none = |content: &mut Vec<u8>| {
            let at = find(content, ID);
            content[at + 8] = 4;
        };
        assert_eq!(changed(none).unwrap(), Linked::Unknown);
        assert_eq!(changed(|content| content.truncate(100)).unwrap(), Linked::Unknown);
        assert_eq!(changed(|content| content.fill(b'x')).unwrap(), Linked::Unknown);
    }
}
