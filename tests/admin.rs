//! The admin interface as operators' programs meet it: over its socket and over TCP, by curl and by hand.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::{Authority, Client, Gateway, free_port, libraries, settled};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_socket_answers_what_the_command_line_asks() {
    let place = Place::start();
    let status = place.get("/v1/status");
    assert_eq!((&status["pid"], &status["services"][0]["name"]), (&json!(place.gateway.pid()), &json!("web")));
    let swap = place.gateway.swap(&libraries().http, "1.1.0");
    assert!(swap.ok, "{swap:?}");
    let reload = place.post("/v1/reload", "");
    assert_eq!((&reload["ok"], &reload["files"][0]["outcome"]), (&json!(true), &json!("unchanged")), "{reload}");
    let rolled = place.post("/v1/rollback", r#"{"component": "http"}"#);
    assert!(rolled["changes"][0]["from"].as_str().unwrap().starts_with("http@1.1.0#"), "{rolled}");
    let promoted = place.post("/v1/promote", r#"{"component": "http", "version": "1.1.0"}"#);
    assert!(promoted["changes"][0]["to"].as_str().unwrap().starts_with("http@1.1.0#"), "{promoted}");
    let mut idle = place.gateway.connect(place.web);
    idle.get("/").unwrap();
    let sessions = place.get("/v1/sessions?of=http@1.1.0&limit=1");
    assert_eq!((&sessions["count"], sessions["sessions"].as_array().unwrap().len()), (&json!(1), 1), "{sessions}");
    let added = json!({"what": "add", "name": "acme", "secret": HASHED, "services": null, "replace": false});
    assert_eq!(place.post("/v1/accounts", &added.to_string())["outcome"], "added");
    assert_eq!(place.get("/v1/accounts")[0]["name"], "acme");
    assert!(place.get("/v1/schema").as_array().unwrap().iter().any(|row| row["table"] == "accounts"));
    assert_eq!(place.get("/v1/ledger"), json!([]));
}

#[test]
fn what_is_wrong_is_said_as_a_problem() {
    let place = Place::start();
    let rows = [
        (vec!["/v1/nothing"], 404, "/v1/nothing: there is no such path; /openapi.json has all of them"),
        (vec!["/v1/reload"], 405, "GET is not what /v1/reload is for"),
        (vec!["/v1/sessions?limit=many"], 400, "limit"),
        (vec!["/v1/sessions?of=smtp"], 409, "smtp"),
        (vec!["-d", r#"{"component": "smtp"}"#, "/v1/rollback"], 409, "no version of `smtp` serves"),
        (vec!["-d", r#"{"component": "http", "colour": "red"}"#, "/v1/rollback"], 422, "unknown field `colour`"),
        (vec!["-d", r#"{"component": "#, "/v1/rollback"], 400, "EOF"),
        (vec!["-d", r#"{"what": "list"}"#, "/v1/accounts"], 400, "GET lists accounts"),
        (vec!["-d", r#"{"component": "http", "version": "0.1.0"}"#, "/v1/drain"], 409, "serves service.web"),
        // A form of another site's page, as a browser sends it.
        (
            vec!["-H", "Content-Type: text/plain", "-d", r#"{"component": "http"}"#, "/v1/rollback"],
            415,
            "application/json",
        ),
        (vec!["-H", "Origin: http://evil.example", "-X", "POST", "/v1/reload"], 403, "another site"),
        (vec!["-H", "Sec-Fetch-Site: cross-site", "-X", "POST", "/v1/stop"], 403, "another site"),
        (vec!["-H", "Host: evil.example", "/v1/status"], 403, "localhost"),
    ];
    for (arguments, status, expected) in rows {
        let (got, body) = place.curl(&arguments);
        assert_eq!(got, status, "{arguments:?}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{arguments:?}: {body}"));
        assert_eq!(problem["status"], status, "{arguments:?}");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{arguments:?}: {body}");
    }
    let long = place.gateway.scratch("long");
    std::fs::write(&long, format!("{{\"component\": \"{}\"}}", "h".repeat(3 << 20))).unwrap();
    let (status, body) = place.curl(&["-d", &format!("@{}", long.display()), "/v1/rollback"]);
    assert_eq!(status, 413, "{body}");
    assert_eq!(place.get("/v1/status")["pid"], place.gateway.pid(), "and it goes on");
}

#[test]
fn over_tcp_a_word_is_to_be_shown() {
    let place = Place::start();
    let mut client = place.gateway.connect(place.admin);
    let ask = |client: &mut Client, path: &str, shown: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: gate.example\r\n{shown}\r\n").as_bytes()).unwrap();
        client.answer("GET").unwrap()
    };
    let refused = ask(&mut client, "/v1/status", "");
    assert_eq!((refused.status, refused.field("www-authenticate")), (401, Some("Bearer")));
    assert!(refused.text().contains("admin.token_file"));
    assert_eq!(ask(&mut client, "/v1/status", "Authorization: Bearer 0123456789abcdef\r\n").status, 401);
    let shown = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&mut client, "/v1/status", &shown).json()["pid"], place.gateway.pid());
    assert_eq!(ask(&mut client, "/v1/status", &format!("{shown}Origin: http://evil.example\r\n")).status, 403);
    // Who balances load asks these, and has no word.
    assert_eq!(ask(&mut client, "/healthz", "").text(), "well\n");
    let ready = ask(&mut client, "/readyz", "");
    assert_eq!((ready.status, ready.json()), (200, json!({"unready": []})));
    // A service that nothing serves.
    place.gateway.configure(|text| format!("{text}[service.later]\ncomponent = \"smpp\"\n"));
    assert!(!place.gateway.reload().ok);
    let unready = ask(&mut client, "/readyz", "");
    assert_eq!((unready.status, unready.json()), (503, json!({"unready": ["service.later: no version serves it"]})));
}

#[test]
fn where_it_listens_is_checked_before_it_runs() {
    let rows = [
        ("listen = [\"127.0.0.1:0\"]", "admin.listen: whoever reaches it could stop the gateway"),
        ("listen = [\"127.0.0.1:0\"]\ntoken_file = \"none\"", "none cannot be read"),
        ("listen = [\"127.0.0.1\"]\ntoken_file = \"none\"", "invalid socket address"),
        ("listen = [\"192.0.2.1:1\"]\ntoken_file = \"token\"", "admin.listen: 192.0.2.1:1 cannot be had"),
    ];
    for (admin, expected) in rows {
        let builder = Gateway::builder().library(&libraries().http);
        std::fs::write(builder.scratch("token"), TOKEN).unwrap();
        let text = format!("[admin]\n{admin}\n[service.web]\ncomponent = \"http\"\n")
            .replace("\"token\"", &format!("{:?}", builder.scratch("token")));
        let failed = builder.toml(&text).start_in_vain();
        assert!(failed.log.contains(expected), "{admin}: {}", failed.log);
    }
}

#[test]
fn notices_come_as_they_are_given() {
    let place = Place::start();
    let mut curl =
        place.command(&["--no-buffer", "http://localhost/v1/notices"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines();
    let mut next = |wanted: &str| {
        lines.find_map(|line| {
            let said: Value = serde_json::from_str(line.ok()?.strip_prefix("data: ")?).unwrap();
            (said["notice"] == wanted).then_some(said)
        })
    };
    let first = next("version-active").expect("what was before is said first");
    assert!(first["reason"].as_str().unwrap().starts_with("http@"), "{first}");
    place.gateway.swap(&libraries().http, "1.1.0");
    let second = next("version-active").expect("it goes on");
    assert!(second["reason"].as_str().unwrap().starts_with("http@1.1.0#"), "{second}");
    assert!(second["number"].as_u64() > first["number"].as_u64());
    // It ends with the gateway, which is how `tandem stop` knows.
    let stopped = place.gateway.tandem(&["stop"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(next("never"), None);
    curl.wait().unwrap();
}

#[test]
fn by_tls_the_word_is_shown_to_nobody_else_and_a_new_certificate_comes_by_reload() {
    let place = Place::start();
    let authority = Authority::new(&place.gateway.scratch("certificates"), "authority");
    let own = authority.certify("own", "own", &["localhost"]);
    let curl_showing = |word: &str, scheme: &str, more: &[&str], path: &str| {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--ipv4",
            "--write-out",
            " %{http_code}",
            "--cacert",
        ]);
        curl.arg(&authority.file).args(["-H", &format!("Authorization: Bearer {word}")]).args(more);
        let output =
            curl.arg(format!("{scheme}://localhost:{}{path}", place.admin)).output().expect("curl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let curl = |scheme: &str, more: &[&str], path: &str| curl_showing(TOKEN, scheme, more, path);
    assert_eq!(curl("http", &[], "/readyz").split(' ').next_back(), Some("200"));
    let tls = format!("[tls.inside]\nalpn = [\"h2\"]\ncertificates = [{}]\n", own.pair());
    place.gateway.configure(|text| text.replace("[admin]", "[admin]\ntls = \"inside\"") + &tls);
    assert!(place.gateway.reload().ok);
    // It speaks HTTP/1.1 here, whatever else listeners with these certificates speak.
    for version in ["--tlsv1.3", "--tlsv1.2"] {
        let status = curl("https", &[version], "/v1/status");
        assert!(status.ends_with(" 200") && status.contains("\"pid\""), "{status}");
    }
    assert!(curl_showing("wrong", "https", &[], "/v1/status").ends_with(" 401"));
    // The word is not taken in clear any more, and who says so is told of.
    assert!(curl("http", &[], "/v1/status").ends_with(" 000"));
    settled(true, || {
        let status = place.gateway.status();
        status.notice("handshake-failed").is_some_and(|last| last.starts_with("the admin interface: 127.0.0.1:"))
    });
    // One that is there goes on while the certificate changes; the next one sees the new one.
    let shown = || {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{}", place.admin), "-CAfile"]).arg(&authority.file);
        let output = command.stdin(Stdio::null()).output().expect("openssl is installed");
        String::from_utf8_lossy(&output.stdout).lines().find(|line| line.starts_with("subject=")).map(str::to_owned)
    };
    assert_eq!(shown().as_deref(), Some("subject=CN = own"));
    own.renew_as(&authority.certify("next", "next", &["localhost"]));
    place.gateway.sighup();
    settled(Some("subject=CN = next".to_owned()), shown);

    let file = place.gateway.file();
    let right = std::fs::read_to_string(&file).unwrap();
    for (from, to, reason) in [
        ("tls = \"inside\"", "tls = \"other\"", "admin.tls: there is no [tls.other]; write it"),
        ("listen = [\"127.0.0.1:", "# [\"", "admin.tls: it listens nowhere; write listen"),
    ] {
        std::fs::write(&file, right.replacen(from, to, 1)).unwrap();
        let error = place.gateway.reload().error.expect("it is refused");
        assert!(error.contains("tandem.toml:") && error.contains(reason), "{error}");
    }
    // Where everybody may read the word, `tandem check` says so.
    std::fs::write(&file, right.replacen("127.0.0.1", "0.0.0.0", 1).replacen("tls = \"inside\"", "", 1)).unwrap();
    let checked = place.gateway.tandem(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success() && said.contains("the word of admin.token_file goes in clear"), "{said}");
}

#[test]
fn it_stops_once_who_has_asked_was_answered() {
    let mut place = Place::start();
    let stopping = place.post("/v1/stop", "");
    assert_eq!(stopping["pid"], place.gateway.pid());
    assert!(place.gateway.ended(std::time::Duration::from_secs(30)).success());
}

#[test]
fn the_description_has_every_path_and_what_it_answers() {
    let place = Place::start();
    let described = place.get("/openapi.json");
    let paths: BTreeSet<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "/healthz",
        "/metrics",
        "/readyz",
        "/v1/accounts",
        "/v1/drain",
        "/v1/ledger",
        "/v1/notices",
        "/v1/promote",
        "/v1/reload",
        "/v1/rollback",
        "/v1/schema",
        "/v1/sessions",
        "/v1/status",
        "/v1/stop",
    ];
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), expected);
    // Whatever it says of a status is so.
    let schemas = described["components"]["schemas"].as_object().unwrap();
    let status = place.get("/v1/status");
    has_what_is_described(&status, &schemas["Status"], schemas, "Status");
}

/// Whether a value has each property that its description requires, and none that it does not know.
fn has_what_is_described(value: &Value, schema: &Value, all: &serde_json::Map<String, Value>, path: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return has_what_is_described(value, &all[name], all, &format!("{path} {name}"));
    }
    match value {
        Value::Object(object) if schema["properties"].is_object() => {
            let known = schema["properties"].as_object().unwrap();
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(object.contains_key(required.as_str().unwrap()), "{path}: no {required}");
            }
            for (name, value) in object {
                let schema = known.get(name).unwrap_or_else(|| panic!("{path}: {name} is not described"));
                has_what_is_described(value, schema, all, &format!("{path}.{name}"));
            }
        }
        Value::Array(values) => {
            values.iter().for_each(|value| has_what_is_described(value, &schema["items"], all, path));
        }
        _ => {}
    }
}

/// What `tandem account hash` prints of `secret`.
const HASHED: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$oRs0askwCj18WQcDwoXlqw$RTE0znUROYyWLUz/UtTnAzXTg4S2HOWgHV9FzsUP8uM";

struct Place {
    gateway: Gateway,
    web: u16,
    admin: u16,
}

impl Place {
    fn start() -> Self {
        let (web, admin) = (free_port(), free_port());
        let builder = Gateway::builder().library(&libraries().http);
        let token = builder.scratch("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        let text = format!(
            r#"
workers = 1
[admin]
listen = ["127.0.0.1:{admin}"]
token_file = {token:?}
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
config = {{ routes = [{{ path = "/", status = 200, body = "well" }}] }}
"#
        );
        let gateway = builder.data("data").toml(&text).start();
        settled(true, || gateway.connect(admin).get("/healthz").is_ok());
        Place { gateway, web, admin }
    }

    /// curl at the socket.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--unix-socket"]);
        curl.arg(self.gateway.file().with_file_name("data/admin.sock")).args(arguments);
        curl
    }

    /// The status, and the body.
    fn curl(&self, arguments: &[&str]) -> (u16, String) {
        let (path, rest) = arguments.split_last().unwrap();
        let typed = if rest.iter().any(|it| it.starts_with("Content-Type")) {
            "X-Nothing: at all"
        } else {
            "Content-Type: application/json"
        };
        let mut command = self.command(&["--write-out", "\n%{http_code}", "-H", typed]);
        let Output { stdout, stderr, .. } =
            command.args(rest).arg(format!("http://localhost{path}")).output().expect("curl is installed");
        let said = String::from_utf8(stdout).unwrap();
        let (body, status) = said.rsplit_once('\n').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&stderr)));
        (status.parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.curl(&[path]);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn post(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.curl(&["-d", body, path]);
        assert!(matches!(status, 200 | 202), "{path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }
}

#[test]
fn the_metrics_are_those_of_the_docs() {
    let (web, other) = (free_port(), free_port());
    let libraries = libraries();
    let gateway = Gateway::builder()
        .library(&libraries.http)
        .library(&libraries.echo)
        .data("data")
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
config = {{ routes = [{{ path = "/", upstream = "app" }}] }}
[service.out]
component = "echo"
connect = ["tcp://127.0.0.1:{other}"]
[upstream.app]
servers = ["tcp://127.0.0.1:{other}"]
[agreement.gold]
accounts = ["*"]
services = ["web"]
rate = {{ of = 10, per = "1s", burst = 20 }}
"#
        ))
        .start();
    gateway.connect(web).get("/").unwrap();
    gateway.swap(&libraries.http, "1.1.0");
    let place = Place { gateway, web, admin: 0 };
    let (status, text) = place.curl(&["/metrics"]);
    assert_eq!((status, text.trim_end().lines().last()), (200, Some("# EOF")), "{text}");

    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    let told = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        Some((cells.next()?.trim().trim_end_matches('`').to_owned(), cells.next()?.trim().to_owned()))
    };
    let answered = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind.to_owned()))
    };
    let told: BTreeSet<(String, String)> = docs.lines().filter_map(told).collect();
    let answered: BTreeSet<(String, String)> = text.lines().filter_map(answered).collect();
    assert_eq!(answered, told, "{text}");

    let value = |metric: &str| {
        let line = text.lines().find(|line| line.starts_with(metric)).unwrap_or_else(|| panic!("{metric}: {text}"));
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert!((value("tandem_service_up{service=\"web\"") - 1.0).abs() < f64::EPSILON);
    assert!(value("tandem_connector_up{service=\"out\"").abs() < f64::EPSILON);
    assert!(value("tandem_notices_total{notice=\"version-active\"}") >= 3.0);
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_start_time_seconds") > 1.7e9);
    // What a version did is told as long as the version is known, also when nothing of it is loaded any more.
    settled(true, || {
        let (_, text) = place.curl(&["/metrics"]);
        text.lines().any(|line| {
            line.starts_with("tandem_version_sessions_taken_total{component=\"http\",version=\"http@0.1.0#")
        })
    });
}
