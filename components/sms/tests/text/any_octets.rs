//! Whatever comes is read or refused in words: nothing panics, and nothing is there that the message does not have.

use tandem_sms::text::{Content, Header, Joined, UDHI, gsm7, join};
use tandem_sms::{Address, Sms, tlv};

use crate::random::{Random, rounds};

#[test]
fn any_message_is_read_or_refused() {
    rounds(5000, |random| {
        let messages: Vec<Sms> = (0..=random.below(4)).map(|_| message(random)).collect();
        let read: Vec<Content<'_>> = messages.iter().filter_map(|sms| Content::of(sms).ok()).collect();
        for content in &read {
            assert!(content.part.is_none_or(|part| (1..=part.total).contains(&part.number)));
            assert_eq!(content.text().is_some(), content.alphabet.is_some());
        }
        let text = matches!(join(&read), Joined::Text(_));
        assert_eq!(text, read.iter().all(|content| content.alphabet.is_some()));
    });
}

#[test]
fn any_header_is_read_whole_or_refused() {
    rounds(5000, |random| {
        let message = octets(random);
        let Ok((header, rest)) = Header::read(&message) else { return };
        let length: usize = header.elements().map(|(_, data)| 2 + data.len()).sum();
        assert_eq!((length, 1 + length + rest.len()), (usize::from(message[0]), message.len()));
    });
}

#[test]
fn any_septets_are_characters_of_the_alphabet() {
    rounds(2000, |random| {
        let octets = random.bytes(200);
        let text = gsm7::decode(&octets);
        assert!(text.chars().count() <= octets.len());
        assert!(text.chars().all(|character| character == '\u{fffd}' || gsm7::septets(character).is_some()));
    });
}

#[test]
fn any_text_is_an_address_or_is_told_why_not() {
    rounds(5000, |random| {
        const CHARACTERS: [char; 16] =
            ['+', '0', '1', '4', '9', '5', '7', '8', ' ', 'a', 'Z', '[', 'ü', '\0', '٣', '😀'];
        let among = random.one_of(&[8, 12, 16]);
        let text: String = (0..random.below(20)).map(|_| random.one_of(&CHARACTERS[..among])).collect();
        match Address::source(&text) {
            Ok(address) => {
                assert!(address.digits.len() <= 15 && address.digits.is_ascii() && !address.digits.contains('\0'));
                assert!(text.ends_with(&address.digits) && text.len() <= address.digits.len() + 1);
                assert_eq!(Address::destination(&text).is_ok(), address.ton != 5);
            }
            Err(why) => {
                assert!(!why.to_string().is_empty());
                assert!(Address::destination(&text).is_err());
            }
        }
    });
}

fn message(random: &mut Random) -> Sms {
    let any = random.byte();
    let mut sms = Sms {
        esm_class: random.one_of(&[0, UDHI, any]),
        data_coding: random.one_of(&[0, 8, 0x18, any]),
        ..Sms::default()
    };
    if random.below(4) > 0 {
        sms.short_message = octets(random);
    }
    for _ in 0..random.below(5) {
        const TAGS: [u16; 4] =
            [tlv::MESSAGE_PAYLOAD, tlv::SAR_MSG_REF_NUM, tlv::SAR_TOTAL_SEGMENTS, tlv::SAR_SEGMENT_SEQNUM];
        let value = if random.below(2) == 0 { random.bytes(2) } else { octets(random) };
        tlv::write(&mut sms.tlvs, random.one_of(&TAGS), &value);
    }
    if random.below(4) == 0 {
        sms.tlvs.truncate(random.below(sms.tlvs.len() + 1));
    }
    sms
}

/// With a header that is right, nearly right, or none.
fn octets(random: &mut Random) -> Vec<u8> {
    let mut octets = match random.below(4) {
        0 => b"\x05\0\x03\x07\x02\x01".to_vec(),
        1 => b"\x0b\x05\x04\x0b\x84\x23\xf0\0\x03\x07\x02\x01".to_vec(),
        2 => b"\x06\x08\x04\x12\x34\x03\x03".to_vec(),
        _ => random.bytes(12),
    };
    octets.extend(random.bytes(30));
    if !octets.is_empty() && random.below(2) == 0 {
        let (at, any) = (random.below(octets.len().min(12)), random.byte());
        octets[at] = random.one_of(&[0, 1, 0x1b, 0xd8, 0xff, any]);
    }
    octets
}
