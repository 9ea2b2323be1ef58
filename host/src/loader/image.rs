//! The images that are mapped in this process: what the dynamic linker and the kernel say.
//!
//! Two witnesses, because each is blind to something: the dynamic linker's list ends with its knowledge, not with the
//! mapping, and the kernel's list has mappings of a file that are no code at all (a backtrace reads its symbols by
//! mapping the file once more). On other systems than Linux neither is asked, and both lists are empty.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A library that is mapped in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The path that it was loaded from.
    pub path: PathBuf,
    /// The addresses that it takes.
    pub range: Range<usize>,
}

/// A file as the kernel knows it, whatever its path is now: what `/proc/self/maps` shows before the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode(String);

/// The libraries that were loaded from `directory` and are mapped now.
pub fn under(directory: &Path) -> Vec<Image> {
    all().into_iter().filter(|image| image.path.starts_with(directory)).collect()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use linux::{all, around, inode_at, mapped_bytes};

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::ffi::{CStr, OsStr, c_int, c_void};
    use std::fs;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    /// The images in the dynamic linker's list. The executable itself is not among them.
    pub fn all() -> Vec<Image> {
        let mut images = Vec::new();
        each(|image| {
            if !image.name.to_bytes().is_empty() {
                let path = PathBuf::from(OsStr::from_bytes(image.name.to_bytes()));
                images.push(Image { path, range: image.range });
            }
        });
        images
    }

    /// The image that has `address` in it, if it was loaded from a file and is not the executable.
    pub fn around(address: usize) -> Option<Image> {
        all().into_iter().find(|image| image.range.contains(&address))
    }

    struct Seen<'a> {
        name: &'a CStr,
        range: Range<usize>,
    }

    /// Walks the dynamic linker's list. Takes its lock, so nothing is loaded or closed meanwhile.
    fn each<F: FnMut(Seen<'_>)>(mut visit: F) {
        unsafe extern "C" fn step<F: FnMut(Seen<'_>)>(
            info: *mut libc::dl_phdr_info,
            _len: usize,
            visit: *mut c_void,
        ) -> c_int {
            // SAFETY: `dl_iterate_phdr` gives a valid `info` for the time of this call, and `visit` is the pointer that
            // `each` gave it, to an `F` that nobody else uses meanwhile.
            let (info, visit) = unsafe { (&*info, &mut *visit.cast::<F>()) };
            let headers = match info.dlpi_phnum {
                0 => &[],
                // SAFETY: the dynamic linker says how many program headers lie there; they are mapped with the image.
                n => unsafe { std::slice::from_raw_parts(info.dlpi_phdr, n.into()) },
            };
            let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
            let spans = loaded.map(|header| (header.p_vaddr as usize, (header.p_vaddr + header.p_memsz) as usize));
            let Some((start, end)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return 0 };
            let base = info.dlpi_addr as usize;
            let name = match info.dlpi_name.is_null() {
                true => c"",
                // SAFETY: the name is a string of the dynamic linker that lives as long as the image is listed.
                false => unsafe { CStr::from_ptr(info.dlpi_name) },
            };
            visit(Seen { name, range: base.wrapping_add(start)..base.wrapping_add(end) });
            0
        }
        // SAFETY: `step` is instantiated for the very type that the pointer leads to, and `visit` outlives the call. A
        // panic in `visit` would abort: those in this file only allocate.
        unsafe { libc::dl_iterate_phdr(Some(step::<F>), (&raw mut visit).cast()) };
    }

    /// The file that is mapped at `address`.
    pub fn inode_at(address: usize) -> io::Result<Option<Inode>> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        Ok(maps.lines().filter_map(Mapping::parse).find(|m| m.range.contains(&address)).map(|m| m.inode))
    }

    /// How many bytes of this file are mapped: inside `range`, and anywhere else.
    pub fn mapped_bytes(inode: &Inode, range: &Range<usize>) -> io::Result<(usize, usize)> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        let of_file = maps.lines().filter_map(Mapping::parse).filter(|mapping| mapping.inode == *inode);
        Ok(of_file.fold((0, 0), |(inside, outside), mapping| match range.contains(&mapping.range.start) {
            true => (inside + mapping.range.len(), outside),
            false => (inside, outside + mapping.range.len()),
        }))
    }

    struct Mapping {
        range: Range<usize>,
        inode: Inode,
    }

    impl Mapping {
        /// `7f…-7f… r-xp 00001000 fe:01 4711   /path`: anonymous memory has inode 0, and is no mapping of a file.
        fn parse(line: &str) -> Option<Self> {
            let mut fields = line.split_ascii_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let (device, number) = (fields.nth(2)?, fields.next()?);
            let address = |text| usize::from_str_radix(text, 16).ok();
            (number != "0")
                .then_some(Self { range: address(start)?..address(end)?, inode: Inode(format!("{device} {number}")) })
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod elsewhere {
    use std::io;

    use super::*;

    /// Nothing is known here.
    pub fn all() -> Vec<Image> {
        Vec::new()
    }

    /// Nothing is known here.
    pub fn around(_address: usize) -> Option<Image> {
        None
    }

    /// Nothing is known here.
    pub fn inode_at(_address: usize) -> io::Result<Option<Inode>> {
        Ok(None)
    }

    /// Nothing is known here.
    pub fn mapped_bytes(_inode: &Inode, _range: &Range<usize>) -> io::Result<(usize, usize)> {
        Ok((0, 0))
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub use elsewhere::{all, around, inode_at, mapped_bytes};
