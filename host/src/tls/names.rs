//! What certificates say: whose they are, for which names, and until when.

use std::time::{Duration, SystemTime};

use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// What is read of a certificate.
#[derive(Debug)]
pub struct Names {
    /// The names of hosts that it is for, in small letters; `*.example.org` is all of one label more.
    pub hosts: Vec<String>,
    /// Since when it holds, and until when.
    pub holds: (SystemTime, SystemTime),
}

/// Reads a certificate.
///
/// # Errors
/// It is none.
pub fn read(certificate: &[u8]) -> Result<Names, String> {
    let certificate = Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let tbs = certificate.tbs_certificate();
    let hosts = match tbs.get_extension::<SubjectAltName>().map_err(|error| error.to_string())? {
        None => Vec::new(),
        Some((_, names)) => {
            let host = |name: &GeneralName| match name {
                GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
                _ => None,
            };
            names.0.iter().filter_map(host).collect()
        }
    };
    let at = |since: Duration| SystemTime::UNIX_EPOCH + since;
    let validity = tbs.validity();
    let holds = (at(validity.not_before.to_unix_duration()), at(validity.not_after.to_unix_duration()));
    Ok(Names { hosts, holds })
}

/// Whose a certificate is, as RFC 4514 writes it: `CN=alice,O=Example`.
pub fn subject(certificate: &[u8]) -> Option<String> {
    Some(Certificate::from_der(certificate).ok()?.tbs_certificate().subject().to_string())
}
