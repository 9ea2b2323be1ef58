//! Who was verified before: [`Remembered`], so that a thousand connections that are made anew wait for nothing.
//!
//! What is kept of an account is a MAC over its name, its hash and its secret, under a key that lives as long as the process:
//! it says nothing to whoever reads it, and a hash that was changed is not the one that was verified.

use std::collections::HashMap;

use blake3::{Hash, Hasher};
use zeroize::Zeroize;

use super::Hashed;

/// The MACs of those that were verified, the last of each account.
pub(super) struct Remembered {
    key: [u8; 32],
    by_name: HashMap<String, Hash>,
    max: usize,
}

impl Remembered {
    /// Of so many accounts at most.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new(max: usize) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Remembered { key, by_name: HashMap::new(), max })
    }

    /// What a secret is remembered by.
    pub(super) fn mac(&self, name: &str, hashed: &Hashed, secret: &[u8]) -> Hash {
        let mut hasher = Hasher::new_keyed(&self.key);
        for part in [name.as_bytes(), hashed.text().as_bytes(), secret] {
            // With its length, so that no part can pass for the end of another.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mac = hasher.finalize();
        // It has the end of the secret in it.
        hasher.zeroize();
        mac
    }

    /// Whether this was verified before. blake3 compares MACs in constant time.
    pub(super) fn knows(&self, name: &str, mac: Hash) -> bool {
        self.by_name.get(name).is_some_and(|known| *known == mac)
    }

    /// This was verified. Where there are as many as there may be, any other makes room: it is verified once more.
    pub(super) fn keep(&mut self, name: &str, mac: Hash) {
        if let Some(known) = self.by_name.get_mut(name) {
            *known = mac;
            return;
        }
        if self.by_name.len() >= self.max
            && let Some(any) = self.by_name.keys().next().cloned()
        {
            self.by_name.remove(&any);
        }
        self.by_name.insert(name.to_owned(), mac);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(salt: &str) -> Hashed {
        let text = Hashed::nobodys().text().replacen("$AAAA", &format!("${salt}"), 1);
        Hashed::parse(&text).unwrap()
    }

    #[test]
    fn it_is_the_same_only_with_the_same_name_hash_and_secret() {
        let remembered = Remembered::new(4).unwrap();
        let one = remembered.mac("acme", &hashed("AAAA"), b"secret");
        assert_eq!(remembered.mac("acme", &hashed("AAAA"), b"secret"), one);
        let others = [
            remembered.mac("acm", &hashed("AAAA"), b"esecret"),
            remembered.mac("acme", &hashed("BBBB"), b"secret"),
            remembered.mac("acme", &hashed("AAAA"), b"secreT"),
            Remembered::new(4).unwrap().mac("acme", &hashed("AAAA"), b"secret"),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn there_is_one_of_an_account_and_so_many_in_all() {
        let mut remembered = Remembered::new(3).unwrap();
        let mac = |n: u8| Hash::from_bytes([n; 32]);
        remembered.keep("acme", mac(1));
        assert!(
            remembered.knows("acme", mac(1)) && !remembered.knows("acme", mac(2)) && !remembered.knows("b", mac(1))
        );
        remembered.keep("acme", mac(2));
        assert!(remembered.knows("acme", mac(2)) && !remembered.knows("acme", mac(1)));
        for n in 3..100 {
            remembered.keep(&n.to_string(), mac(n));
            assert!(remembered.knows(&n.to_string(), mac(n)));
        }
        assert_eq!(remembered.by_name.len(), 3);
    }
}
