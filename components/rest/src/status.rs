//! What another service's answer, or its silence, comes to for an application.

use tandem_component::CallFailure;
use tandem_sms::status;

use crate::problem::{FieldError, Kind, Problem};

/// What a status other than 0 means. `reason` is for people, and may be empty.
pub(crate) fn problem(status: u32, reason: &str, retry_after_ms: Option<u64>) -> Problem {
    let (kind, words, place) = match status {
        status::THROTTLED => (Kind::Throttled, "ask again later", None),
        status::FULL => (Kind::Full, "as much waits as may: ask again later", None),
        status::TEMPORARY | status::LATER => (Kind::Unavailable, "it cannot be done now, and can be later", None),
        status::SOURCE => (Kind::Source, "from there this account may not send", Some("/from")),
        status::DESTINATION => (Kind::Destination, "nothing leads there", Some("/to")),
        status::VALIDITY => (Kind::Validity, "its time is over, or none", Some("/validity")),
        status::NO_MESSAGE => (Kind::NoMessage, "this account has none of that name, or not any more", None),
        status::NOT_CANCELLED => (Kind::NotCancelled, "it has its final state, or is with a network already", None),
        status::UNKNOWN_COMMAND => (Kind::NotImplemented, "the service behind this interface does not know how", None),
        _ => (Kind::Refused, "", None),
    };
    let detail = if reason.is_empty() { words } else { reason };
    let mut problem = Problem { smpp_status: Some(status), ..kind.because(detail) };
    if let Some(pointer) = place {
        problem.errors = vec![FieldError::at(pointer, if detail.is_empty() { kind.title() } else { detail })];
    }
    if status::is_temporary(status) {
        problem = problem.after(retry_after_ms.map_or(RETRY_AFTER, |ms| ms.div_ceil(1000)).max(1));
    }
    problem
}

/// What it means that a message was sent on, and that nobody has answered.
pub(crate) fn uncertain(reason: &str, retry_after_ms: Option<u64>) -> Problem {
    let detail = format!("{reason}: it may be sent, or not. Whoever sends it again may have it sent twice");
    let problem = Problem { uncertain: true, ..Kind::Unavailable.because(detail) };
    problem.after(retry_after_ms.map_or(RETRY_AFTER, |ms| ms.div_ceil(1000)).max(1))
}

/// What it means that there is no answer.
pub(crate) fn silence(why: CallFailure) -> Problem {
    let detail = match why {
        CallFailure::TimedOut | CallFailure::Ended => {
            let words = "there is no answer: whether it was done, nobody knows. The same with the same Idempotency-Key is done once";
            return Problem { uncertain: true, ..Kind::Unavailable.because(words).after(RETRY_AFTER) };
        }
        CallFailure::Full => "as much waits as may",
        _ => "the service behind this interface is not there",
    };
    Kind::Unavailable.because(detail).after(RETRY_AFTER)
}

/// What it means that nothing can be stored or read.
pub(crate) fn unstored() -> Problem {
    Kind::Unavailable.because("nothing can be stored now").after(RETRY_AFTER)
}

/// In so many seconds the same may be asked again, where nobody knows better.
pub(crate) const RETRY_AFTER: u64 = 1;
