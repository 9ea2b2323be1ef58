//! What TLS is agreed on by: certificates and keys from their files, and what is asked of the other side.

mod dialing;
mod files;
pub mod names;
mod serving;

pub use dialing::{Dial, Dialing};
pub use serving::{Client, Pair, Serving, Settings, Version};

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The cryptography. It is said wherever a configuration is made, so that none is the process's own by chance.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
