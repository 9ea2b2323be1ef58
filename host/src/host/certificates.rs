//! The certificates that listeners serve by. A reload reads their files again, before anything has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::config::{Config, Listen};
use crate::tls::Serving;
use crate::transport::Terms;

/// What was read, by the names of `[tls.NAME]`.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    serving: BTreeMap<String, Arc<Serving>>,
    findings: Vec<String>,
}

impl Certificates {
    /// Reads all that the configuration names. What is as it was stays the same.
    ///
    /// # Errors
    /// The name below `tls`, the key, and what is wrong with which file.
    pub(crate) fn read(&self, config: &Config) -> Result<Self, (String, &'static str, String)> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(clock::time_of_day());
        let mut all = Certificates::default();
        for (name, settings) in &config.tls {
            let mut findings = Vec::new();
            let serving = Serving::read(settings, self.serving.get(name), now, &mut findings)
                .map_err(|(key, reason)| (name.clone(), key, reason))?;
            all.findings.extend(findings.into_iter().map(|finding| format!("tls.{name}: {finding}")));
            all.serving.insert(name.clone(), serving);
        }
        Ok(all)
    }

    /// What can be served nevertheless, and should be looked at.
    pub(crate) fn findings(&self) -> &[String] {
        &self.findings
    }

    /// What is asked of whoever connects there.
    pub(super) fn terms(&self, listen: &Listen) -> Option<Terms> {
        let tls = listen.tls.as_ref()?;
        Some(Terms { tls: self.serving.get(tls).cloned() })
    }
}
