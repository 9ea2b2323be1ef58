//! Text of short messages: whatever a message is, it is read or refused; whatever a text is, its messages say it together, and what
//! was read once is read again as the same.

use tandem_sms::text::{Concatenation, Content, Joined, Part, join, split};
use tandem_sms::{Address, Coding, Sms, tlv};

use crate::input::Input;

const CODINGS: [Option<Coding>; 4] = [None, Some(Coding::Gsm7), Some(Coding::Latin1), Some(Coding::Ucs2)];
const WAYS: [Concatenation; 4] =
    [Concatenation::Udh8, Concatenation::Udh16, Concatenation::Sar, Concatenation::Payload];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (coding, by) = (input.one_of(&CODINGS), input.one_of(&WAYS));
    let messages = [message(&mut input), message(&mut input)];
    is_said(&String::from_utf8_lossy(input.rest()), coding, by);
    let read: Vec<Content<'_>> = messages.iter().filter_map(|sms| Content::of(sms).ok()).collect();
    for content in &read {
        assert!(content.part.is_none_or(|Part { total, number, .. }| (1..=total).contains(&number)));
    }
    match join(&read) {
        Joined::Text(text) => is_said(&text, None, by),
        Joined::Octets(_) => assert!(read.iter().any(|content| content.alphabet.is_none())),
    }
}

fn message(input: &mut Input<'_>) -> Sms {
    let (esm_class, data_coding, short_message) = (input.byte(), input.byte(), input.bytes().to_vec());
    let mut tlvs = input.bytes().to_vec();
    if short_message.is_empty() {
        tlv::write(&mut tlvs, tlv::MESSAGE_PAYLOAD, input.bytes());
    }
    Sms { esm_class, data_coding, short_message, tlvs, ..Sms::default() }
}

fn is_said(text: &str, coding: Option<Coding>, by: Concatenation) {
    let _ = Address::source(text);
    let Ok(messages) = split(&Sms::default(), text, coding, by, 0x1234) else {
        return assert!(coding.is_some() || text.len() > 10_000, "UCS-2 has all characters");
    };
    let read: Vec<Content<'_>> = messages.iter().map(|sms| Content::of(sms).expect("what we write we read")).collect();
    let apart: String = read.iter().filter_map(Content::text).collect();
    assert_eq!((join(&read), apart.as_str()), (Joined::Text(text.to_owned()), text));
    assert!(messages.iter().all(|sms| sms.short_message.len() <= 160 && tlv::whole(&sms.tlvs)));
}
