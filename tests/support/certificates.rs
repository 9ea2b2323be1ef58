//! Certificates for tests, each in files of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority, and where its certificates are written.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    /// The file of its own certificate.
    pub file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of a certificate and of its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, of this name.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn new(directory: &Path, name: &str) -> Self {
        fs::create_dir_all(directory).expect("there is room for a directory");
        let mut params = named(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is chance");
        let certificate = params.self_signed(&key).expect("it can be signed");
        let file = directory.join(format!("{name}.pem"));
        fs::write(&file, certificate.pem()).expect("there is room for a certificate");
        Authority { directory: directory.to_owned(), file, issuer: Issuer::new(params, key) }
    }

    /// A certificate of somebody's, for these names of hosts.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn certify(&self, file: &str, whose: &str, hosts: &[&str]) -> Certificate {
        self.write(file, &named(hosts, whose))
    }

    /// One that has expired.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn certify_expired(&self, file: &str, whose: &str, hosts: &[&str]) -> Certificate {
        let mut params = named(hosts, whose);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.write(file, &params)
    }

    fn write(&self, file: &str, params: &CertificateParams) -> Certificate {
        let private = KeyPair::generate().expect("there is chance");
        let signed = params.signed_by(&private, &self.issuer).expect("it can be signed");
        let certificate = self.directory.join(format!("{file}.pem"));
        let key = self.directory.join(format!("{file}.key"));
        fs::write(&certificate, signed.pem()).expect("there is room for a certificate");
        fs::write(&key, private.serialize_pem()).expect("there is room for a key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
        Certificate { certificate, key }
    }
}

impl Certificate {
    /// As a configuration names it.
    pub fn pair(&self) -> String {
        format!("{{ certificate = \"{}\", key = \"{}\" }}", self.certificate.display(), self.key.display())
    }

    /// Is the other one from now on, under the names of this one's files.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn renew_as(&self, other: &Certificate) {
        fs::copy(&other.certificate, &self.certificate).expect("there is room for a certificate");
        fs::copy(&other.key, &self.key).expect("there is room for a key");
    }
}

fn named(hosts: &[&str], whose: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("these are names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, whose);
    params
}
