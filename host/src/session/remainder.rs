//! What a version does not know of a state that it has resumed: kept by the host, merged back when the session moves on.
//!
//! A version that is older, or another branch, passes over fields that it does not know, and would lose them with its next
//! export. What it does not know is seen by having it export once right after it has resumed: whatever is not there again
//! is the [`Remainder`]. This holds for structs and keyed maps at any depth, which MessagePack both writes as maps; in lists
//! a place says nothing of what stands in it, so they are the version's own.

use std::collections::BTreeMap;

use rmpv::Value;

/// The fields of a state that the version at work does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Remainder(Vec<(Value, Part)>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// The version does not know the key.
    Whole(Value),
    /// It knows the key, but not all that stands under it. Where the key has gone meanwhile, so has this.
    Within(Remainder),
}

impl Remainder {
    /// What was in the state that a version was given and is not in what it exports; `None` where nothing is missing.
    pub fn between(given: &[u8], exported: &[u8]) -> Option<Self> {
        if given == exported {
            return None;
        }
        let (given, exported) = (read(given)?, read(exported)?);
        missing(&given, &exported)
    }

    /// Puts it back into what the version exports now.
    pub fn merge(&self, exported: Vec<u8>) -> Vec<u8> {
        let Some(mut state) = read(&exported) else { return exported };
        self.put_back(&mut state);
        let mut merged = Vec::with_capacity(exported.len());
        rmpv::encode::write_value(&mut merged, &state).map_or(exported, |()| merged)
    }

    fn put_back(&self, state: &mut Value) {
        let Value::Map(entries) = state else { return };
        let places = Places::of(entries);
        let there: Vec<Option<usize>> = self.0.iter().map(|(key, _)| places.find(entries, key)).collect();
        for ((key, part), there) in self.0.iter().zip(there) {
            match (part, there) {
                (Part::Whole(value), None) => entries.push((key.clone(), value.clone())),
                (Part::Within(remainder), Some(at)) => remainder.put_back(&mut entries[at].1),
                (Part::Whole(_), Some(_)) | (Part::Within(_), None) => {}
            }
        }
    }
}

/// Where the keys of a map are. A struct has few, which are looked at one after the other; a keyed map may have very many, in any order.
enum Places {
    Few,
    Many(BTreeMap<Vec<u8>, usize>),
}

impl Places {
    fn of(entries: &[(Value, Value)]) -> Self {
        const FEW: usize = 32;
        if entries.len() <= FEW {
            return Places::Few;
        }
        // Of two that are the same the first counts.
        Places::Many(entries.iter().enumerate().rev().map(|(at, (key, _))| (written(key), at)).collect())
    }

    fn find(&self, entries: &[(Value, Value)], key: &Value) -> Option<usize> {
        match self {
            Places::Few => entries.iter().position(|(name, _)| name == key),
            Places::Many(places) => places.get(&written(key)).copied(),
        }
    }
}

fn written(key: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, key).expect("a vector takes all");
    bytes
}

fn missing(given: &Value, exported: &Value) -> Option<Remainder> {
    let (Value::Map(given), Value::Map(exported)) = (given, exported) else { return None };
    let places = Places::of(exported);
    let parts = given.iter().filter_map(|(key, value)| {
        let part = match places.find(exported, key) {
            None => Part::Whole(value.clone()),
            Some(at) => Part::Within(missing(value, &exported[at].1)?),
        };
        Some((key.clone(), part))
    });
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then_some(Remainder(parts))
}

fn read(bytes: &[u8]) -> Option<Value> {
    rmpv::decode::read_value(&mut &*bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Remainder, read};
    use serde_json::{Value, json};

    fn bytes(value: &Value) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }

    /// Resumed by a version that exports `exported` at once and `later` in the end: what the next one is given.
    fn carried(given: Value, exported: Value, later: Value) -> Value {
        let merged = match Remainder::between(&bytes(&given), &bytes(&exported)) {
            Some(remainder) => remainder.merge(bytes(&later)),
            None => bytes(&later),
        };
        rmp_serde::from_slice(&merged).unwrap()
    }

    #[test]
    fn a_field_that_is_not_known_is_kept_at_any_depth() {
        let given = json!({"n": 1, "new": "x", "in": {"a": 1, "new": [1, 2], "deep": {"b": 1, "new": {"c": 1}}}});
        let known = |n: i32| json!({"n": n, "in": {"a": n, "deep": {"b": n}}});
        let expected = json!({"n": 5, "new": "x", "in": {"a": 5, "new": [1, 2], "deep": {"b": 5, "new": {"c": 1}}}});
        assert_eq!(carried(given, known(1), known(5)), expected);
    }

    #[test]
    fn an_entry_that_was_removed_stays_removed() {
        let given = json!({"map": {"a": {"n": 1, "new": 1}, "b": {"n": 2, "new": 2}}});
        let exported = json!({"map": {"a": {"n": 1}, "b": {"n": 2}}});
        let later = json!({"map": {"b": {"n": 3}, "c": {"n": 4}}});
        assert_eq!(carried(given, exported, later), json!({"map": {"b": {"n": 3, "new": 2}, "c": {"n": 4}}}));
    }

    /// By one after the other this would be so many squared: a worker that is kept by the host itself.
    #[test]
    fn a_map_of_very_many_keys_in_another_order_is_looked_through_once() {
        const KEYS: u32 = 30_000;
        let state = |order: &mut dyn Iterator<Item = u32>, new: bool| {
            let entry = |n: u32| if new { json!({"n": n, "new": n}) } else { json!({"n": n}) };
            let map: Vec<(String, Value)> = order.map(|n| (format!("key {n}"), entry(n))).collect();
            let map = map.into_iter().map(|(key, value)| (key.into(), read(&bytes(&value)).unwrap())).collect();
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, &rmpv::Value::Map(map)).unwrap();
            bytes
        };
        let (given, exported) = (state(&mut (0..KEYS), true), state(&mut (0..KEYS).rev(), false));
        let merged = Remainder::between(&given, &exported).unwrap().merge(exported);
        let (merged, given): (Value, Value) =
            (rmp_serde::from_slice(&merged).unwrap(), rmp_serde::from_slice(&given).unwrap());
        assert!(merged == given);
    }

    #[test]
    fn another_variant_takes_nothing_of_the_one_before() {
        let given = json!({"state": {"Waiting": {"since": 1, "new": 2}}});
        let exported = json!({"state": {"Waiting": {"since": 1}}});
        assert_eq!(
            carried(given.clone(), exported.clone(), json!({"state": {"Bound": {}}})),
            json!({"state": {"Bound": {}}})
        );
        assert_eq!(carried(given.clone(), exported, json!({"state": "Idle"})), json!({"state": "Idle"}));
        assert_eq!(carried(given.clone(), given.clone(), given.clone()), given);
    }

    #[test]
    fn what_a_version_has_come_to_know_is_its_own() {
        let (given, exported) = (json!({"a": 1, "late": 1}), json!({"a": 1}));
        assert_eq!(carried(given, exported, json!({"a": 2, "late": 7})), json!({"a": 2, "late": 7}));
    }
}
