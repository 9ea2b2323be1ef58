//! Which route a request takes: [`Routes`], checked and sorted once, then read from front to back.

use tandem_component::Refusal;
use tandem_http1::{is_field_value, is_token};

use crate::config::RouteConfig;
use crate::fixed::{Fixed, is_own_field};

/// All routes, the most particular first: by host (a name, then a wildcard, then any), then by length of path.
#[derive(Debug)]
pub(crate) struct Routes {
    places: Vec<Place>,
    by_host: bool,
}

/// A host and a path, and what is there for each method.
#[derive(Debug)]
struct Place {
    host: Host,
    path: String,
    entries: Vec<Entry>,
    /// The value of `Allow` where no entry takes a method.
    allow: String,
}

#[derive(Debug)]
struct Entry {
    /// Empty: all of them.
    methods: Vec<String>,
    target: Target,
}

/// What answers.
#[derive(Debug)]
pub(crate) enum Target {
    /// The servers of an upstream, by its name.
    Upstream(String),
    /// The same answer for all.
    Fixed(Fixed),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    /// Lower case.
    Name(String),
    /// What follows the star: `.example.com`.
    Under(String),
    Any,
}

/// What was found for a request.
#[derive(Debug)]
pub(crate) enum Found<'r> {
    /// A route.
    Route(&'r Target),
    /// A path, but not for this method: the value of `Allow`.
    OtherMethods(&'r str),
    /// Nothing.
    Nothing,
}

impl Routes {
    /// Checks the routes and sorts them. `served_by` is a whole line or empty.
    ///
    /// # Errors
    /// A route has no target, has two, or cannot be served; the refusal has its index.
    pub(crate) fn new(configured: Vec<RouteConfig>, upstreams: &[&str], served_by: &str) -> Result<Self, Refusal> {
        if configured.is_empty() {
            return Err(Refusal::from("routes: is empty, and would serve nothing"));
        }
        let mut places: Vec<Place> = Vec::new();
        for (index, route) in configured.into_iter().enumerate() {
            let refuse = |reason: String| Refusal::from(format!("routes[{index}]: {reason}"));
            let host = Host::parse(route.host.as_deref()).map_err(refuse)?;
            let path = path(&route.path).map_err(refuse)?;
            if let Some(upstream) = route.upstream.as_deref().filter(|name| !upstreams.contains(name)) {
                let known = if upstreams.is_empty() { "there is none".into() } else { upstreams.join(", ") };
                return Err(refuse(format!(
                    "upstream: no [upstream.{upstream}] is configured; those that are: {known}"
                )));
            }
            let entry = Entry::new(route, served_by).map_err(refuse)?;
            match places.iter_mut().find(|place| place.host == host && place.path == path) {
                Some(place) => place.add(entry).map_err(refuse)?,
                None => places.push(Place { host, path, entries: vec![entry], allow: String::new() }),
            }
        }
        for place in &mut places {
            place.allow =
                place.entries.iter().flat_map(|entry| entry.methods.iter()).cloned().collect::<Vec<_>>().join(", ");
        }
        places.sort_by(|a, b| a.host.rank().cmp(&b.host.rank()).then(b.path.len().cmp(&a.path.len())));
        let by_host = places.iter().any(|place| place.host != Host::Any);
        Ok(Routes { places, by_host })
    }

    /// Whether any route looks at the host.
    pub(crate) fn by_host(&self) -> bool {
        self.by_host
    }

    /// The route of a request. The path is the plain one, without its query.
    #[inline]
    pub(crate) fn find(&self, host: &[u8], path: &str, method: &str) -> Found<'_> {
        // With the dot of the root it is the same name.
        let host = host.strip_suffix(b".").unwrap_or(host);
        let Some(place) = self.places.iter().find(|place| place.host.is(host) && is_under(&place.path, path)) else {
            return Found::Nothing;
        };
        let takes = |entry: &&Entry| entry.methods.is_empty() || entry.methods.iter().any(|one| one == method);
        match place.entries.iter().find(takes) {
            Some(entry) => Found::Route(&entry.target),
            None => Found::OtherMethods(&place.allow),
        }
    }
}

