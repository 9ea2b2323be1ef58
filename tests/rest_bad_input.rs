//! Whatever an application asks that is wrong, it is told which limit, character, number or account it is, why, and what to do; and
//! nothing of it is stored.

use serde_json::{Value, json};
use support::{ACME, Answer, Applications, Esme, Network, SECRET, Setup, free_port, request};

/// One place for all: none of what is wrong changes anything for what comes after it.
#[test]
fn what_is_wrong_is_told_with_the_way_out_and_not_stored() {
    let place = Place::start();
    let applications = &place.applications;
    let mut good = 0;
    for wrong in [bodies, numbers, texts, routes, limits, accounts, attempts] {
        applications.send("before");
        good += 1;
        wrong(&place);
        assert_eq!(applications.stored(), good, "of what is wrong nothing is stored");
        assert_eq!(applications.count("SELECT accepted FROM \"messaging.totals\""), good);
    }
}

fn bodies(place: &Place) {
    for (body, detail) in [
        ("", "there is no body"),
        ("{\"from\": \"100\", \"to\": ", "EOF while parsing a value at line 1 column 22"),
        ("{\"from\": \"100\",\n \"to\": \"200\" \"text\": \"hi\"}", "expected `,` or `}` at line 2 column 14"),
        (
            "{\"from\":\"1\",\"to\":\"2\",\"text\":\"a\",\"to\":\"3\"}",
            "the member `to` stands twice at line 1 column 36",
        ),
        ("{\"from\":\"1\",\"to\":\"2\",\"text\":\"\\ud800\"}", "unexpected end of hex escape at line 1 column 36"),
    ] {
        let answer = place.applications.ask("POST /v1/messages", "Content-Type: application/json\r\n", body);
        told(&answer, 400, "not-json", detail);
    }
    let answer = place.post(&json!({ "from": "100", "to": "200", "text": "hi", "txt": 1, "validity": "an hour" }));
    told(&answer, 400, "invalid", "2 things are wrong; see errors");
    assert_eq!(
        answer.json()["errors"],
        json!([
            { "pointer": "/txt", "detail": "there is no member `txt`" },
            { "pointer": "/validity", "detail": "`validity` is a number of seconds" },
        ])
    );
}

fn numbers(place: &Place) {
    for (to, detail) in [
        ("Shop", "`Shop` is no number: `+` and 5 to 15 digits, or 1 to 20 digits"),
        ("+12", "`+12` is no number: `+` and 5 to 15 digits, or 1 to 20 digits"),
        ("+49 171 234567", "`+49 171 234567` is no number: `+` and 5 to 15 digits, or 1 to 20 digits"),
        ("123456789012345678901", "`123456789012345678901` is no number: `+` and 5 to 15 digits, or 1 to 20 digits"),
        ("", "`` is no number: `+` and 5 to 15 digits, or 1 to 20 digits"),
    ] {
        let answer = place.post(&json!({ "from": "100", "to": to, "text": "hi" }));
        told(&answer, 400, "invalid", detail);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/to");
        // One of several: none is sent.
        let answer = place.post(&json!({ "from": "100", "to": ["200", to, "201"], "text": "hi" }));
        told(&answer, 400, "invalid", detail);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/to/1");
    }
    let answer = place.post(&json!({ "from": "a name of more than eleven", "to": "200", "text": "hi" }));
    let detail = "`a name of more than eleven` is no number (`+` and 5 to 15 digits, or 1 to 20 digits) and no name of up to \
                  11 letters, digits, spaces and `.`, `_`, `&`, `-`";
    told(&answer, 400, "invalid", detail);
}

fn texts(place: &Place) {
    for (coding, text, detail) in [
        ("gsm7", "Zażółć", "GSM-7 does not carry 'ż' (U+017C), which is character 3 of the text"),
        ("latin1", "5 €", "Latin-1 does not carry '€' (U+20AC), which is character 3 of the text"),
    ] {
        let answer = place.post(&json!({ "from": "100", "to": "200", "text": text, "coding": coding }));
        let detail = format!("{detail}: with `coding` left out, one is taken that does");
        told(&answer, 400, "invalid", &detail);
        assert_eq!(answer.json()["errors"][0], json!({ "pointer": "/text", "detail": detail }));
    }
    // It fits what any coding would carry in 255 parts, but not in UCS-2.
    let answer = place.post(&json!({ "from": "100", "to": "200", "text": "ы".repeat(255 * 67 + 1) }));
    told(&answer, 422, "refused", "the text is too long: it would be 256 parts, of at most 255");
    let answer = place.post(&json!({ "from": "100", "to": "200", "text": "x".repeat(255 * 153 + 1) }));
    told(&answer, 400, "invalid", "39016 characters, where 39015 are as many as may be");
}

fn routes(place: &Place) {
    let answer = place.post(&json!({ "from": "100", "to": "+9999999", "text": "hi" }));
    told(&answer, 422, "destination-refused", "no route leads to 9999999");
    assert_eq!(answer.json()["errors"][0]["pointer"], "/to");
    let answer = place.post(&json!({ "from": "100", "to": ["+9999999", "98"], "text": "hi" }));
    told(&answer, 422, "destination-refused", "none of the messages was taken; messages says why");
    let each: Vec<Value> =
        answer.json()["messages"].as_array().unwrap().iter().map(|it| it["problem"]["detail"].clone()).collect();
    assert_eq!(each, ["no route leads to 9999999", "no route leads to 98"]);
}

