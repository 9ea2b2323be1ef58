//! `[tls.NAME]`: how listeners serve by TLS.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use serde::Deserialize;

use super::{files, names, provider};
use crate::config::Span;

/// `[tls.NAME]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Certificates with their keys. Which one is shown is chosen by the name that the client asks for; the first is for those who ask
    /// for none, or for one that no certificate has.
    pub certificates: Vec<Pair>,
    /// The protocols that are spoken here, the one that is liked best first. A client that offers some and none of them is refused.
    #[serde(default)]
    pub alpn: Vec<String>,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub min_version: Version,
    /// The authorities whose word is taken for who a client is. Where they are named, clients have to show a certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether they have to.
    #[serde(default)]
    pub client: Client,
    /// How long the handshake may take.
    #[serde(default = "Settings::timeout")]
    pub timeout: Span,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The file of the certificate, and after it of those that vouch for it.
    pub certificate: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// 1.2, the oldest one that is still sound.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// 1.3
    #[serde(rename = "1.3")]
    Tls13,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// Who shows none is refused.
    #[default]
    Required,
    /// Who shows none is nobody in particular; one that does not hold is refused.
    Optional,
}

impl Settings {
    fn timeout() -> Span {
        Span::seconds(10)
    }

    /// What a type cannot say. An error is the key, and the reason.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.certificates.is_empty() {
            let reason = "there is none; write certificates = [{ certificate = \"web.pem\", key = \"web.key\" }]";
            return Err(("certificates", reason.into()));
        }
        if let Some(name) = self.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            return Err(("alpn", format!("`{name}` is no name of a protocol; write alpn = [\"h2\", \"http/1.1\"]")));
        }
        if self.client == Client::Optional && self.client_ca.is_none() {
            return Err(("client", "clients are asked for nothing; name the file of authorities, client_ca".into()));
        }
        if self.timeout.get().is_zero() {
            return Err(("timeout", "at least 1ms: within no time there is no handshake".into()));
        }
        Ok(())
    }

    pub(crate) fn resolve(&mut self, directory: &Path) {
        let own = self.certificates.iter_mut().flat_map(|pair| [&mut pair.certificate, &mut pair.key]);
        own.chain(&mut self.client_ca).for_each(|path| *path = directory.join(&*path));
    }
}

/// What a listener serves by.
#[derive(Debug)]
pub struct Serving {
    /// As rustls has it.
    pub config: Arc<ServerConfig>,
    /// How long a handshake may take.
    pub timeout: Duration,
    /// What it was made of.
    made_of: blake3::Hash,
}

impl Serving {
    /// Reads the files that the settings name. Where they and the settings are as they were, it is the same as `before`: clients that
    /// were here come back without a whole handshake. What is not right, and nevertheless can be served, is a finding.
    ///
    /// # Errors
    /// The key, and what is wrong with which file.
    pub fn read(
        settings: &Settings,
        before: Option<&Arc<Serving>>,
        now: SystemTime,
        findings: &mut Vec<String>,
    ) -> Result<Arc<Self>, (&'static str, String)> {
        let mut seen = blake3::Hasher::new();
        seen.update(format!("{settings:?}").as_bytes());
        let chosen =
            ByName::read(&settings.certificates, &mut seen, now, findings).map_err(|why| ("certificates", why))?;
        let clients = match &settings.client_ca {
            None => None,
            Some(path) => Some((path, files::authorities(path, &mut seen).map_err(|why| ("client_ca", why))?)),
        };
        let made_of = seen.finalize();
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(Arc::clone(before));
        }
        let versions = match settings.min_version {
            Version::Tls12 => &[&TLS13, &TLS12][..],
            Version::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| ("min_version", error.to_string()))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((path, roots)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                let verifier = match settings.client {
                    Client::Required => verifier,
                    Client::Optional => verifier.allow_unauthenticated(),
                };
                let verifier =
                    verifier.build().map_err(|error| ("client_ca", format!("{}: {error}", path.display())))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(chosen));
        config.alpn_protocols = settings.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.ticketer = Ticketer::new().map_err(|error| ("certificates", error.to_string()))?;
        Ok(Arc::new(Serving { config: Arc::new(config), timeout: settings.timeout.get(), made_of }))
    }

    /// The same where nothing else is spoken than this protocol.
    pub fn speaking(&self, protocol: &str) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Serving { config: Arc::new(config), ..*self }
    }
}

/// Certificates by the names that they are for.
#[derive(Debug)]
struct ByName {
    first: Arc<CertifiedKey>,
    /// `*.example.org` as it is written.
    named: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    fn read(
        pairs: &[Pair],
        seen: &mut blake3::Hasher,
        now: SystemTime,
        findings: &mut Vec<String>,
    ) -> Result<Self, String> {
        let (mut first, mut named) = (None, HashMap::new());
        for Pair { certificate, key } in pairs {
            let file = certificate.display();
            let chain = files::certificates(certificate, seen)?;
            let names =
                names::read(&chain[0]).map_err(|error| format!("{file}: its first certificate is none: {error}"))?;
            let private = files::key(key, seen)?;
            let both = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!(
                        "{} is not the key of the first certificate in {file}: name the two that belong together",
                        key.display()
                    )
                }
                error => format!("{file} and {}: {error}", key.display()),
            })?;
            let (since, until) = names.holds;
            // Whoever has to restart a gateway needs it all the more.
            if until < now {
                findings.push(format!("{file} has expired: clients will refuse it"));
            } else if since > now {
                findings.push(format!("{file} does not hold yet: clients will refuse it"));
            }
            let both = Arc::new(both);
            first.get_or_insert_with(|| Arc::clone(&both));
            for name in names.hosts {
                named.entry(name).or_insert_with(|| Arc::clone(&both));
            }
        }
        let first = first.ok_or("there is none")?;
        Ok(ByName { first, named })
    }

    fn of(&self, name: &str) -> &Arc<CertifiedKey> {
        let any = || self.named.get(&format!("*.{}", name.split_once('.')?.1));
        self.named.get(name).or_else(any).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has it in small letters.
        Some(Arc::clone(hello.server_name().map_or(&self.first, |name| self.of(name))))
    }
}
