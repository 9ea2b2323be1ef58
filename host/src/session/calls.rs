//! Calls between sessions.

use super::driver::Driver;
use super::effects::Reason;

impl Driver<'_, '_> {
    pub(super) fn call(&mut self, service: &str, asked: &[u8], within: u64, token: u64) -> Result<(), Reason> {
        let _ = (service, asked, within, token);
        Err("`call` is not there yet".to_owned())
    }

    pub(super) fn respond(&mut self, request: u64, response: &[u8]) -> Result<(), Reason> {
        let _ = (request, response);
        Err("`respond` is not there yet".to_owned())
    }

    pub(super) fn serve(&mut self, serving: bool) -> Result<(), Reason> {
        let _ = serving;
        Err("`serve` is not there yet".to_owned())
    }
}
