//! An application is told how much its account has left: the fields say what the agreement says, fall with each message, go on where they
//! were over swaps, and change with a reload. What is over is 429 with the time at which it frees.

use serde_json::{Value, json};
use support::{Applications, Network, Setup, libraries};

/// The quota of a month: the longest window, so that none ends while the test runs.
const MONTH: u64 = 12;

#[test]
fn what_is_left_falls_with_each_message_over_swaps_and_is_over_when_it_is() {
    let network = Network::up();
    let port = network.port;
    network.oblige();
    let more = format!(
        "[agreement.gold]\naccounts = [\"acme\"]\nservices = [\"messages\"]\nquota = {{ month = {MONTH} }}\n\
         rate = {{ of = 1000, per = \"10s\" }}\n"
    );
    let place = Applications::start(port, Setup { more: &more, ..Setup::default() });
    let mut left = MONTH;
    for n in 0..8 {
        match n {
            2 => drop(place.gateway.swap(&libraries().messaging, "1.0.1")),
            4 => drop(place.gateway.swap(&libraries().rest, "1.0.1")),
            6 => drop(place.gateway.swap(&libraries().messaging, "1.0.2")),
            _ => {}
        }
        let told = Told::of(&place, n % 2 == 1, json!({ "from": "100", "to": "200", "text": format!("{n}") }));
        assert_eq!(told.status, 202);
        // What another worker has taken in advance and not used counts as used: of so small a quota none takes any.
        left -= 1;
        let (q, w) = told.policy("month").unwrap();
        assert_eq!((q, told.item("month").unwrap().0), (MONTH, left), "{n}: {told:?}");
        assert!((28 * 86_400..=31 * 86_400).contains(&w) && told.item("month").unwrap().1 <= w, "{told:?}");
        // A rate begins with all of it; in ten seconds it has as many again.
        assert_eq!(told.policy("rate"), Some((1000, 10)));
        assert!((900..1000).contains(&told.item("rate").unwrap().0), "{told:?}");
        assert!(told.limits.starts_with("\"month\""), "what is closest to its end is first: {told:?}");
        let classic = [told.classic("Limit"), told.classic("Remaining"), told.classic("Reset")];
        assert_eq!(classic, [MONTH, left, told.item("month").unwrap().1], "{told:?}");
    }
    // A message of three parts takes three; of two recipients one has none left.
    let told = Told::of(&place, false, json!({ "from": "100", "to": "200", "text": "x".repeat(400) }));
    assert_eq!((told.status, told.item("month").map(|it| it.0)), (202, Some(1)), "{told:?}");
    let told = Told::of(&place, false, json!({ "from": "100", "to": ["200", "201"], "text": "hi" }));
    assert_eq!((told.status, told.item("month").map(|it| it.0)), (202, Some(0)), "one of two is taken: {told:?}");

    let told = Told::of(&place, true, json!({ "from": "100", "to": "200", "text": "one too many" }));
    let retry_after = told.retry_after.unwrap();
    assert_eq!((told.status, told.item("month")), (429, Some((0, retry_after))), "{told:?}");
    assert!(told.item("rate").is_none() && told.policy("rate").is_some(), "nobody waits for the rate: {told:?}");
    assert!(retry_after > 0 && retry_after <= told.policy("month").unwrap().1);

    // Twice as much from the reload on, of which the first half is used.
    place.gateway.configure(|text| text.replace("month = 12", "month = 24"));
    assert!(place.gateway.reload().ok);
    let told = Told::of(&place, false, json!({ "from": "100", "to": "200", "text": "more" }));
    assert_eq!((told.status, told.policy("month").map(|it| it.0)), (202, Some(24)), "{told:?}");
    assert_eq!(told.item("month").map(|it| it.0), Some(11), "{told:?}");

    // Who has no agreement is told of none.
    let body = json!({ "from": "1", "to": "200", "text": "free" }).to_string();
    let answer = place.ask_as("Authorization: Basic b3RoZXI6c2VjcmV0\r\n", "POST /v1/messages", "", &body);
    assert_eq!((answer.status, answer.field("ratelimit"), answer.field("ratelimit-policy")), (202, None, None));
}

/// What an application is told.
#[derive(Debug)]
struct Told {
    status: u16,
    retry_after: Option<u64>,
    policies: String,
    limits: String,
    classic: Vec<(&'static str, u64)>,
}

impl Told {
    /// Of a message, under a key or without.
    fn of(place: &Applications, keyed: bool, message: Value) -> Self {
        let key = if keyed { format!("Idempotency-Key: {}\r\n", message["text"]) } else { String::new() };
        let answer = place.ask("POST /v1/messages", &key, &message.to_string());
        let field = |name: &str| answer.field(name).unwrap_or_default().to_owned();
        let number = |name: &str| field(name).parse::<u64>().ok();
        let classic = ["Limit", "Remaining", "Reset"].map(|it| Some((it, number(&format!("ratelimit-{it}"))?)));
        Told {
            status: answer.status,
            retry_after: number("retry-after"),
            policies: field("ratelimit-policy"),
            limits: field("ratelimit"),
            classic: classic.into_iter().flatten().collect(),
        }
    }

    fn classic(&self, name: &str) -> u64 {
        self.classic.iter().find(|it| it.0 == name).unwrap_or_else(|| panic!("no {name}: {self:?}")).1
    }

    /// `q` and `w`.
    fn policy(&self, name: &str) -> Option<(u64, u64)> {
        pair(&self.policies, name, ["q", "w"])
    }

    /// `r` and `t`.
    fn item(&self, name: &str) -> Option<(u64, u64)> {
        pair(&self.limits, name, ["r", "t"])
    }
}

/// Two parameters of an item, by its name, as RFC 9651 has lists of them.
fn pair(list: &str, name: &str, keys: [&str; 2]) -> Option<(u64, u64)> {
    let item = list.split(", ").find(|item| item.starts_with(&format!("\"{name}\";")))?;
    let [first, second] = keys.map(|key| {
        let value = item.split(';').find_map(|it| it.strip_prefix(&format!("{key}=")));
        value.unwrap_or_else(|| panic!("no {key}: {list}")).parse().unwrap()
    });
    Some((first, second))
}
