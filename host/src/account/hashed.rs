//! A secret as it is kept: [`Hashed`], a PHC string of Argon2id.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::{self, PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SECRET_MAX;

/// What a secret is known by: `$argon2id$v=19$m=19456,t=2,p=1$…$…`. Its parameters are within bounds.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed(Arc<str>);

/// What hashing costs: what OWASP asks for at least.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What a hash that was made elsewhere may cost at most: each verification costs as much.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 16;
/// The shortest output that says whose secret it was, in bytes.
const OUTPUT_MIN: usize = 16;
/// The longest text that is looked at.
const TEXT_MAX: usize = 512;

/// Why a text is none. It never says the text, which may be the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is something else, a plain secret most likely.
    #[error(
        "an account's secret is kept hashed: write what `tandem account hash` prints, which begins with $argon2id$"
    )]
    Plain,
    /// It is hashed in another way.
    #[error("an account's secret is hashed by Argon2id, version 19; write what `tandem account hash` prints")]
    Other,
    /// It is not whole.
    #[error("an account's hashed secret is damaged; write what `tandem account hash` prints, all of it")]
    Damaged,
    /// Verifying it would take too much.
    #[error(
        "verifying an account's secret would cost too much: m is {MEMORY_KIB_MAX} at most, t {PASSES_MAX}, p {LANES_MAX}; \
         `tandem account hash` makes one with m={MEMORY_KIB},t={PASSES},p={LANES}"
    )]
    Dear,
}

/// Why a secret cannot be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unhashed {
    /// There is none.
    #[error("the secret is empty")]
    Empty,
    /// There is too much of it.
    #[error("the secret is longer than {SECRET_MAX} bytes")]
    Long,
    /// The system gave no random numbers or no memory.
    #[error("the secret cannot be hashed: {0}")]
    System(password_hash::Error),
}

/// Whether a secret is the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Right,
    /// It is another.
    Wrong,
    /// It could not be found out: no memory could be had.
    Undecided,
}

impl Hashed {
    /// Hashes a secret.
    ///
    /// # Errors
    /// It is empty or too long, or the system gives no random numbers.
    pub fn of(secret: &[u8]) -> Result<Self, Unhashed> {
        match secret.len() {
            0 => return Err(Unhashed::Empty),
            length if length > SECRET_MAX => return Err(Unhashed::Long),
            _ => {}
        }
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| Unhashed::System(error.into()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: PasswordHash = argon2.hash_password(secret).map_err(Unhashed::System)?;
        Ok(Hashed(hash.to_string().into()))
    }

    /// One that no secret is known of, and that takes as long to verify as one that [`of`](Hashed::of) makes.
    pub fn nobodys() -> Self {
        let text = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        );
        Hashed(text.into())
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is none, or one that would cost too much.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        if !text.starts_with("$argon2") {
            return Err(Unfit::Plain);
        }
        if text.len() > TEXT_MAX {
            return Err(Unfit::Damaged);
        }
        let hash = PasswordHash::new(text).map_err(|_| Unfit::Damaged)?;
        if hash.algorithm != Algorithm::Argon2id.ident() || hash.version != Some(Version::V0x13.into()) {
            return Err(Unfit::Other);
        }
        let whole = hash.salt.is_some() && hash.hash.as_ref().is_some_and(|hash| hash.len() >= OUTPUT_MIN);
        let params = Params::try_from(&hash).ok().filter(|_| whole).ok_or(Unfit::Damaged)?;
        if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX {
            return Err(Unfit::Dear);
        }
        Ok(Hashed(text.into()))
    }

    /// The text that [`parse`](Hashed::parse) reads.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether this is the secret. It takes as long as its parameters say.
    pub fn verify(&self, secret: &[u8]) -> Verdict {
        let Ok(hash) = PasswordHash::new(&self.0) else { return Verdict::Undecided };
        match Argon2::default().verify_password(secret, &hash) {
            Ok(()) => Verdict::Right,
            Err(password_hash::Error::PasswordInvalid) => Verdict::Wrong,
            Err(_) => Verdict::Undecided,
        }
    }
}

/// Not even the hash: whoever has it can try secrets at home.
impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$argon2id$…")
    }
}

impl Serialize for Hashed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// By hand: serde's own errors say what was found instead of a text.
impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parsed = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Hashed::parse(&text),
            _ => Err(Unfit::Plain),
        };
        parsed.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `argon2` of the reference implementation: the secret is `password`, the salt `somesalt`.
    const REFERENCE: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn a_secret_is_verified_by_what_was_made_of_it() {
        let hashed = Hashed::of(b"right").unwrap();
        assert!(hashed.text().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.text());
        let read = Hashed::parse(hashed.text()).unwrap();
        assert_eq!((read.verify(b"right"), read.verify(b"wrong")), (Verdict::Right, Verdict::Wrong));
        assert_ne!(Hashed::of(b"right").unwrap(), hashed, "each has a salt of its own");
    }

    #[test]
    fn what_another_implementation_made_is_read() {
        let hashed = Hashed::parse(REFERENCE).unwrap();
        assert_eq!((hashed.verify(b"password"), hashed.verify(b"Password")), (Verdict::Right, Verdict::Wrong));
    }

    #[test]
    fn what_stands_for_nobody_can_be_read_and_is_nobodys() {
        let nobodys = Hashed::nobodys();
        assert_eq!(Hashed::parse(nobodys.text()).as_ref(), Ok(&nobodys));
        assert_eq!(nobodys.verify(b""), Verdict::Wrong);
    }

    #[test]
    fn what_is_none_or_costs_too_much_is_refused() {
        let with = |from: &str, to: &str| REFERENCE.replace(from, to);
        let rows = [
            ("hunter2".to_owned(), Unfit::Plain),
            (String::new(), Unfit::Plain),
            ("$2b$12$x".to_owned(), Unfit::Plain),
            (with("argon2id", "argon2i"), Unfit::Other),
            (with("v=19", "v=16"), Unfit::Other),
            (with("v=19$", ""), Unfit::Other),
            (with("$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", ""), Unfit::Damaged),
            (with("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65EOgLrQMR"), Unfit::Damaged),
            (with("m=256", "m=x"), Unfit::Damaged),
            (with("m=256", "m=1"), Unfit::Damaged),
            (with("p=1", "p=1,x=1"), Unfit::Damaged),
            (format!("{REFERENCE}{}", "A".repeat(600)), Unfit::Damaged),
            (with("m=256", "m=262145"), Unfit::Dear),
            (with("t=2", "t=11"), Unfit::Dear),
            (with("m=256,t=2,p=1", "m=4096,t=2,p=17"), Unfit::Dear),
        ];
        for (text, unfit) in rows {
            assert_eq!(Hashed::parse(&text), Err(unfit), "{text}");
        }
        assert!(Hashed::parse(&with("m=256,t=2", "m=262144,t=10")).is_ok(), "the bounds are within");
    }

    #[test]
    fn a_secret_has_a_length() {
        assert_eq!(Hashed::of(b""), Err(Unhashed::Empty));
        assert_eq!(Hashed::of(&[b'x'; SECRET_MAX + 1]), Err(Unhashed::Long));
    }

    #[test]
    fn it_is_not_printed() {
        assert_eq!(format!("{:?}", Hashed::parse(REFERENCE).unwrap()), "$argon2id$…");
    }
}
