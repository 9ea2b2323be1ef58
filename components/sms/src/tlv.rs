//! Optional parameters in their bytes (section 3.2.4.1): [`find`] one, [`write()`] one, and whether they are [`whole`].

/// The value of the first TLV with a tag. What is cut off is not there.
pub fn find(mut tlvs: &[u8], tag: u16) -> Option<&[u8]> {
    while let [tag_high, tag_low, high, low, rest @ ..] = tlvs {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*tag_high, *tag_low]) == tag {
            return Some(value);
        }
        tlvs = &rest[length..];
    }
    None
}

/// Adds one.
///
/// # Panics
/// The value is longer than 65,535 bytes.
pub fn write(tlvs: &mut Vec<u8>, tag: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("a value fits its length");
    tlvs.extend(tag.to_be_bytes());
    tlvs.extend(length.to_be_bytes());
    tlvs.extend(value);
}

/// Whether the last one ends where the bytes end. The codec does not look.
pub fn whole(mut tlvs: &[u8]) -> bool {
    while let [_, _, high, low, rest @ ..] = tlvs {
        match rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) {
            Some(rest) => tlvs = rest,
            None => return false,
        }
    }
    tlvs.is_empty()
}

/// How long the message is worth something, in seconds (section 5.3.2.9).
pub const QOS_TIME_TO_LIVE: u16 = 0x0017;
/// Whose receipt it is (section 5.3.2.12).
pub const RECEIPTED_MESSAGE_ID: u16 = 0x001e;
/// The ESME's own number of the message (section 5.3.2.17).
pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
/// Why a network has not delivered it (section 5.3.2.31).
pub const NETWORK_ERROR_CODE: u16 = 0x0423;
/// What has become of it (section 5.3.2.35).
pub const MESSAGE_STATE: u16 = 0x0427;
/// The message, where it does not fit into `short_message` (section 5.3.2.32).
pub const MESSAGE_PAYLOAD: u16 = 0x0424;
/// The number that the parts of a long message have in common (section 5.3.2.22).
pub const SAR_MSG_REF_NUM: u16 = 0x020c;
/// How many parts there are (section 5.3.2.23).
pub const SAR_TOTAL_SEGMENTS: u16 = 0x020e;
/// Which of them it is, from 1 on (section 5.3.2.24).
pub const SAR_SEGMENT_SEQNUM: u16 = 0x020f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tlv_is_found_behind_others_and_never_beyond_the_end() {
        let tlvs = b"\x02\x04\0\x02\0\x07\x04\x27\0\x01\x02";
        assert_eq!((find(tlvs, MESSAGE_STATE), find(tlvs, 0x0204)), (Some(&b"\x02"[..]), Some(&b"\0\x07"[..])));
        for cut in 0..tlvs.len() {
            assert_eq!(find(&tlvs[..cut], MESSAGE_STATE), None, "{cut}");
            assert_eq!(whole(&tlvs[..cut]), cut == 0 || cut == 6, "{cut}");
        }
        assert!(whole(tlvs));
    }
}
