//! `[admin]`: where the gateway is asked beside the socket in its data directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[admin]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Addresses to listen at. Takes a restart to change.
    pub listen: Vec<SocketAddr>,
    /// The file with the word that who asks there has to show. Takes a restart to change.
    pub token_file: Option<PathBuf>,
}

/// The shortest word: it can be tried as often as anybody likes.
const TOKEN_MIN: usize = 16;

impl Admin {
    /// What a type cannot say. An error is the key, and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.listen.is_empty() && self.token_file.is_none() {
            let reason = "whoever reaches it could stop the gateway; name a file with a word that is to be shown there, as in \
                          token_file = \"admin.token\" (`openssl rand -hex 32 > admin.token`), or leave the addresses out: the socket in \
                          the data directory is always there";
            return Err(("listen", reason.to_owned()));
        }
        Ok(())
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
        let admin = Admin { listen: vec!["127.0.0.1:0".parse().unwrap()], token_file: Some(file.clone()) };
        assert!(admin.token().unwrap_err().contains("cannot be read"));
        let rows = [("", false), ("secret\n", false), ("two words of it, long\n", false), ("0123456789abcdef\n", true)];
        for (text, right) in rows {
            std::fs::write(&file, text).unwrap();
            assert_eq!(admin.token().ok(), right.then(|| text.trim().to_owned()), "{text}");
        }
        assert_eq!(Admin { listen: Vec::new(), ..admin }.token(), Ok(String::new()));
    }

    #[test]
    fn it_listens_nowhere_where_nothing_is_to_be_shown() {
        let admin = Admin { listen: vec!["127.0.0.1:0".parse().unwrap()], token_file: None };
        assert_eq!(admin.check().unwrap_err().0, "listen");
        assert_eq!(Admin::default().check(), Ok(()));
    }
}
