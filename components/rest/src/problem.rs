//! What is wrong, as RFC 9457 says it: [`Problem`].

use serde_json::{Map, Value, json};
use tandem_http1::{Unchunkable, Unreadable};

use crate::config::Limits;

/// One problem: what kind it is, and what is wrong in this case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    /// What is wrong where, in a body or a query.
    pub(crate) errors: Vec<FieldError>,
    /// In how many seconds the same may be asked again.
    pub(crate) retry_after: Option<u64>,
    /// The methods that a path has.
    pub(crate) allow: Option<&'static str>,
    /// The SMPP status of whoever has refused it.
    pub(crate) smpp_status: Option<u32>,
    /// It may have been done nevertheless.
    pub(crate) uncertain: bool,
}

/// What is wrong with one member or parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) at: At,
    pub(crate) detail: String,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A parameter of the query.
    Parameter(String),
    /// A field of the head.
    Header(&'static str),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $slug:literal, $title:literal;)*) => {
        /// Every kind of problem there is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// The status, the end of `type`, and `title`.
            fn parts(self) -> (u16, &'static str, &'static str) {
                match self { $(Kind::$name => ($status, $slug, $title),)* }
            }

            #[cfg(test)]
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$name,)*];
        }
    };
}

kinds! {
    /// What came in is not HTTP, or could be read in two ways.
    Malformed = 400, "malformed-request", "The request cannot be understood";
    /// The body is not JSON.
    NotJson = 400, "not-json", "The body is not JSON";
    /// The body or the query does not say what it has to.
    Invalid = 400, "invalid", "The request is not valid";
    /// It is not known who asks.
    Unauthenticated = 401, "unauthenticated", "Account and secret are needed";
    /// The secret is right, and its account may use nothing for now.
    Suspended = 403, "account-suspended", "The account is suspended";
    /// Nothing is there.
    NoPath = 404, "no-such-path", "Nothing is served there";
    /// There is no such message.
    NoMessage = 404, "no-such-message", "There is no such message";
    /// Another method.
    OtherMethods = 405, "method-not-allowed", "Not with this method";
    /// What the client accepts is not what there is.
    NotAcceptable = 406, "not-acceptable", "Answers are JSON";
    /// The request came too slowly.
    TooSlow = 408, "request-timeout", "The request took too long";
    /// It has its final state, or is on its way.
    NotCancelled = 409, "not-cancelled", "It cannot be cancelled any more";
    /// The same is being done.
    InProgress = 409, "request-in-progress", "The request is being done";
    /// A body without a length.
    NoLength = 411, "length-required", "The body needs a Content-Length";
    /// The body is over its limit.
    TooLarge = 413, "body-too-large", "The body is too large";
    /// The target is over its limit.
    TargetTooLong = 414, "target-too-long", "The request target is too long";
    /// Not JSON.
    NotMedia = 415, "unsupported-media-type", "Bodies are JSON";
    /// An expectation that nobody knows.
    Expectation = 417, "expectation-failed", "This is not to be expected";
    /// The key is another request's.
    KeyReused = 422, "key-reused", "The key was used for another request";
    /// Whoever was asked has refused it for good.
    Refused = 422, "refused", "The message was refused";
    /// From whom it is said to be.
    Source = 422, "source-refused", "It cannot be sent from there";
    /// To whom it is.
    Destination = 422, "destination-refused", "It cannot be sent there";
    /// Until when it is worth something.
    Validity = 422, "validity-refused", "It cannot be sent in that time";
    /// Too many wrong secrets were tried.
    PutOff = 429, "too-many-attempts", "Too many wrong secrets were tried";
    /// Too many in too short a time.
    Throttled = 429, "throttled", "Too many in too short a time";
    /// As much waits as may.
    Full = 429, "full", "As much waits as may";
    /// The head is over its limit.
    HeadTooLarge = 431, "head-too-large", "The head is too large";
    /// Our own mistake.
    Broken = 500, "gateway-error", "The gateway made a mistake";
    /// A method or a coding that is not served.
    NotImplemented = 501, "not-implemented", "This is not served";
    /// Not now.
    Unavailable = 503, "unavailable", "Not now";
    /// Another version of HTTP.
    OtherVersion = 505, "http-version", "Only HTTP/1.0 and HTTP/1.1 are served";
}

