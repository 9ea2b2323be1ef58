//! Where in the file a key is.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line of a byte, counted from 1.
pub(super) fn number(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The line of a key, or of the nearest table around it that is there.
pub(super) fn of(text: &str, path: &[String]) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut at = None;
    let mut value: &Spanned<DeValue<'_>> = match path.split_first() {
        None => return None,
        Some((first, _)) => {
            let (key, value) = find(table.get_ref(), first)?;
            at.replace(key);
            value
        }
    };
    for key in &path[1..] {
        let next = match value.get_ref() {
            DeValue::Table(table) => find(table, key),
            DeValue::Array(array) => {
                key.parse().ok().and_then(|index: usize| array.get(index)).map(|value| (value.span().start, value))
            }
            _ => None,
        };
        let Some((start, inner)) = next else { break };
        at = Some(start);
        value = inner;
    }
    at.map(|at| number(text, at))
}

fn find<'t, 'd>(table: &'t DeTable<'d>, key: &str) -> Option<(usize, &'t Spanned<DeValue<'d>>)> {
    table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, value)| (name.span().start, value))
}
