//! `tls = { … }` of an upstream, `connect_tls = { … }` of a service: how it is made sure who a server is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

use super::{Version, files, provider};
use crate::transport::Address;

/// What servers have to show, and what they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dial {
    /// The name that a server's certificate has to have, and that it is asked for; its address where none is said.
    pub name: Option<String>,
    /// The authorities whose word is taken; the system's where none are said.
    pub ca: Option<PathBuf>,
    /// The file of a certificate that servers are shown …
    pub certificate: Option<PathBuf>,
    /// … and of its key.
    pub key: Option<PathBuf>,
    /// The protocols that are spoken, the one that is liked best first.
    pub alpn: Vec<String>,
    /// The oldest version of TLS that is spoken.
    pub min_version: Version,
}

impl Dial {
    /// What a type cannot say. An error is the key, and the reason.
    pub(crate) fn check(&self, servers: &[Address]) -> Result<(), (&'static str, String)> {
        if let Some(name) = &self.name
            && let Err(error) = ServerName::try_from(name.as_str())
        {
            return Err(("name", format!("`{name}` is no name of a host: {error}; write name = \"app.example.org\"")));
        }
        if self.certificate.is_some() != self.key.is_some() {
            let missing = if self.key.is_some() { "certificate" } else { "key" };
            return Err((missing, "a certificate and its key go together; name the files of both, or of none".into()));
        }
        if let Some(name) = self.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            return Err(("alpn", format!("`{name}` is no name of a protocol; write alpn = [\"http/1.1\"]")));
        }
        match servers.iter().find(|server| !matches!(server, Address::Tcp(_))) {
            Some(server) => Err(("", format!("{server} is not TCP, which TLS goes over; write tcp://"))),
            None => Ok(()),
        }
    }

    pub(crate) fn resolve(&mut self, directory: &Path) {
        let own = [&mut self.ca, &mut self.certificate, &mut self.key];
        own.into_iter().flatten().for_each(|path| *path = directory.join(&*path));
    }
}

/// What servers are connected to by.
#[derive(Debug)]
pub struct Dialing {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    /// What it was made of.
    made_of: blake3::Hash,
}

impl PartialEq for Dialing {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl Dialing {
    /// Reads the files that the settings name. Where they and the settings are as they were, it is the same as `before`.
    ///
    /// # Errors
    /// The key, and what is wrong with which file.
    pub fn read(settings: &Dial, before: Option<&Arc<Dialing>>) -> Result<Arc<Self>, (&'static str, String)> {
        let mut seen = blake3::Hasher::new();
        seen.update(format!("{settings:?}").as_bytes());
        let roots = match &settings.ca {
            Some(path) => files::authorities(path, &mut seen),
            None => system_s(&mut seen),
        };
        let roots = roots.map_err(|why| ("ca", why))?;
        let own = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => {
                let chain = files::certificates(certificate, &mut seen).map_err(|why| ("certificate", why))?;
                let key = files::key(key, &mut seen).map_err(|why| ("key", why))?;
                Some((certificate, chain, key))
            }
            _ => None,
        };
        let made_of = seen.finalize();
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(Arc::clone(before));
        }
        let versions = match settings.min_version {
            Version::Tls12 => &[&TLS13, &TLS12][..],
            Version::Tls13 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| ("min_version", error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((file, chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| ("key", format!("it does not go with {}: {error}", file.display())))?,
        };
        config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = settings.name.clone().and_then(|name| ServerName::try_from(name).ok());
        Ok(Arc::new(Dialing { config: Arc::new(config), name, made_of }))
    }

    /// As rustls has it.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Who a server at this address has to be.
    pub fn name(&self, server: std::net::SocketAddr) -> ServerName<'static> {
        self.name.clone().unwrap_or_else(|| ServerName::IpAddress(server.ip().into()))
    }
}

/// The authorities that the system trusts.
fn system_s(seen: &mut blake3::Hasher) -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    for certificate in &found.certs {
        seen.update(certificate);
    }
    let mut roots = RootCertStore::empty();
    // Systems have some that nobody can make anything of.
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!(
            "the system has no authorities{why}; install them (ca-certificates), or name a file, ca = \"ca.pem\""
        ));
    }
    Ok(roots)
}