impl Place {
    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let taken = self.entries.iter().any(|other| {
            let both_all = other.methods.is_empty() && entry.methods.is_empty();
            both_all || other.methods.iter().any(|method| entry.methods.contains(method))
        });
        if taken {
            return Err("an earlier route has the same host, path and method".into());
        }
        // What takes all methods takes those that are left.
        let at = if entry.methods.is_empty() { self.entries.len() } else { 0 };
        self.entries.insert(at, entry);
        Ok(())
    }
}

impl Entry {
    fn new(route: RouteConfig, served_by: &str) -> Result<Self, String> {
        if route.methods.as_ref().is_some_and(Vec::is_empty) {
            return Err("methods: is empty, and would take nothing; leave it out to take all".into());
        }
        let methods = route.methods.unwrap_or_default();
        if let Some(wrong) = methods.iter().find(|method| !is_token(method)) {
            return Err(format!("methods: {wrong:?} is no method"));
        }
        match (route.upstream, route.status) {
            (Some(_), Some(_)) => Err("has both upstream and status; a route has one of them".into()),
            (None, None) => Err("has neither upstream nor status; a route needs one of them".into()),
            (Some(upstream), None) => {
                if route.body.is_some() || !route.headers.is_empty() {
                    return Err("body and headers belong to a route with a status".into());
                }
                Ok(Entry { methods, target: Target::Upstream(upstream) })
            }
            (None, Some(status)) => {
                for (name, value) in &route.headers {
                    if !is_token(name) || is_own_field(name) {
                        return Err(format!("headers: {name:?} cannot be set"));
                    }
                    if !is_field_value(value) {
                        return Err(format!("headers.{name}: has a character that no header may have"));
                    }
                }
                // A fixed answer is for those who read, unless the route says otherwise.
                let methods = if methods.is_empty() { vec!["GET".into(), "HEAD".into()] } else { methods };
                let fixed = Fixed::new(status, route.body.as_deref(), &route.headers, served_by)?;
                Ok(Entry { methods, target: Target::Fixed(fixed) })
            }
        }
    }
}

impl Host {
    fn parse(host: Option<&str>) -> Result<Self, String> {
        let Some(host) = host else { return Ok(Host::Any) };
        let lower = host.to_ascii_lowercase();
        let lower = lower.strip_suffix('.').unwrap_or(&lower);
        let (name, under) = match lower.strip_prefix('*') {
            Some(rest) => (rest.strip_prefix('.').unwrap_or(""), true),
            None => (lower, false),
        };
        if tandem_http1::authority_host(name.as_bytes()) != Some(name.as_bytes()) {
            return Err(format!("host: {host:?} is no host; write example.com or *.example.com, without a port"));
        }
        Ok(if under { Host::Under(format!(".{name}")) } else { Host::Name(name.to_owned()) })
    }

    /// Whether this is the host of a request, without its port.
    #[inline]
    fn is(&self, host: &[u8]) -> bool {
        match self {
            Host::Any => true,
            Host::Name(name) => name.as_bytes().eq_ignore_ascii_case(host),
            Host::Under(end) => {
                let start = host.len().checked_sub(end.len());
                start.is_some_and(|at| at > 0 && host[at..].eq_ignore_ascii_case(end.as_bytes()))
            }
        }
    }

    fn rank(&self) -> (u8, usize) {
        match self {
            Host::Name(_) => (0, 0),
            // The longer the name, the more particular.
            Host::Under(end) => (1, usize::MAX - end.len()),
            Host::Any => (2, 0),
        }
    }
}

/// The prefix as it is compared: without a slash at its end, so that `/` is empty.
fn path(configured: &str) -> Result<String, String> {
    if !configured.starts_with('/') {
        return Err(format!("path: {configured:?} does not begin with a slash"));
    }
    if configured.contains(['?', '#']) {
        return Err(format!("path: {configured:?} goes beyond the path; a query chooses no route"));
    }
    match tandem_http1::plain_path(configured) {
        Some(plain) if plain == configured => Ok(plain.trim_end_matches('/').to_owned()),
        Some(plain) => Err(format!("path: {configured:?} is written {plain:?}")),
        None => Err(format!("path: {configured:?} is no path")),
    }
}

