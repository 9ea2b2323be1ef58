//! Machines whose system calls the filter does not know.

use std::fs::File;

pub(super) fn filter(_: &File) -> Result<(), String> {
    Err(format!("not on {}", std::env::consts::ARCH))
}
