//! Who has sent a webhook, and that nothing of it was changed: [`sign`].

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `Tandem-Signature`: `t=SECONDS,v1=HEX`, where `HEX` is the HMAC-SHA256 of `SECONDS`, a full stop and the body.
///
/// A receiver computes the same, compares in constant time, and refuses what is older than a few minutes.
///
/// ```
/// let signature = tandem_rest::sign(b"secret", 1_767_268_800, b"{}");
/// assert!(signature.starts_with("t=1767268800,v1="));
/// assert_eq!(signature.len(), "t=1767268800,v1=".len() + 64);
/// ```
pub fn sign(secret: &[u8], seconds: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 1, 2 and 6: the primitive is the one that receivers have.
    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        let mac = |key: &[u8], data: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(data);
            hex(&mac.finalize().into_bytes())
        };
        assert_eq!(mac(&[0x0b; 20], b"Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_eq!(
            mac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            mac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// Computed by `printf '1767268800.{"events":[]}' | openssl dgst -sha256 -hmac sesame`.
    #[test]
    fn a_signature_is_what_openssl_says() {
        assert_eq!(sign(b"sesame", 1_767_268_800, br#"{"events":[]}"#), OPENSSL);
    }

    const OPENSSL: &str = "t=1767268800,v1=de12609aba441275ae8aaf5cf16e5cad7b9bbb1c6566ae7a28f19e1cb01f81fd";
}