/// Whether a path lies under a prefix: is it, or goes on with a slash.
#[inline]
fn is_under(prefix: &str, path: &str) -> bool {
    match path.as_bytes().strip_prefix(prefix.as_bytes()) {
        Some(rest) => prefix.is_empty() || rest.first().is_none_or(|byte| *byte == b'/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Routes, Target};
    use crate::config::RouteConfig;

    fn route(host: Option<&str>, path: &str, methods: &[&str], upstream: &str) -> RouteConfig {
        RouteConfig {
            host: host.map(Into::into),
            path: path.into(),
            methods: (!methods.is_empty()).then(|| methods.iter().map(|method| (*method).into()).collect()),
            upstream: Some(upstream.into()),
            status: None,
            body: None,
            headers: Default::default(),
        }
    }

    const UPSTREAMS: [&str; 9] = ["a", "all", "api", "eu", "v2", "wild", "www", "www-put", "x"];

    fn found(routes: &Routes, host: &str, path: &str, method: &str) -> String {
        match routes.find(host.as_bytes(), path, method) {
            Found::Route(Target::Upstream(name)) => name.clone(),
            Found::Route(Target::Fixed(_)) => "fixed".into(),
            Found::OtherMethods(allow) => format!("405 {allow}"),
            Found::Nothing => "404".into(),
        }
    }

    #[test]
    fn the_most_particular_route_is_taken() {
        let routes = Routes::new(
            vec![
                route(None, "/api", &[], "api"),
                route(None, "/api/v2/", &["GET", "HEAD"], "v2"),
                route(Some("*.example.com"), "/", &[], "wild"),
                route(Some("*.eu.example.com"), "/", &[], "eu"),
                route(Some("www.Example.com"), "/", &["GET"], "www"),
                route(Some("www.example.com."), "/", &["PUT"], "www-put"),
            ],
            &UPSTREAMS,
            "",
        )
        .unwrap();
        for (host, path, method, target) in [
            ("h", "/api", "GET", "api"),
            ("h", "/api/", "GET", "api"),
            ("h", "/api/x", "POST", "api"),
            ("h", "/apix", "GET", "404"),
            ("h", "/", "GET", "404"),
            ("h", "/api/v2", "GET", "v2"),
            ("h", "/api/v2/x", "POST", "405 GET, HEAD"),
            ("h", "/api/v20", "POST", "api"),
            ("WWW.example.COM", "/api", "GET", "www"),
            ("www.example.com", "/", "PUT", "www-put"),
            ("www.example.com", "/", "POST", "405 PUT, GET"),
            ("a.example.com", "/", "GET", "wild"),
            ("a.eu.example.com", "/", "GET", "eu"),
            ("example.com", "/", "GET", "404"),
            (".example.com", "/", "GET", "404"),
            ("www.example.com.", "/", "GET", "www"),
            ("a.example.com.", "/", "GET", "wild"),
        ] {
            assert_eq!(found(&routes, host, path, method), target, "{method} {host}{path}");
        }
    }

    #[test]
    fn a_wrong_route_is_refused_by_its_index() {
        let mut both = route(None, "/", &[], "a");
        both.status = Some(200);
        let mut neither = route(None, "/", &[], "a");
        neither.upstream = None;
        let mut no_method = route(None, "/", &[], "a");
        no_method.methods = Some(Vec::new());
        for (wrong, reason) in [
            (both, "routes[1]: has both upstream and status; a route has one of them"),
            (neither, "routes[1]: has neither upstream nor status; a route needs one of them"),
            (route(None, "/first", &[], "a"), "routes[1]: an earlier route has the same host, path and method"),
            (route(None, "api", &[], "a"), "routes[1]: path: \"api\" does not begin with a slash"),
            (route(None, "/a/../b", &[], "a"), "routes[1]: path: \"/a/../b\" is written \"/b\""),
            (route(None, "/", &[], "b"), "routes[1]: upstream: no [upstream.b] is configured; those that are: a"),
            (route(None, "/a?b", &[], "a"), "routes[1]: path: \"/a?b\" goes beyond the path; a query chooses no route"),
            (no_method, "routes[1]: methods: is empty, and would take nothing; leave it out to take all"),
            (route(None, "/", &["GE T"], "a"), "routes[1]: methods: \"GE T\" is no method"),
            (
                route(Some("h:80"), "/", &[], "a"),
                "routes[1]: host: \"h:80\" is no host; write example.com or *.example.com, without a port",
            ),
        ] {
            let refusal = Routes::new(vec![route(None, "/first", &[], "a"), wrong], &["a"], "").unwrap_err();
            assert_eq!(refusal.to_string(), reason);
        }
    }
}
