//! `[admin]`: where the gateway is asked beside the socket in its data directory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::tls::Settings;

/// `[admin]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Addresses to listen at. Takes a restart to change.
    pub listen: Vec<SocketAddr>,
    /// The file with the word that who asks there has to show. Takes a restart to change.
    pub token_file: Option<PathBuf>,
    /// Which `[tls.NAME]` is served by there.
    pub tls: Option<String>,
}

/// The shortest word: it can be tried as often as anybody likes.
const TOKEN_MIN: usize = 16;

impl Admin {
    /// What a type cannot say. An error is the key, and the reason.
    pub(super) fn check(&self, tls: &BTreeMap<String, Settings>) -> Result<(), (&'static str, String)> {
        if !self.listen.is_empty() && self.token_file.is_none() {
            let reason = "whoever reaches it could stop the gateway; name a file with a word that is to be shown there, as in \
                          token_file = \"admin.token\" (`openssl rand -hex 32 > admin.token`), or leave the addresses out: the socket in \
                          the data directory is always there";
            return Err(("listen", reason.to_owned()));
        }
        if let Some(name) = &self.tls {
            if self.listen.is_empty() {
                return Err(("tls", "it listens nowhere; write listen = [\"192.0.2.1:9464\"]".to_owned()));
            }
            if !tls.contains_key(name) {
                return Err(("tls", format!("there is no [tls.{name}]; write it, with certificates")));
            }
        }
        Ok(())
    }

    /// What works, and should be looked at.
    pub(crate) fn findings(&self) -> impl Iterator<Item = String> {
        let away =
            self.listen.iter().filter(|address| self.tls.is_none() && !address.ip().to_canonical().is_loopback());
        away.map(|address| {
            format!(
                "admin.listen: to {address} the word of admin.token_file goes in clear, and whoever reads it may stop the gateway: write \
                 admin.tls = \"NAME\", or listen at 127.0.0.1"
            )
        })
    }

    pub(super) fn resolve(&mut self, directory: &Path) {
        if let Some(file) = &mut self.token_file {
            *file = directory.join(&*file);
        }
    }

    /// What has to be shown; nothing where it listens nowhere.
    ///
    /// # Errors
    /// The file cannot be read, or what it says is too short.
    pub fn token(&self) -> Result<String, String> {
        let Some(file) = self.token_file.as_ref().filter(|_| !self.listen.is_empty()) else { return Ok(String::new()) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("admin.token_file: {} cannot be read: {error}", file.display()))?;
        let token = text.trim();
        if token.len() < TOKEN_MIN || token.contains(char::is_whitespace) {
            return Err(format!(
                "admin.token_file: {} has no word of at least {TOKEN_MIN} letters; write one by `openssl rand -hex 32`",
                file.display()
            ));
        }
        Ok(token.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_easily_guessed_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let admin = Admin { listen: vec!["127.0.0.1:0".parse().unwrap()], token_file: Some(file.clone()), tls: None };
        assert!(admin.token().unwrap_err().contains("cannot be read"));
        let rows = [("", false), ("secret\n", false), ("two words of it, long\n", false), ("0123456789abcdef\n", true)];
        for (text, right) in rows {
            std::fs::write(&file, text).unwrap();
            assert_eq!(admin.token().ok(), right.then(|| text.trim().to_owned()), "{text}");
        }
        assert_eq!(Admin { listen: Vec::new(), ..admin }.token(), Ok(String::new()));
    }

    #[test]
    fn a_word_that_goes_in_clear_over_a_network_is_a_finding() {
        let rows = [
            ("127.0.0.1:1", None, 0),
            ("[::1]:1", None, 0),
            ("0.0.0.0:1", None, 1),
            ("192.0.2.1:1", Some("inside"), 0),
        ];
        for (address, tls, findings) in rows {
            let tls = tls.map(str::to_owned);
            let admin = Admin { listen: vec![address.parse().unwrap()], token_file: Some("f".into()), tls };
            assert_eq!(admin.findings().count(), findings, "{address}");
        }
    }

    #[test]
    fn it_listens_nowhere_where_nothing_is_to_be_shown() {
        let admin = Admin { listen: vec!["127.0.0.1:0".parse().unwrap()], token_file: None, tls: None };
        assert_eq!(admin.check(&BTreeMap::new()).unwrap_err().0, "listen");
        assert_eq!(Admin::default().check(&BTreeMap::new()), Ok(()));
    }
}
