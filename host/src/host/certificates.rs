//! The certificates that listeners serve by. A reload reads their files again, before anything has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::config::{Config, Listen};
use crate::tls::{Dialing, Serving};
use crate::transport::Terms;

/// The path of what says how the servers of an upstream are connected to.
pub(super) fn to_upstream(name: &str) -> Vec<String> {
    ["upstream", name, "tls"].map(str::to_owned).into()
}

/// … and what a service is connected to.
pub(super) fn to_service(name: &str) -> Vec<String> {
    ["service", name, "connect_tls"].map(str::to_owned).into()
}

/// What was read, by the names of `[tls.NAME]`.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    serving: BTreeMap<String, Arc<Serving>>,
    /// … and of upstreams and services, by the path of the key.
    dialing: BTreeMap<Vec<String>, Arc<Dialing>>,
    findings: Vec<String>,
}

impl Certificates {
    /// Reads all that the configuration names. What is as it was stays the same.
    ///
    /// # Errors
    /// The path of the key, and what is wrong with which file.
    pub(crate) fn read(&self, config: &Config) -> Result<Self, (Vec<String>, String)> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(clock::time_of_day());
        let mut all = Certificates { findings: config.admin.findings().collect(), ..Certificates::default() };
        for (name, settings) in &config.tls {
            let mut findings = Vec::new();
            let serving = Serving::read(settings, self.serving.get(name), now, &mut findings)
                .map_err(|(key, reason)| (vec!["tls".to_owned(), name.clone(), key.to_owned()], reason))?;
            all.findings.extend(findings.into_iter().map(|finding| format!("tls.{name}: {finding}")));
            all.serving.insert(name.clone(), serving);
        }
        let upstreams = config.upstream.iter().map(|(name, upstream)| (to_upstream(name), &upstream.tls));
        let services = config.service.iter().map(|(name, service)| (to_service(name), &service.connect_tls));
        for (path, settings) in upstreams.chain(services) {
            let Some(settings) = settings else { continue };
            let dialing = Dialing::read(settings, self.dialing.get(&path)).map_err(|(key, reason)| {
                let mut path = path.clone();
                path.push(key.to_owned());
                (path, reason)
            })?;
            all.dialing.insert(path, dialing);
        }
        Ok(all)
    }

    /// What can be served nevertheless, and should be looked at.
    pub(crate) fn findings(&self) -> &[String] {
        &self.findings
    }

    /// What is connected by, below the key with this path.
    pub(super) fn dialing(&self, path: &[String]) -> Option<Arc<Dialing>> {
        self.dialing.get(path).cloned()
    }

    /// What is asked of whoever connects to the admin interface by TCP.
    pub(super) fn admin_terms(&self, config: &Config) -> Option<Terms> {
        let serving = self.serving.get(config.admin.tls.as_ref()?)?;
        Some(Terms { proxies: None, tls: Some(Arc::new(serving.speaking("http/1.1"))) })
    }

    /// What is asked of whoever connects there.
    pub(super) fn terms(&self, listen: &Listen) -> Option<Terms> {
        let Listen { tls, proxy_protocol, .. } = listen;
        let tls = tls.as_ref().and_then(|tls| self.serving.get(tls)).cloned();
        let proxies = proxy_protocol.clone();
        (tls.is_some() || proxies.is_some()).then_some(Terms { proxies, tls })
    }
}
