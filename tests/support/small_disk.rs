//! A disk that is soon full: [`SmallDisk`].

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use tempfile::TempDir;

/// A disk of 64 megabytes in memory, for as long as the value lives.
#[derive(Debug)]
pub struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    /// Mounts one; nothing where that may not be, which is said.
    ///
    /// # Panics
    /// Where there is no room for a directory.
    pub fn mount() -> Option<Self> {
        let at = tempfile::tempdir().expect("there is room for a directory");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs"]).arg(at.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk { at });
        }
        println!("skipped: no small disk can be mounted here");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// Uses up all the room that there is.
    ///
    /// # Panics
    /// Where no file can be made.
    pub fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).expect("a file can be made");
        for size in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    /// Where it was not [used up](SmallDisk::fill).
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was used up");
    }

    fn filler(&self) -> PathBuf {
        self.at.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.at.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || thread::panicking(), "it can be unmounted");
    }
}
