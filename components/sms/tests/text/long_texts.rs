//! Whatever the text, the coding and the way of concatenation: its parts fit, none cuts a character, and together they say it.

use tandem_sms::text::{Concatenation, Content, Joined, UDHI, encode, join, split};
use tandem_sms::{Address, Coding, Sms, tlv};

use crate::random::{Random, rounds};

pub(crate) const CODINGS: [Coding; 3] = [Coding::Gsm7, Coding::Latin1, Coding::Ucs2];
const WAYS: [Concatenation; 4] =
    [Concatenation::Udh8, Concatenation::Udh16, Concatenation::Sar, Concatenation::Payload];

#[test]
fn the_parts_of_any_text_fit_and_say_it_together() {
    rounds(1500, |random| {
        let (coding, by) = (random.one_of(&CODINGS), random.one_of(&WAYS));
        let (text, reference) = (text(random, coding), random.below(0x1_0000) as u16);
        let wanted = (random.below(3) > 0).then_some(coding);
        let template = template();
        let parts = split(&template, &text, wanted, by, reference).unwrap();
        let (coding, octets) = encode(&text, wanted).unwrap();
        let read: Vec<Content<'_>> = parts.iter().map(|part| Content::of(part).unwrap()).collect();
        assert_eq!(join(&read), Joined::Text(text.clone()));
        let apart: String = read.iter().map(|part| part.text().unwrap()).collect();
        assert_eq!(apart, text, "a character is cut");
        for (number, (sms, part)) in (1..).zip(parts.iter().zip(&read)) {
            assert_eq!(sms.data_coding, coding.data_coding());
            assert_eq!((&sms.source, &sms.schedule), (&template.source, &template.schedule));
            assert!(sms.tlvs.starts_with(&template.tlvs) && tlv::whole(&sms.tlvs));
            assert_eq!(sms.esm_class & !UDHI, 3);
            let whole = parts.len() == 1;
            assert_eq!(sms.esm_class & UDHI != 0, !whole && matches!(by, Concatenation::Udh8 | Concatenation::Udh16));
            let said = part.part.map(|part| (part.reference, usize::from(part.total), part.number));
            let reference = if by == Concatenation::Udh8 { reference & 0xff } else { reference };
            assert_eq!(said, (!whole).then_some((reference, parts.len(), number)));
            let payload = sms.short_message.is_empty() && !octets.is_empty();
            assert_eq!(payload, by == Concatenation::Payload && !fits(coding, 0, octets.len()));
            if !payload {
                let header = if whole {
                    0
                } else if by == Concatenation::Udh8 {
                    6
                } else {
                    7
                };
                assert!(fits(coding, header, part.octets.len()), "{} octets", part.octets.len());
                // It is full but for what the next character does not fit into.
                let last = usize::from(number) == parts.len();
                assert!(last || !fits(coding, header, part.octets.len() + 3 + usize::from(coding == Coding::Ucs2)));
            }
        }
        assert!(parts.len() > 1 || by == Concatenation::Payload || fits(coding, 0, octets.len()));
    });
}

/// Whether the network's 140 octets have room for a header and so many octets of `short_message` behind it.
fn fits(coding: Coding, header: usize, octets: usize) -> bool {
    match coding {
        Coding::Gsm7 => header * 8 + octets * 7 <= 140 * 8,
        _ => header + octets <= 140,
    }
}

pub(crate) fn template() -> Sms {
    Sms {
        source: Address { ton: 1, npi: 1, digits: "49151".into() },
        esm_class: 3 | UDHI,
        schedule: "000000000130000R".into(),
        tlvs: b"\x02\x04\0\x02\0\x07".to_vec(),
        ..Sms::default()
    }
}

fn text(random: &mut Random, coding: Coding) -> String {
    let length = random.one_of(&[0, 1, 30, 66, 67, 70, 71, 134, 140, 141, 153, 160, 161, 320, 3000]);
    let length = if random.below(2) == 0 { length } else { random.below(length + 1) };
    // Of texts with many such characters nearly each cut has to make way.
    let rare = random.one_of(&[1, 2, 5, 100]);
    (0..length).map(|_| if random.below(rare) == 0 { rare_character(random, coding) } else { 'a' }).collect()
}

fn rare_character(random: &mut Random, coding: Coding) -> char {
    loop {
        let (octet, any) = (char::from(random.byte()), char::from_u32(random.below(0x11_0000) as u32));
        let one = match coding {
            Coding::Gsm7 => random.one_of(&['€', '[', '\u{c}', '@', 'Ξ', 'ä', octet]),
            Coding::Latin1 => octet,
            _ => random.one_of(&['😀', '\u{10ffff}', any.unwrap_or('é')]),
        };
        if coding.carries(one) {
            return one;
        }
    }
}
