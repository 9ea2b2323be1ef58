//! Agreements, as the host's thread sees to them: what was used before a restart, what is written down at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, anyhow};

use super::Host;
use crate::admin::{AgreementStatus, QuotaStatus, RateStatus};
use crate::agreement::count::{Arrival, Count, Key, Used};
use crate::agreement::terms::periods;
use crate::agreement::{Agreement, Moment};
use crate::clock::time_of_day;
use crate::config::Config;

/// So many are shown: the others are less full.
const SHOWN: usize = 1000;

impl Host {
    /// Takes what was used in the run before, for the first configuration that has an agreement: before anything is counted.
    pub(super) fn read_agreements(&mut self, config: &Config) -> anyhow::Result<()> {
        if self.usage_read || config.agreement.is_empty() {
            return Ok(());
        }
        let store = self.open_store().map_err(|reason| anyhow!(reason));
        let read = store.and_then(|store| Ok(self.usage.read(&mut *store.reader()?)?));
        read.context("agreement: what was used cannot be read")?;
        self.usage_read = true;
        Ok(())
    }

    /// How full the agreements are, the fullest first, and how many are left out.
    pub(super) fn agreements_status(&self) -> (Vec<AgreementStatus>, usize) {
        let wall = time_of_day();
        let at = self.usage.moment(self.clock.now(), wall);
        let counts = self.usage.all().into_values();
        let all = counts.filter_map(|count| Some(status(&count, self.config.agreement.get(&count.key.agreement)?, at)));
        let mut all: Vec<AgreementStatus> = all.collect();
        for (name, terms) in &self.config.agreement {
            if all.iter().all(|one| one.agreement != *name) {
                let nobodys = Key { agreement: name.clone(), account: String::new(), service: String::new() };
                all.push(status(&Count::new(nobodys, Used::default()), terms, at));
            }
        }
        all.sort_by_key(|one| std::cmp::Reverse(one.fullness()));
        let left_out = all.len().saturating_sub(SHOWN);
        all.truncate(SHOWN);
        (all, left_out)
    }

    /// Writes down exactly what was used, now that no worker is left. Where that fails it is as after a crash.
    pub(super) fn settle_agreements(&self) {
        if let Some(store) = self.store.get()
            && let Err(failure) = self.usage.settle(store)
        {
            tracing::warn!("what accounts have used of their agreements is not written down to the last: {failure}");
        }
    }
}

fn status(count: &Count, terms: &Agreement, at: Moment) -> AgreementStatus {
    let used = count.used_now();
    let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let quotas = periods(terms.quotas()).map(|(place, period, of)| {
        let (start, until) = period.window(at.wall);
        let quota = used.quotas[place];
        let used = if quota.start < start { 0 } else { quota.given };
        QuotaStatus { period: period.limit().word().to_owned(), used, of, until }
    });
    let rate = terms.rate().map(|rate| {
        let tat = match used.tat {
            Arrival::At(tat) => tat,
            Arrival::Stored(tat) => tat.min(rate.used_up(at.steady)),
        };
        RateStatus { of: rate.of, per: rate.per, burst: rate.burst, left: rate.left(tat, at.steady) }
    });
    AgreementStatus {
        agreement: count.key.agreement.clone(),
        account: count.key.account.clone(),
        service: count.key.service.clone(),
        rate,
        quotas: quotas.collect(),
        concurrent: (now(&count.concurrent), terms.concurrent),
        sessions: (now(&count.sessions), terms.sessions),
        refused: now(&count.refused),
    }
}