impl Kind {
    /// The status.
    pub(crate) fn status(self) -> u16 {
        self.parts().0
    }

    /// `type`: a name, not an address. What it means is in the description.
    pub(crate) fn name(self) -> String {
        format!("urn:tandem:problem:{}", self.parts().1)
    }

    pub(crate) fn title(self) -> &'static str {
        self.parts().2
    }

    /// With what is wrong in this case.
    pub(crate) fn because(self, detail: impl Into<String>) -> Problem {
        Problem {
            kind: self,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            smpp_status: None,
            uncertain: false,
        }
    }
}

impl Problem {
    /// Members or parameters are wrong.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match &errors[..] {
            [one] => one.detail.clone(),
            several => format!("{} things are wrong; see errors", several.len()),
        };
        Problem { errors, ..Kind::Invalid.because(detail) }
    }

    /// The same may be asked again after so many seconds.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// As a member of something else.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("type".into(), self.kind.name().into());
        map.insert("title".into(), self.kind.title().into());
        map.insert("status".into(), self.kind.status().into());
        if !self.detail.is_empty() {
            map.insert("detail".into(), self.detail.as_str().into());
        }
        if !self.errors.is_empty() {
            map.insert("errors".into(), self.errors.iter().map(FieldError::to_json).collect());
        }
        if let Some(seconds) = self.retry_after {
            map.insert("retry_after".into(), seconds.into());
        }
        if let Some(status) = self.smpp_status {
            map.insert("smpp_status".into(), status.into());
        }
        if self.uncertain {
            map.insert("uncertain".into(), true.into());
        }
        map
    }

    /// The whole, for a request of this path.
    pub(crate) fn body(&self, path: &str) -> Map<String, Value> {
        let mut map = self.to_json();
        if !path.is_empty() {
            map.insert("instance".into(), path.into());
        }
        map
    }
}

impl FieldError {
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError { at: At::Pointer(pointer.into()), detail: detail.into() }
    }

    pub(crate) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError { at: At::Parameter(name.into()), detail: detail.into() }
    }

    fn to_json(&self) -> Value {
        let (name, place) = match &self.at {
            At::Pointer(pointer) => ("pointer", pointer.as_str()),
            At::Parameter(parameter) => ("parameter", parameter.as_str()),
            At::Header(header) => ("header", *header),
        };
        json!({ name: place, "detail": self.detail })
    }
}

impl Problem {
    /// A head that cannot be read, under these limits.
    pub(crate) fn with_head(reason: Unreadable, limits: &Limits) -> Self {
        match reason {
            Unreadable::Malformed(what) => Kind::Malformed.because(what),
            Unreadable::Version => Kind::OtherVersion.because("say HTTP/1.1"),
            Unreadable::TargetTooLong => {
                Kind::TargetTooLong.because(format!("a request target has at most {} bytes", limits.target_bytes))
            }
            Unreadable::TooLarge => Kind::HeadTooLarge
                .because(format!("a head has at most {} bytes and {} fields", limits.head_bytes, limits.headers)),
            Unreadable::Coding => Kind::NotImplemented.because("the only transfer coding is chunked"),
            Unreadable::LengthRequired => Kind::NoLength.because("say how long the body is"),
        }
    }

    /// A body that cannot be taken, under these limits.
    pub(crate) fn with_body(reason: Unchunkable, limits: &Limits) -> Self {
        match reason {
            Unchunkable::Malformed(what) => Kind::Malformed.because(what),
            Unchunkable::TooLarge => {
                let max = limits.body_bytes;
                Kind::TooLarge.because(format!("a body has at most {max} bytes: send it as several requests"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457() {
        let errors = vec![FieldError::at("/to/3", "no number"), FieldError::parameter("limit", "no number")];
        let problem = Problem::invalid(errors);
        assert_eq!(
            Value::Object(problem.body("/v1/messages")),
            json!({
                "type": "urn:tandem:problem:invalid",
                "title": "The request is not valid",
                "status": 400,
                "detail": "2 things are wrong; see errors",
                "instance": "/v1/messages",
                "errors": [
                    { "pointer": "/to/3", "detail": "no number" },
                    { "parameter": "limit", "detail": "no number" },
                ],
            })
        );
    }

    #[test]
    fn no_two_kinds_have_one_name() {
        let mut names: Vec<String> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
