//! `[overrun]`: how long a component may take over one event.

use serde::Deserialize;

use super::Span;

/// How long a component may take over one event before that is said, and before it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overrun {
    /// After so long it is said, while it goes on.
    pub report: Span,
    /// After so long the session is given up, and all else that its worker has is another's.
    pub abandon: Span,
}

impl Default for Overrun {
    fn default() -> Self {
        Overrun { report: Span::millis(250), abandon: Span::millis(1500) }
    }
}

/// A shorter time is one that any thread of a busy machine may wait for its turn.
const REPORT_MIN: Span = Span::millis(10);

impl Overrun {
    /// What a type cannot say. An error is the key, and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.report < REPORT_MIN {
            return Err(("report", format!("at least {REPORT_MIN}: a thread may wait as long for its turn")));
        }
        if self.abandon < self.report {
            return Err(("abandon", format!("it is less than report, which is {}", self.report)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Overrun;

    #[test]
    fn what_would_give_up_what_is_not_said_is_refused() {
        let rows = [
            ("", None),
            ("report = '10ms'\nabandon = '10ms'", None),
            ("report = '9ms'", Some("report")),
            ("abandon = '249ms'", Some("abandon")),
            ("report = '2s'", Some("abandon")),
            ("abandon = '1h'", None),
        ];
        for (text, key) in rows {
            let overrun: Overrun = toml::from_str(text).unwrap();
            assert_eq!(overrun.check().err().map(|error| error.0), key, "{text}");
        }
    }
}
