//! What a request asks for, by its method, path and query: [`Operation`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tandem_component::prelude::*;
use tandem_http1::Target;

use crate::config::PAGE_MAX;
use crate::problem::{FieldError, Kind, Problem};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// The description of this interface.
    Describe,
    /// Messages are to be sent; the body says which.
    Submit,
    /// An account's messages.
    List { before: String, limit: u32 },
    /// What has become of a message.
    Query { id: String },
    /// A message is not to be sent.
    Cancel { id: String },
    /// What has happened since.
    Fetch { after: i64, wait_s: u64, limit: u32 },
    /// What has happened until then is taken.
    Acknowledge { through: i64 },
}

/// A path that is served.
enum Path {
    Description,
    Messages,
    Message(String),
    Events,
}

impl Operation {
    /// Finds it.
    ///
    /// # Errors
    /// There is no such path, it is not for this method, or its query is wrong.
    pub(crate) fn find(method: &str, target: &Target<'_>, wait_max_s: u64) -> Result<Self, Problem> {
        let plain = target.plain_path().ok_or_else(|| Kind::Malformed.because("the path is not encoded rightly"))?;
        let path =
            Path::find(&plain).ok_or_else(|| Kind::NoPath.because("what is served is described by /openapi.json"))?;
        let query = target.rest.get(target.path.len()..).unwrap_or_default();
        let mut query = Query::read(query.strip_prefix('?').unwrap_or_default());
        let method = if method == "HEAD" { "GET" } else { method };
        let operation = match (method, path) {
            ("GET", Path::Description) => Operation::Describe,
            ("POST", Path::Messages) => Operation::Submit,
            ("GET", Path::Messages) => Operation::List {
                before: query.take("before").unwrap_or_default(),
                limit: query.number("limit", 1, 100).unwrap_or(50),
            },
            ("GET", Path::Message(id)) => Operation::Query { id },
            ("DELETE", Path::Message(id)) => Operation::Cancel { id },
            ("GET", Path::Events) => Operation::Fetch {
                after: query.number("after", 0, i64::MAX).unwrap_or(0),
                wait_s: query.number("wait", 0, wait_max_s).unwrap_or(0),
                limit: query.number("limit", 1, PAGE_MAX).unwrap_or(100),
            },
            ("DELETE", Path::Events) => Operation::Acknowledge { through: query.needed("through") },
            (_, path) => {
                return Err(Problem { allow: Some(path.methods()), ..Kind::OtherMethods.because(path.methods()) });
            }
        };
        query.done().map(|()| operation)
    }

    /// Whether it is for anybody.
    pub(crate) fn is_public(&self) -> bool {
        *self == Operation::Describe
    }
}

impl Path {
    fn find(path: &str) -> Option<Path> {
        match path {
            "/openapi.json" => Some(Path::Description),
            "/v1/messages" => Some(Path::Messages),
            "/v1/events" => Some(Path::Events),
            _ => {
                let id = path.strip_prefix("/v1/messages/")?;
                let names_one = !id.is_empty() && id.len() <= ID_MAX && !id.contains('/');
                names_one.then(|| Path::Message(id.to_owned()))
            }
        }
    }

    /// As `Allow` lists them.
    fn methods(&self) -> &'static str {
        match self {
            Path::Description => "GET, HEAD",
            Path::Messages => "GET, HEAD, POST",
            Path::Message(_) | Path::Events => "GET, HEAD, DELETE",
        }
    }
}

/// The parameters of a query, and what is wrong with them.
struct Query {
    parameters: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl Query {
    fn read(query: &str) -> Self {
        let mut read = Query { parameters: BTreeMap::new(), errors: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                let name = name.chars().take(NAME_SHOWN).collect::<String>();
                read.errors.push(FieldError::parameter(name, "it is not encoded rightly"));
                continue;
            };
            match read.parameters.entry(name) {
                Entry::Occupied(twice) => {
                    read.errors.push(FieldError::parameter(twice.key().clone(), "it stands there twice"));
                }
                Entry::Vacant(free) => drop(free.insert(value)),
            }
        }
        read
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.parameters.remove(name)
    }

