//! What is refused, and with which status: [`Refused`].

use std::collections::BTreeMap;

use tandem_component::DialFailure;
use tandem_http1::{Unchunkable, Unreadable};

use crate::fixed::Fixed;

/// Why a request is not answered by its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 400: what came in is not HTTP, or could be read in two ways.
    Malformed,
    /// 404: no route.
    NoRoute,
    /// 405: a route, for other methods.
    OtherMethods,
    /// 408: the request came too slowly.
    TooSlow,
    /// 411: a body without a length.
    NoLength,
    /// 413: the body is over its limit.
    BodyTooLarge,
    /// 414: the target is over its limit.
    TargetTooLong,
    /// 431: the head is over its limit.
    HeadTooLarge,
    /// 500: our own mistake.
    Broken,
    /// 501: a method or a coding that is not served.
    NotImplemented,
    /// 502: no server answered, or not in HTTP.
    BadServer,
    /// 503: no server can take the request now.
    NoServer,
    /// 504: the server did not answer in time.
    SlowServer,
    /// 505: another version of HTTP.
    OtherVersion,
}

impl Refused {
    /// The status.
    pub(crate) fn status(self) -> u16 {
        match self {
            Refused::Malformed => 400,
            Refused::NoRoute => 404,
            Refused::OtherMethods => 405,
            Refused::TooSlow => 408,
            Refused::NoLength => 411,
            Refused::BodyTooLarge => 413,
            Refused::TargetTooLong => 414,
            Refused::HeadTooLarge => 431,
            Refused::Broken => 500,
            Refused::NotImplemented => 501,
            Refused::BadServer => 502,
            Refused::NoServer => 503,
            Refused::SlowServer => 504,
            Refused::OtherVersion => 505,
        }
    }

    const ALL: [Refused; 14] = [
        Refused::Malformed,
        Refused::NoRoute,
        Refused::OtherMethods,
        Refused::TooSlow,
        Refused::NoLength,
        Refused::BodyTooLarge,
        Refused::TargetTooLong,
        Refused::HeadTooLarge,
        Refused::Broken,
        Refused::NotImplemented,
        Refused::BadServer,
        Refused::NoServer,
        Refused::SlowServer,
        Refused::OtherVersion,
    ];
}

impl From<Unreadable> for Refused {
    fn from(reason: Unreadable) -> Self {
        match reason {
            Unreadable::Malformed(_) => Refused::Malformed,
            Unreadable::Version => Refused::OtherVersion,
            Unreadable::TargetTooLong => Refused::TargetTooLong,
            Unreadable::TooLarge => Refused::HeadTooLarge,
            Unreadable::Coding => Refused::NotImplemented,
            Unreadable::LengthRequired => Refused::NoLength,
        }
    }
}

impl From<Unchunkable> for Refused {
    fn from(reason: Unchunkable) -> Self {
        match reason {
            Unchunkable::Malformed(_) => Refused::Malformed,
            Unchunkable::TooLarge => Refused::BodyTooLarge,
        }
    }
}

impl From<DialFailure> for Refused {
    fn from(reason: DialFailure) -> Self {
        match reason {
            DialFailure::TimedOut => Refused::SlowServer,
            DialFailure::NoServer | DialFailure::Full => Refused::NoServer,
            _ => Refused::BadServer,
        }
    }
}

/// The answers that refuse, written when the component starts.
#[derive(Debug)]
pub(crate) struct Refusals(Vec<Fixed>);

impl Refusals {
    /// Writes them. `served_by` is a whole line or empty.
    pub(crate) fn new(served_by: &str) -> Self {
        let write = |refused: Refused| {
            let status = refused.status();
            let body = format!("{status} {}\n", refused.words());
            Fixed::new(status, Some(&body), &BTreeMap::new(), served_by).expect("each status here may have a body")
        };
        Refusals(Refused::ALL.into_iter().map(write).collect())
    }

    /// The answer for one reason.
    pub(crate) fn answer(&self, refused: Refused) -> &Fixed {
        &self.0[refused as usize]
    }
}

impl Refused {
    /// What the client is told.
    fn words(self) -> &'static str {
        match self {
            Refused::Malformed => "The request cannot be understood.",
            Refused::NoRoute => "Nothing is served there.",
            Refused::OtherMethods => "Not with this method.",
            Refused::TooSlow => "The request took too long.",
            Refused::NoLength => "The body needs a Content-Length.",
            Refused::BodyTooLarge => "The body is too large.",
            Refused::TargetTooLong => "The request target is too long.",
            Refused::HeadTooLarge => "The head is too large.",
            Refused::Broken => "The gateway made a mistake.",
            Refused::NotImplemented => "This method or coding is not served.",
            Refused::BadServer => "The server did not answer rightly.",
            Refused::NoServer => "No server can take the request now.",
            Refused::SlowServer => "The server did not answer in time.",
            Refused::OtherVersion => "Only HTTP/1.0 and HTTP/1.1 are served.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusals, Refused};

    #[test]
    fn each_reason_has_its_answer() {
        let refusals = Refusals::new("");
        for refused in Refused::ALL {
            assert_eq!(refusals.answer(refused).status(), refused.status());
        }
    }
}
