//! Keyed conversations.

use super::driver::Driver;
use super::effects::Reason;

impl Driver<'_, '_> {
    pub(super) fn route(&mut self, key: &[u8]) -> Result<(), Reason> {
        let _ = key;
        Err("`route` is not there yet".to_owned())
    }
}
