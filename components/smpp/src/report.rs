//! What a receipt of an SMSC says: its TLVs (section 5.3.2), and where they are missing the text of appendix B.

use tandem_sms::State;
use tandem_sms::tlv::{MESSAGE_STATE, NETWORK_ERROR_CODE, RECEIPTED_MESSAGE_ID, find};
use tandem_sms::{Report, Sms};

/// Of a `deliver_sm`; `None` where that is no receipt, or one that says of no message what has become of it.
pub(crate) fn of(sms: &Sms) -> Option<Report> {
    let kind = sms.esm_class & KIND;
    if kind != RECEIPT && kind != NOTIFICATION {
        return None;
    }
    let text = String::from_utf8_lossy(&sms.short_message);
    let by_tlv = find(&sms.tlvs, RECEIPTED_MESSAGE_ID).map(|id| id.strip_suffix(b"\0").unwrap_or(id));
    let message_id = match by_tlv {
        Some(id) => String::from_utf8_lossy(id).into_owned(),
        None => field(&text, "id:")?.to_owned(),
    };
    let by_tlv = find(&sms.tlvs, MESSAGE_STATE).and_then(|value| State::numbered(*value.first()?));
    let state = by_tlv.or_else(|| State::worded(field(&text, "stat:")?))?;
    let error = match (field(&text, "err:"), find(&sms.tlvs, NETWORK_ERROR_CODE)) {
        (Some(error), _) => error.chars().take(3).collect(),
        // One byte of network type, then the code (section 5.3.2.31).
        (None, Some([_, high, low])) => format!("{:03}", u16::from_be_bytes([*high, *low])),
        _ => "000".to_owned(),
    };
    // A notification tells of a message under way; so does a receipt whose state is not final.
    let intermediate = kind == NOTIFICATION || state == State::Enroute;
    Some(Report { message_id, state, error, intermediate })
}

/// The word after a label. Some SMSCs write labels in capitals.
fn field<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let at = text.to_ascii_lowercase().match_indices(label).map(|(at, _)| at).find(|at| {
        // `id:` must not be found inside of `paid:`.
        *at == 0 || text.as_bytes()[at - 1] == b' '
    })?;
    text[at + label.len()..].split_ascii_whitespace().next().filter(|_| !text[at + label.len()..].starts_with(' '))
}

/// The bits of `esm_class` that tell what kind of message it is (section 5.2.12).
const KIND: u8 = 0b0011_1100;
const RECEIPT: u8 = 0b0000_0100;
const NOTIFICATION: u8 = 0b0010_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(text: &str, tlvs: &[u8]) -> Option<Report> {
        let (short_message, tlvs) = (text.as_bytes().to_vec(), tlvs.to_vec());
        of(&Sms { esm_class: 4, short_message, tlvs, ..Sms::default() })
    }

    #[test]
    fn a_receipt_is_read_from_its_text_or_its_tlvs() {
        let text =
            "id:abc-1 sub:001 dlvrd:000 submit date:2601011200 done date:2601011201 stat:UNDELIV err:017 text:id:7";
        let expected = Report {
            message_id: "abc-1".into(),
            state: State::Undeliverable,
            error: "017".into(),
            intermediate: false,
        };
        assert_eq!(receipt(text, &[]), Some(expected.clone()));
        assert_eq!(receipt(&text.replace("id:abc-1 sub", "ID:abc-1 Sub"), &[]), Some(expected));
        let tlvs = b"\0\x1e\0\x03xy\0\x04\x27\0\x01\x02\x04\x23\0\x03\x03\0\x11";
        let expected =
            Report { message_id: "xy".into(), state: State::Delivered, error: "017".into(), intermediate: false };
        assert_eq!(receipt("", tlvs), Some(expected));
    }

    #[test]
    fn what_says_nothing_of_a_message_is_no_report() {
        for text in ["", "hello", "id:", "id:7", "id:7 stat:SOMETHING", "paid:7 stat:DELIVRD"] {
            assert_eq!(receipt(text, &[]), None, "{text}");
        }
        let text = b"id:7 stat:DELIVRD".to_vec();
        assert_eq!(of(&Sms { short_message: text, ..Sms::default() }), None, "a message of a phone");
    }

    #[test]
    fn what_is_under_way_is_no_end() {
        assert!(receipt("id:7 stat:ENROUTE err:000", &[]).unwrap().intermediate);
        let sms = Sms { esm_class: 0x20, short_message: b"id:7 stat:ACCEPTD".to_vec(), ..Sms::default() };
        assert!(of(&sms).unwrap().intermediate);
    }
}
