//! Who may ask: [`Guard`], before the paths of the admin interface.
//!
//! The socket in the data directory is its owner's by its mode. What comes there from a browser (over a port that is forwarded to it) comes
//! from a page of ours or is refused: no other site has a gateway reloaded by a form that it sends, nor by a name that it has lead here.
//! Elsewhere a word is to be shown, which no browser adds by itself.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// What anybody may see: it says no more of this gateway than whether it is well.
const OPEN: [&str; 6] = ["/", "/dashboard.js", "/dashboard.css", "/healthz", "/readyz", "/openapi.json"];

/// Lets some in.
#[derive(Clone)]
pub(super) struct Guard {
    /// The hash of what is to be shown, where something is.
    token: Option<blake3::Hash>,
}

impl Guard {
    /// The system has decided who can connect.
    pub(super) fn of_who_is_let_in() -> Self {
        Guard { token: None }
    }

    /// Who connects shows this.
    pub(super) fn of_who_shows(token: &str) -> Self {
        Guard { token: Some(blake3::hash(token.as_bytes())) }
    }

    fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        if let Some(reason) = crosses_sites(headers) {
            return Err(Problem::new(StatusCode::FORBIDDEN, reason));
        }
        match self.token {
            None => match headers.get(HOST) {
                Some(host) if !is_this_machine(host) => Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "Host: on this socket the gateway has no name but localhost, so that no name of another site leads here",
                )),
                _ => Ok(()),
            },
            // Hashes, which take the same time to compare wherever they differ.
            Some(token) if bearer(headers).is_some_and(|shown| blake3::hash(shown) == token) => Ok(()),
            Some(_) if OPEN.contains(&path) => Ok(()),
            Some(_) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "Authorization: show what is in the file that admin.token_file names, as in `Authorization: Bearer …`",
            )),
        }
    }
}

/// Passes on what may be asked.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let unauthorized = problem.status == StatusCode::UNAUTHORIZED;
            let mut response = problem.into_response();
            if unauthorized {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

/// Why a request is one that another site's page has made, where it is.
fn crosses_sites(headers: &HeaderMap) -> Option<&'static str> {
    let from = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if from.is_some_and(|from| !matches!(from, b"same-origin" | b"none")) {
        return Some("Sec-Fetch-Site: the request comes from a page of another site");
    }
    let origin = headers.get(ORIGIN)?.as_bytes();
    let of = origin.windows(3).position(|part| part == b"://").map(|at| &origin[at + 3..]);
    let same = of.is_some() && of == headers.get(HOST).map(HeaderValue::as_bytes);
    (!same).then_some("Origin: the request comes from a page of another site")
}

/// Whether a host is one that only this machine has, whatever a name server says.
fn is_this_machine(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = &'static [(&'static str, &'static str)];

    fn refused(guard: &Guard, path: &str, said: Said) -> Option<u16> {
        let headers = said.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        guard.check(path, &headers.collect()).err().map(|problem| problem.status)
    }

    #[test]
    fn no_other_site_asks() {
        let guard = Guard::of_who_is_let_in();
        let rows: [(Said, Option<u16>); 12] = [
            (&[], None),
            (&[("host", "localhost")], None),
            (&[("host", "127.0.0.1:9000"), ("origin", "http://127.0.0.1:9000")], None),
            (&[("host", "[::1]:9000"), ("origin", "http://[::1]:9000"), ("sec-fetch-site", "same-origin")], None),
            (&[("host", "localhost:9000"), ("sec-fetch-site", "none")], None),
            (&[("host", "localhost:9000"), ("sec-fetch-site", "cross-site")], Some(403)),
            (&[("host", "localhost:9000"), ("sec-fetch-site", "same-site")], Some(403)),
            (&[("host", "localhost:9000"), ("origin", "http://localhost:9001")], Some(403)),
            (&[("host", "localhost:9000"), ("origin", "null")], Some(403)),
            (&[("host", "localhost:9000"), ("origin", "http://evil.example")], Some(403)),
            // A name of another site that leads here: to a browser it is the same site.
            (&[("host", "evil.example:9000"), ("origin", "http://evil.example:9000")], Some(403)),
            (&[("host", "evil.example:9000"), ("sec-fetch-site", "same-origin")], Some(403)),
        ];
        for (said, expected) in rows {
            assert_eq!(refused(&guard, "/v1/reload", said), expected, "{said:?}");
        }
    }

    #[test]
    fn where_a_word_is_to_be_shown_it_is_shown() {
        let guard = Guard::of_who_shows("open sesame, please");
        let rows: [(&str, Said, Option<u16>); 9] = [
            ("/v1/status", &[], Some(401)),
            ("/metrics", &[], Some(401)),
            ("/v1/status", &[("authorization", "Bearer open sesame")], Some(401)),
            ("/v1/status", &[("authorization", "Basic open sesame, please")], Some(401)),
            ("/v1/status", &[("authorization", "bearer open sesame, please")], None),
            ("/v1/status", &[("authorization", "Bearer open sesame, please"), ("host", "gate.example")], None),
            (
                "/v1/status",
                &[("authorization", "Bearer open sesame, please"), ("origin", "http://a.example")],
                Some(403),
            ),
            ("/healthz", &[], None),
            ("/", &[("host", "gate.example")], None),
        ];
        for (path, said, expected) in rows {
            assert_eq!(refused(&guard, path, said), expected, "{path} {said:?}");
        }
    }
}
