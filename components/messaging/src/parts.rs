//! A message as it goes to a network: its parts.

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

/// The parts of a message, in order: one, where it is short or was encoded by whoever submitted it.
pub(crate) fn parts(sms: &Sms, text: Option<&str>, _coding: Option<Coding>) -> Result<Vec<Sms>, Unfit> {
    // When it is sent is our concern, and we want to know what becomes of it in any case.
    let sms = Sms { schedule: String::new(), registered_delivery: 1, ..sms.clone() };
    match text {
        None => Ok(vec![sms]),
        Some(text) if text.is_ascii() && text.len() <= 160 => {
            Ok(vec![Sms { short_message: text.as_bytes().to_vec(), ..sms }])
        }
        Some(_) => Err(Unfit::new(status::REFUSED, "not yet")),
    }
}
