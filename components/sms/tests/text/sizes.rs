//! How much a message carries, and how much is too much.

use tandem_sms::text::{Concatenation, NotSplit, split};
use tandem_sms::{Coding, Sms, tlv};

fn sizes(text: &str, coding: Coding, by: Concatenation) -> Vec<usize> {
    let parts = split(&Sms::default(), text, Some(coding), by, 7).unwrap();
    parts.iter().map(|sms| sms.short_message.len()).collect()
}

#[test]
fn a_message_carries_as_much_as_the_network_has_room_for() {
    use Concatenation::{Sar, Udh8, Udh16};
    for (coding, character, octets, whole, eight, sixteen) in [
        (Coding::Gsm7, 'a', 1, 160, 153, 152),
        (Coding::Latin1, 'ç', 1, 140, 134, 133),
        (Coding::Ucs2, 'ж', 2, 70, 67, 66),
    ] {
        let of = |count: usize| character.to_string().repeat(count);
        for (by, size, header) in [(Udh8, eight, 6), (Udh16, sixteen, 7), (Sar, sixteen, 0)] {
            assert_eq!(sizes(&of(whole), coding, by), [octets * whole]);
            let full = header + octets * size;
            let rest = |characters: usize| header + octets * characters;
            assert_eq!(sizes(&of(whole + 1), coding, by), [full, rest(whole + 1 - size)], "{coding} {by:?}");
            assert_eq!(sizes(&of(2 * size), coding, by), [full, full], "{coding} {by:?}");
            assert_eq!(sizes(&of(2 * size + 1), coding, by), [full, full, rest(1)], "{coding} {by:?}");
        }
    }
}

#[test]
fn what_is_of_two_stays_whole() {
    let text = format!("{}€{}", "a".repeat(152), "a".repeat(20));
    assert_eq!(sizes(&text, Coding::Gsm7, Concatenation::Udh8), [6 + 152, 6 + 22]);
    assert_eq!(sizes(&text, Coding::Gsm7, Concatenation::Udh16), [7 + 152, 7 + 22]);
    let text = format!("{}😀{}", "a".repeat(66), "a".repeat(20));
    assert_eq!(sizes(&text, Coding::Ucs2, Concatenation::Udh8), [6 + 132, 6 + 44]);
    assert_eq!(sizes(&text, Coding::Ucs2, Concatenation::Sar), [132, 44]);
}

#[test]
fn a_message_has_255_parts_at_most() {
    let split = |text: &str, by| split(&Sms::default(), text, None, by, 7);
    let most = "a".repeat(255 * 153);
    let parts = split(&most, Concatenation::Udh8).unwrap();
    assert_eq!((parts.len(), &parts[254].short_message[..6]), (255, &b"\x05\0\x03\x07\xff\xff"[..]));
    assert_eq!(split(&(most.clone() + "a"), Concatenation::Udh8), Err(NotSplit::Parts { parts: 256 }));
    assert_eq!(split(&most, Concatenation::Sar), Err(NotSplit::Parts { parts: 257 }));
    let said = split(&"ж".repeat(100_000), Concatenation::Udh8).unwrap_err().to_string();
    assert_eq!(said, "the text is too long: it would be 1493 parts, of at most 255");
}

#[test]
fn a_payload_is_as_long_as_its_length_can_say() {
    let split = |count: usize| split(&Sms::default(), &"a".repeat(count), None, Concatenation::Payload, 7);
    let parts = split(65_535).unwrap();
    assert_eq!((parts.len(), parts[0].short_message.len()), (1, 0));
    assert_eq!(tlv::find(&parts[0].tlvs, tlv::MESSAGE_PAYLOAD).map(<[u8]>::len), Some(65_535));
    assert_eq!(split(65_536), Err(NotSplit::Payload { octets: 65_536 }));
}

#[test]
fn a_character_that_is_not_carried_is_named() {
    let said = split(&Sms::default(), "5 €", Some(Coding::Latin1), Concatenation::Udh8, 7).unwrap_err().to_string();
    assert_eq!(said, "Latin-1 does not carry '€' (U+20AC), which is character 3 of the text");
}
