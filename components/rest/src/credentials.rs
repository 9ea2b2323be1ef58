//! Who asks, as `Authorization` says it: [`Credentials`].
//!
//! `Basic` is RFC 7617: base64 of `account:secret`. `Bearer` is for clients that know nothing else: its token is `account:secret` in
//! base64url without padding, so what is behind both is the same.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// An account's name, and what is said to be its secret. Never part of a state.
pub(crate) struct Credentials {
    pub(crate) account: String,
    pub(crate) secret: Vec<u8>,
}

impl Credentials {
    /// Reads the value of `Authorization`. `None`: it is neither of the two, or not in its form.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let at = value.iter().position(|byte| *byte == b' ')?;
        let (scheme, token) = (&value[..at], value[at..].trim_ascii());
        let decoded = if scheme.eq_ignore_ascii_case(b"basic") {
            BASIC.decode(token).ok()?
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            BEARER.decode(token).ok()?
        } else {
            return None;
        };
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let account = std::str::from_utf8(&decoded[..colon]).ok().filter(|account| !account.is_empty())?;
        Some(Credentials { account: account.to_owned(), secret: decoded[colon + 1..].to_vec() })
    }
}

const ANY: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASIC: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY);
const BEARER: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY);

#[cfg(test)]
mod tests {
    use super::Credentials;

    fn read(value: &str) -> Option<(String, Vec<u8>)> {
        Credentials::read(value.as_bytes()).map(|it| (it.account, it.secret))
    }

    #[test]
    fn both_schemes_say_account_and_secret() {
        let aladdin = Some(("Aladdin".to_owned(), b"open sesame".to_vec()));
        // The example of RFC 7617, section 2.
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), aladdin);
        assert_eq!(read("bASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ"), aladdin);
        assert_eq!(read("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ"), aladdin);
        assert_eq!(read("Bearer YTpiOmM_Pw"), Some(("a".to_owned(), b"b:c??".to_vec())));
    }

    #[test]
    fn what_is_neither_is_nobody() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Basic QQ==",
            "Basic OmE=",
            "Digest QTpC",
            "Bearer YTpiOmM/Pw",
            "Basic gDpi",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
