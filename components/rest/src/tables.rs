//! What is kept: events until an account has taken them ([`EVENTS`]), where each account's numbers have got to ([`TAILS`]), and
//! whose webhook is whose to tell ([`PUSHERS`]), and what was answered to requests with an `Idempotency-Key` ([`KEYS`]).
//!
//! Invariant: an account's events are numbered in the order of their commits. Numbers are taken by the compare-and-set of the
//! account's tail, in one transaction with the events; so who has read a tail can see all events up to it, and none comes up to it
//! later. A session that has lost the compare-and-set leaves rows for a moment, with numbers that others have or will get. So
//! nobody takes an event for one that is beyond the tail that was read before it, and a row is named by its `id` as well, so that nobody makes
//! another's go.

use tandem_component::prelude::*;

/// What an account has not taken yet.
pub const EVENTS: Table = Table {
    name: "events",
    key: &["account", "n", "id"],
    columns: &[
        Column::new("account", Kind::Text),
        Column::new("n", Kind::Integer),
        Column::new("id", Kind::Text),
        Column::new("kept_at", Kind::Integer).indexed(),
        Column::new("body", Kind::Text),
    ],
};

/// Where an account's events have got to.
pub const TAILS: Table = Table {
    name: "tails",
    key: &["account"],
    columns: &[
        Column::new("account", Kind::Text),
        Column::new("last", Kind::Integer).or(Literal::Integer(0)),
        Column::new("gone", Kind::Integer).or(Literal::Integer(0)),
        Column::new("dropped", Kind::Integer).or(Literal::Integer(0)),
    ],
};

/// Which resident sends an account's events, and until when it may.
pub const PUSHERS: Table = Table {
    name: "pushers",
    key: &["account"],
    columns: &[
        Column::new("account", Kind::Text),
        Column::new("holder", Kind::Text),
        Column::new("claimed_until", Kind::Integer),
    ],
};

/// The requests that have an `Idempotency-Key`, and what was answered.
pub const KEYS: Table = Table {
    name: "keys",
    key: &["account", "key"],
    columns: &[
        Column::new("account", Kind::Text),
        Column::new("key", Kind::Text),
        Column::new("request", Kind::Text),
        Column::new("holder", Kind::Text),
        Column::new("until", Kind::Integer),
        Column::new("kept_at", Kind::Integer).indexed(),
        Column::new("answer", Kind::Text).or(Literal::Null),
        Column::new("location", Kind::Text).or(Literal::Text("")),
    ],
};

/// A row of [`KEYS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) key: String,
    /// A digest of what is asked.
    pub(crate) request: String,
    /// The run of the host, and a name of the session that does it.
    pub(crate) holder: String,
    /// Until when nobody else does.
    pub(crate) until: i64,
    pub(crate) kept_at: i64,
    /// The body, once there is one that stays; and `Location`.
    pub(crate) answer: Option<String>,
    pub(crate) location: String,
}

impl Key {
    /// Whether nobody is at it any more.
    pub(crate) fn is_free(&self, run: u64, now: Time) -> bool {
        self.until <= nanos(now) || !is_of(&self.holder, run)
    }
}

/// Whether whoever holds something is of this run of the host.
pub(crate) fn is_of(holder: &str, run: u64) -> bool {
    let named = holder.split_once('-').and_then(|(named, _)| u64::from_str_radix(named, 16).ok());
    named == Some(run)
}

/// A row of [`EVENTS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) account: String,
    /// Its place: the cursor.
    pub(crate) n: i64,
    /// The same for one that comes again.
    pub(crate) id: String,
    /// In nanoseconds since 1970.
    pub(crate) kept_at: i64,
    /// JSON, as it is told.
    pub(crate) body: String,
}

/// The place of an event among its account's.
#[derive(Clone, Debug, Serialize)]
struct Place<'a> {
    account: &'a str,
    n: i64,
    id: &'a str,
}

/// Which event it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) n: i64,
    pub(crate) id: String,
}

impl From<&Event> for Name {
    fn from(event: &Event) -> Self {
        Name { n: event.n, id: event.id.clone() }
    }
}

/// A row of [`TAILS`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// The number of the youngest event that there was.
    pub(crate) last: i64,
    /// Of the youngest that was taken or dropped: those up to there are gone.
    pub(crate) gone: i64,
}

#[derive(Serialize)]
pub(crate) struct Last<'a> {
    pub(crate) account: &'a str,
    pub(crate) last: i64,
}

#[derive(Serialize)]
struct Gone<'a> {
    account: &'a str,
    gone: i64,
}

/// The events of an account after a place, the oldest first.
pub(crate) fn after(account: &str, n: i64, limit: u32) -> Scan<'static> {
    // No event has an empty name, so the first of the next number comes after this.
    let place = Place { account, n: n.saturating_add(1), id: "" };
    Scan::of(&EVENTS).by("account").at(&account).after(&place).limit(limit)
}

/// Makes events of an account go, all up to the last of them.
pub(crate) fn remove<S: Session>(account: &str, events: &[Name], out: &mut Out<'_, S>) {
    let Some(gone) = events.iter().map(|name| name.n).max() else { return };
    for Name { n, id } in events {
        out.delete(&EVENTS, &(account, n, id));
    }
    out.update(&TAILS, &Gone { account, gone });
}

/// Events as they are told, in their order. Each is JSON already.
pub(crate) fn list(events: &[Event]) -> String {
    let bodies: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
    format!("[{}]", bodies.join(","))
}

/// As rows have it.
pub(crate) fn nanos(at: Time) -> i64 {
    i64::try_from(at.nanos()).unwrap_or(i64::MAX)
}
