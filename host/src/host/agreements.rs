//! Agreements, as the host's thread sees to them: what was used before a restart, what is written down at the end.

use anyhow::{Context, anyhow};

use super::Host;
use crate::config::Config;

impl Host {
    /// Takes what was used in the run before, for the first configuration that has an agreement: before anything is counted.
    pub(super) fn read_agreements(&mut self, config: &Config) -> anyhow::Result<()> {
        if self.ledger_read || config.agreement.is_empty() {
            return Ok(());
        }
        let store = self.open_store().map_err(|reason| anyhow!(reason));
        let read = store.and_then(|store| Ok(self.ledger.read(&mut *store.reader()?)?));
        read.context("agreement: what was used cannot be read")?;
        self.ledger_read = true;
        Ok(())
    }

    /// Writes down exactly what was used, now that no worker is left. Where that fails it is as after a crash.
    pub(super) fn settle_agreements(&self) {
        if let Some(store) = self.store.get()
            && let Err(failure) = self.ledger.settle(store)
        {
            tracing::warn!("what accounts have used of their agreements is not written down to the last: {failure}");
        }
    }
}
