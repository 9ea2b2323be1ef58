//! A message as it goes to a network: its parts.

use tandem_sms::text::{Concatenation, NotSplit, split};
use tandem_sms::{Coding, Sms, status};

/// Why a message cannot be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// [`status`].
    pub(crate) status: u32,
    /// For people.
    pub(crate) reason: String,
}

impl Unfit {
    pub(crate) fn new(status: u32, reason: impl Into<String>) -> Self {
        Unfit { status, reason: reason.into() }
    }
}

impl From<NotSplit> for Unfit {
    fn from(not: NotSplit) -> Self {
        Unfit::new(status::REFUSED, not.to_string())
    }
}

/// What a message says, where it is text that is to be encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) text: &'a str,
    pub(crate) coding: Option<Coding>,
    pub(crate) long: Concatenation,
}

/// The parts of a message, in order, the same each time: one, where it is short or was encoded by whoever submitted it.
pub(crate) fn parts(id: &str, sms: &Sms, said: Option<Said<'_>>) -> Result<Vec<Sms>, Unfit> {
    // When it is sent is our concern, and we want to know what becomes of it in any case.
    let sms = Sms { schedule: String::new(), registered_delivery: 1, ..sms.clone() };
    match said {
        Some(Said { text, coding, long }) => Ok(split(&sms, text, coding, long, reference(id))?),
        None => Ok(vec![sms]),
    }
}

/// What the parts of a message have in common: the end of its name, which is chance.
fn reference(id: &str) -> u16 {
    id.get(id.len().saturating_sub(4)..).and_then(|end| u16::from_str_radix(end, 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tandem_sms::text::{Content, Joined, join};

    use super::*;

    #[test]
    fn a_long_text_has_parts_that_say_it_together_and_are_the_same_each_time() {
        let text = "Grüße, 5 €. ".repeat(40);
        for long in [Concatenation::Udh8, Concatenation::Udh16, Concatenation::Sar, Concatenation::Payload] {
            let said = Some(Said { text: &text, coding: None, long });
            let parts = parts("00000000000000000000abcd", &Sms::default(), said).unwrap();
            assert_eq!(parts, super::parts("00000000000000000000abcd", &Sms::default(), said).unwrap());
            let read: Vec<_> = parts.iter().map(|part| Content::of(part).unwrap()).collect();
            assert_eq!(join(&read), Joined::Text(text.clone()), "{long:?}");
            assert!(parts.iter().all(|part| part.registered_delivery == 1));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_said() {
        let said = |text, coding| Some(Said { text, coding, long: Concatenation::Udh8 });
        let refused = |said| parts("x", &Sms::default(), said).unwrap_err();
        assert!(refused(said("ы", Some(Coding::Latin1))).reason.contains('ы'));
        let long = "x".repeat(153 * 256);
        let Unfit { status, reason } = refused(said(&long, None));
        assert_eq!(status, status::REFUSED);
        assert!(reason.contains("256 parts"), "{reason}");
    }
}