fn limits(place: &Place) {
    let body = json!({ "from": "100", "to": "200", "text": "x".repeat(2000) }).to_string();
    let detail = "a body has at most 100000 bytes: send it as several requests";
    // It says itself that it is too long, or turns out to be.
    let mut client = place.applications.connect();
    let json = "Content-Type: application/json\r\n";
    let head = format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\n{ACME}{json}");
    client.send(format!("{head}Content-Length: 100001\r\n\r\n").as_bytes()).unwrap();
    told(&client.answer("POST").unwrap(), 413, "body-too-large", detail);
    client.closed().unwrap();
    let mut client = place.applications.connect();
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(60)).as_bytes()).unwrap();
    told(&client.answer("POST").unwrap(), 413, "body-too-large", detail);

    let answer = place.post(&json!({ "from": "100", "to": ["1", "2", "3", "4"], "text": "hi" }));
    told(&answer, 400, "invalid", "4 recipients, where 3 are as many as may be");
    let answer = place.applications.ask(&format!("GET /v1/messages/{}", "a".repeat(5000)), "", "");
    told(&answer, 414, "target-too-long", "a request target has at most 4096 bytes");
    let answer = place.applications.ask("GET /v1/messages", &format!("X: {}\r\n", "a".repeat(17_000)), "");
    told(&answer, 431, "head-too-large", "a head has at most 16384 bytes and 100 fields");
    let answer = place.applications.ask("GET /v1/messages", &"X: a\r\n".repeat(100), "");
    told(&answer, 431, "head-too-large", "a head has at most 16384 bytes and 100 fields");
}

fn accounts(place: &Place) {
    let ask = "ask who runs the gateway";
    for (credentials, status, kind, detail) in [
        ("", 401, "unauthenticated", "there is no Authorization".to_owned()),
        // nobody:secret
        (
            "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n",
            401,
            "unauthenticated",
            format!("there is no account `nobody` here, or its secret is another: {ask}"),
        ),
        // acme:wrong
        (
            "Authorization: Basic YWNtZTp3cm9uZw==\r\n",
            401,
            "unauthenticated",
            format!("there is no account `acme` here, or its secret is another: {ask}"),
        ),
        // asleep:secret, and asleep:wrong
        (
            "Authorization: Basic YXNsZWVwOnNlY3JldA==\r\n",
            403,
            "account-suspended",
            format!("the account `asleep` may use nothing until it is resumed: {ask}"),
        ),
        (
            "Authorization: Basic YXNsZWVwOndyb25n\r\n",
            401,
            "unauthenticated",
            format!("there is no account `asleep` here, or its secret is another: {ask}"),
        ),
        (
            "Authorization: Token abc\r\n",
            401,
            "unauthenticated",
            "Authorization is Basic, or Bearer with account:secret in base64url".to_owned(),
        ),
    ] {
        let body = json!({ "from": "100", "to": "200", "text": "hi" }).to_string();
        let answer = place.applications.ask_as(credentials, "POST /v1/messages", "", &body);
        told(&answer, status, kind, &detail);
        assert_eq!(answer.field("www-authenticate").is_some(), status == 401);
    }
    // An ESME hears the same in its words.
    for (account, password, status) in
        [("asleep", "secret", 0x0d), ("asleep", "wrong", 0x0e), ("nobody", "secret", 0x0e)]
    {
        assert_eq!(Esme::connect(place.smpp).bind(account, password).unwrap(), status, "{account} {password}");
    }
}

/// The last: acme is put off from now on.
fn attempts(place: &Place) {
    let body = json!({ "from": "100", "to": "200", "text": "hi" }).to_string();
    let mut client = place.applications.connect();
    // other:wrong
    let guess = request("Authorization: Basic b3RoZXI6d3Jvbmc=\r\n", "POST /v1/messages", "", &body);
    let put_off = (0..20).find_map(|_| {
        client.send(guess.as_bytes()).unwrap();
        let answer = client.answer("POST").unwrap();
        (answer.status != 401).then_some(answer)
    });
    let answer = put_off.expect("after ten wrong secrets a minute none is looked at");
    let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
    let detail = format!("of the account `other`, or from this address: the next is looked at in {seconds} s");
    told(&answer, 429, "too-many-attempts", &detail);
    assert!((1..=60).contains(&seconds) && answer.json()["retry_after"] == seconds, "{seconds}");
    // Also with the right one, and as an ESME.
    let right = "Authorization: Basic b3RoZXI6c2VjcmV0\r\n";
    let answer = place.applications.ask_as(right, "POST /v1/messages", "", &body);
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(Esme::connect(place.smpp).bind("other", "secret").unwrap(), 0x58);
}

/// A gateway whose network is down, so that what is taken stays.
struct Place {
    applications: Applications,
    smpp: u16,
}

impl Place {
    fn start() -> Self {
        let smpp = free_port();
        let setup = Setup {
            rest: "limits = { recipients = 3, body_bytes = \"100000\" }",
            more: &format!(
                r#"[account.asleep]
secret = "{SECRET}"
suspended = true
[service.esme]
component = "smpp"
listen = ["tcp://127.0.0.1:{smpp}"]
[service.esme.config]
submit_to = "messages""#
            ),
            ..Setup::default()
        };
        Place { applications: Applications::start(Network::down().port, setup), smpp }
    }

    fn post(&self, body: &Value) -> Answer {
        self.applications.post(body)
    }
}

/// Whether an answer is the problem that it has to be.
#[track_caller]
fn told(answer: &Answer, status: u16, kind: &str, detail: &str) {
    let text = answer.text();
    assert_eq!((answer.status, answer.field("content-type")), (status, Some("application/problem+json")), "{text}");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:tandem:problem:{kind}"), "{text}");
    assert_eq!((&problem["status"], &problem["detail"]), (&json!(status), &json!(detail)), "{text}");
    assert!(problem["title"].is_string() && (problem["instance"].is_string() || status >= 414), "{text}");
}
