//! What services that speak HTTP/1 have in their configurations: sizes, and limits in their range.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};

use crate::{FIELDS_MAX, Limits};

impl Limits {
    /// Limits as an operator says them: of a head and of a target in bytes, and of the number of fields.
    ///
    /// # Errors
    /// One of them is out of its range: the key, as `limits` has it, and what would be right.
    pub fn checked(head_bytes: u64, target_bytes: u64, headers: usize) -> Result<Limits, String> {
        const HEAD_MAX: u64 = 1 << 20;
        if !(256..=HEAD_MAX).contains(&head_bytes) {
            return Err("limits.head_bytes: between 256B and 1MiB".to_owned());
        }
        if !(1..=head_bytes).contains(&target_bytes) {
            return Err("limits.target_bytes: between 1B and limits.head_bytes".to_owned());
        }
        if !(1..=FIELDS_MAX).contains(&headers) {
            return Err(format!("limits.headers: between 1 and {FIELDS_MAX}"));
        }
        let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Limits { head: bytes(head_bytes), target: bytes(target_bytes), fields: headers })
    }
}

/// A size as a number or as a text, for `deserialize_with`. `ByteSize` takes a text only where its format calls itself readable,
/// which the format between host and component does not.
///
/// # Errors
/// It is neither, and what would be.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "this is no size; write 1048576 or \"1MiB\"")]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => Ok(bytes),
        Size::Text(text) => text
            .parse()
            .map(|ByteSize(bytes)| bytes)
            .map_err(|_| serde::de::Error::custom(format_args!("`{text}` is no size; write 1048576 or \"1MiB\""))),
    }
}
