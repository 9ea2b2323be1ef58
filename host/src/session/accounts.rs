//! Whose secret it is.

use super::driver::Driver;
use super::effects::Reason;

impl Driver<'_, '_> {
    pub(super) fn authenticate(&mut self, account: &str, secret: &[u8], token: u64) -> Result<(), Reason> {
        let _ = (account, secret, token);
        Err("`authenticate` is not there yet".to_owned())
    }
}
