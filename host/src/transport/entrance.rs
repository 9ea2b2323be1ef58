//! What is asked of whoever connects to an address before anything else. Sockets stay when it changes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::proxy::Proxies;
use crate::tls::Serving;

/// What is asked at an address now, as all workers that listen there see it. Most ask nothing.
#[derive(Debug, Default)]
pub struct Entrance(ArcSwapOption<Terms>);

/// What is asked, in this order.
#[derive(Debug)]
pub struct Terms {
    /// To be one of these, and to say whose connection it is.
    pub proxies: Option<Proxies>,
    /// To agree on TLS by this.
    pub tls: Option<Arc<Serving>>,
}

impl Entrance {
    /// What is asked of who connects now.
    pub fn terms(&self) -> Option<Arc<Terms>> {
        self.0.load_full()
    }

    /// Asks this of who connects from now on.
    pub fn set(&self, terms: Option<Terms>) {
        self.0.store(terms.map(Arc::new));
    }
}
