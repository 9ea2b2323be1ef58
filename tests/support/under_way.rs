//! What a message that has not ended waits for.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::gateway::Gateway;
use crate::patience::PATIENCE;

/// Waits until no message of a gateway, whose data is in `data`, is under way, for as long as they become less: what was held up is worked
/// off afterwards.
///
/// # Panics
/// Where they do not for [`PATIENCE`], with what they wait for.
pub fn all_ends(gateway: &Gateway) {
    let pending = || gateway.ledger_in_all().pending;
    let (mut least, mut since) = (pending(), Instant::now());
    while least > 0 {
        let now = pending();
        if now < least {
            (least, since) = (now, Instant::now());
        }
        let waits = || under_way(&gateway.scratch("data/store.sqlite"));
        assert!(since.elapsed() < PATIENCE, "{least} are under way: {:#?}", waits());
        thread::sleep(Duration::from_millis(10));
    }
}

/// The messages of a store that are under way, by where they are: how many, when the first and the last of them are due, and how old they
/// are.
fn under_way(store: &Path) -> Vec<String> {
    let store = rusqlite::Connection::open(store).expect("the store is there");
    store.busy_timeout(PATIENCE).expect("that is a setting");
    let query = "SELECT phase || ' ' || state || ' tried ' || tries || ': ' || count(*) || ', due in ' ||
        (min(due_at) / 1000000 - ?1) || ' to ' || (max(due_at) / 1000000 - ?1) || ' ms, since ' ||
        (?1 - max(submitted_at) / 1000000) || ' to ' || (?1 - min(submitted_at) / 1000000) || ' ms'
        FROM \"messaging.messages\" WHERE phase <> 'ended' GROUP BY phase, state, tries";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_millis();
    let mut rows = store.prepare(query).expect("there are messages");
    let rows = rows.query_map([i64::try_from(now).expect("it is a while till then")], |row| row.get(0));
    rows.and_then(Iterator::collect).expect("they can be read")
}