    fn number<N: std::str::FromStr + PartialOrd + std::fmt::Display>(
        &mut self,
        name: &str,
        min: N,
        max: N,
    ) -> Option<N> {
        let text = self.take(name)?;
        // `parse` takes a sign as well.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && (&min..=&max).contains(&number));
        if number.is_none() {
            self.errors.push(FieldError::parameter(name, format!("`{name}` is a number from {min} to {max}")));
        }
        number
    }

    /// A cursor that has to be there.
    fn needed(&mut self, name: &str) -> i64 {
        if !self.parameters.contains_key(name) {
            self.errors.push(FieldError::parameter(name, format!("`{name}` is missing")));
        }
        self.number(name, 0, i64::MAX).unwrap_or(0)
    }

    fn done(mut self) -> Result<(), Problem> {
        for name in self.parameters.into_keys() {
            self.errors.push(FieldError::parameter(name, "there is no such parameter"));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}

/// A name or value of a query, as forms encode it. `None`: it is not encoded rightly.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The longest name of a message.
const ID_MAX: usize = 128;
/// As much of a parameter's name is said again where it cannot be read.
const NAME_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use tandem_http1::{Limits, RequestHead, Slots};

    use super::*;

    fn find(line: &str) -> Result<Operation, Problem> {
        let bytes = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut slots = Slots::new();
        let head = RequestHead::read(bytes.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
        Operation::find(head.method, &head.target().unwrap(), 60)
    }

    #[test]
    fn each_operation_is_found() {
        assert_eq!(find("GET /openapi.json"), Ok(Operation::Describe));
        assert_eq!(find("POST /v1/messages"), Ok(Operation::Submit));
        assert_eq!(find("HEAD /v1/messages"), Ok(Operation::List { before: String::new(), limit: 50 }));
        assert_eq!(
            find("GET http://h/v1/messages?limit=7&before=a%2fb+c"),
            Ok(Operation::List { before: "a/b c".into(), limit: 7 })
        );
        assert_eq!(find("GET /v1/messages/a%20b"), Ok(Operation::Query { id: "a b".into() }));
        assert_eq!(find("DELETE /v1/messages/m1"), Ok(Operation::Cancel { id: "m1".into() }));
        assert_eq!(find("GET /v1/events?wait=30"), Ok(Operation::Fetch { after: 0, wait_s: 30, limit: 100 }));
        assert_eq!(find("DELETE /v1/events?through=9"), Ok(Operation::Acknowledge { through: 9 }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let kind = |line| find(line).unwrap_err().kind;
        for line in ["GET /", "GET /v1/messages/", "GET /v1/messages/a/b", "GET /v2/messages", "GET /v1/messages/a%2fb"]
        {
            assert_eq!(kind(line), Kind::NoPath, "{line}");
        }
        assert_eq!(kind("GET /v1/messages/%zz"), Kind::Malformed);
        assert_eq!(find("PUT /v1/messages").unwrap_err().allow, Some("GET, HEAD, POST"));
        for (line, parameter, why) in [
            ("GET /v1/events?wait=61", "wait", "`wait` is a number from 0 to 60"),
            ("GET /v1/events?wait=+1", "wait", "`wait` is a number from 0 to 60"),
            ("GET /v1/events?wait=", "wait", "`wait` is a number from 0 to 60"),
            ("GET /v1/events?wait=%", "wait", "it is not encoded rightly"),
            ("GET /v1/events?after=1&after=2", "after", "it stands there twice"),
            ("GET /v1/messages/m1?a=1", "a", "there is no such parameter"),
            ("DELETE /v1/events", "through", "`through` is missing"),
        ] {
            assert_eq!(find(line).unwrap_err().errors, [FieldError::parameter(parameter, why)], "{line}");
        }
    }
}
