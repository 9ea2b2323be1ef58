//! What a version does not know of a state: whatever the bytes are, nothing panics, and what was missing is there again once
//! it was merged.

use rmpv::Value;
use tandem::session::remainder::Remainder;

use crate::input::Input;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (given, exported) = (input.bytes(), input.bytes());
    let later = input.rest();
    let Some(remainder) = Remainder::between(given, exported) else { return };
    let _ = remainder.merge(later.to_vec());
    let merged = remainder.merge(exported.to_vec());
    let whole = [given, exported].iter().all(|state| read(state).is_some_and(|state| names_once(&state)));
    if whole {
        assert_eq!(Remainder::between(given, &merged), None, "something is still missing");
        assert_eq!(remainder.merge(merged.clone()), merged, "merging again changes nothing");
    }
}

fn read(bytes: &[u8]) -> Option<Value> {
    rmpv::decode::read_value(&mut &*bytes).ok()
}

/// Whether each key is a text or a number and stands in its map once, as in all that is exported.
fn names_once(value: &Value) -> bool {
    let Value::Map(entries) = value else { return true };
    let once = |(at, (key, value)): (usize, &(Value, Value))| {
        let is_name = key.as_str().is_some() || key.is_number() || key.is_bool();
        is_name && entries[..at].iter().all(|(other, _)| other != key) && names_once(value)
    };
    entries.iter().enumerate().all(once)
}
