//! What is left of an account's limits, as fields of an answer: `RateLimit-Policy` and `RateLimit`, by draft-ietf-httpapi-ratelimit-headers-11.
//!
//! Beside them go `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` of that draft's versions up to 06, for the limit that
//! is closest to its end: they are what the clients and gateways of today know, and the later ones have other names.

use tandem_sms::Left;

/// Puts what a later answer says to what is known: the numbers only fall while a request is answered for.
pub(crate) fn learn(known: &mut Vec<Left>, later: Vec<Left>) {
    for one in later {
        match known.iter().position(|other| other.limit == one.limit) {
            Some(at) if one.left <= known[at].left => known[at] = one,
            Some(_) => {}
            None if known.len() < LIMITS_MAX && is_plain(&one.limit) => known.push(one),
            None => {}
        }
    }
}

/// The fields, with their names. Where some limits have `refused` and nothing was taken, only of those is said what is left: until another one
/// frees nobody waits.
pub(crate) fn fields(left: &[Left], refused: &[&str], nothing_taken: bool) -> Vec<(&'static str, String)> {
    let has_refused = |one: &Left| refused.contains(&one.limit.as_str());
    let mut left: Vec<&Left> = left.iter().collect();
    // Of two fractions by their cross products.
    let used = |left: u64, of: u64| u128::from(left) * u128::from(of.max(1));
    left.sort_by(|one, other| {
        let closest = used(one.left, other.of).cmp(&used(other.left, one.of));
        has_refused(other).cmp(&has_refused(one)).then(closest)
    });
    let policies: Vec<String> = left.iter().filter_map(|one| policy(one)).collect();
    if nothing_taken {
        left.retain(|one| has_refused(one));
    }
    let mut fields = Vec::new();
    if !policies.is_empty() {
        fields.push(("RateLimit-Policy", policies.join(", ")));
    }
    if !left.is_empty() {
        fields.push(("RateLimit", left.iter().map(|one| limit(one)).collect::<Vec<_>>().join(", ")));
    }
    if let Some(first) = left.first()
        && let (Some((quota, Some(_))), Some(seconds)) = (quota(first), seconds(first))
    {
        fields.push(("RateLimit-Limit", integer(quota).to_string()));
        fields.push(("RateLimit-Remaining", integer(first.left).to_string()));
        fields.push(("RateLimit-Reset", integer(seconds).to_string()));
    }
    fields
}

/// `"day";q=1000;w=86400`
fn policy(left: &Left) -> Option<String> {
    let name = &left.limit;
    let quota = quota(left)?;
    Some(match quota {
        (q, Some(w)) => format!("\"{name}\";q={};w={}", integer(q), integer(w)),
        (q, None) if name == "concurrent" => format!("\"{name}\";q={};qu=\"concurrent-requests\"", integer(q)),
        (q, None) => format!("\"{name}\";q={}", integer(q)),
    })
}

/// `"day";r=17;t=3600`
fn limit(left: &Left) -> String {
    let said = format!("\"{}\";r={}", left.limit, integer(left.left));
    match seconds(left) {
        Some(seconds) => format!("{said};t={}", integer(seconds)),
        None => said,
    }
}

/// How many, and in how many seconds where it is a matter of time. Of what comes back in less than a second as many as come in one.
fn quota(left: &Left) -> Option<(u64, Option<u64>)> {
    let Left { of, per, .. } = *left;
    match per {
        _ if of == 0 => None,
        0 => Some((of, None)),
        1..1000 => Some((of.saturating_mul(1000) / per, Some(1))),
        _ => Some((of, Some(per.div_ceil(1000)))),
    }
}

/// In how many seconds there are more: as `Retry-After` says it, never at once.
fn seconds(left: &Left) -> Option<u64> {
    left.frees_in.map(|ms| ms.div_ceil(1000).max(1))
}

/// As large as an integer of a structured field may be (RFC 9651, section 3.3.1).
fn integer(number: u64) -> u64 {
    number.min(999_999_999_999_999)
}

/// Whether a name can stand between quotes as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// There are fewer.
const LIMITS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn left(limit: &str, (of, per): (u64, u64), left: u64, frees_in: Option<u64>) -> Left {
        Left { limit: limit.into(), of, per, left, frees_in }
    }

    fn lines(fields: &[(&'static str, String)]) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn each_limit_is_an_item_and_the_one_closest_to_its_end_the_first() {
        let all = [
            left("rate", (200, 2000), 199, Some(10)),
            left("day", (1000, 86_400_000), 17, Some(3_600_001)),
            left("concurrent", (8, 0), 8, None),
        ];
        assert_eq!(
            lines(&fields(&all, &[], false)),
            [
                r#"RateLimit-Policy: "day";q=1000;w=86400, "rate";q=200;w=2, "concurrent";q=8;qu="concurrent-requests""#,
                r#"RateLimit: "day";r=17;t=3601, "rate";r=199;t=1, "concurrent";r=8"#,
                "RateLimit-Limit: 1000",
                "RateLimit-Remaining: 17",
                "RateLimit-Reset: 3601",
            ]
        );
        assert!(fields(&[], &["day"], true).is_empty());
    }

    #[test]
    fn what_has_refused_is_all_that_is_waited_for() {
        let all = [left("day", (1000, 86_400_000), 3, Some(9_000)), left("rate", (5, 50), 1, Some(1))];
        let said = lines(&fields(&all, &["rate"], true));
        assert_eq!(said[0], r#"RateLimit-Policy: "rate";q=100;w=1, "day";q=1000;w=86400"#);
        assert_eq!(
            said[1..],
            [r#"RateLimit: "rate";r=1;t=1"#, "RateLimit-Limit: 100", "RateLimit-Remaining: 1", "RateLimit-Reset: 1"]
        );
        let said = lines(&fields(&all, &["rate"], false));
        assert_eq!(said[1], r#"RateLimit: "rate";r=1;t=1, "day";r=3;t=9"#);
        let closed = [left("hours", (0, 0), 0, Some(60_000))];
        assert_eq!(lines(&fields(&closed, &["hours"], true)), [r#"RateLimit: "hours";r=0;t=60"#]);
    }

    #[test]
    fn of_several_answers_the_least_holds_and_no_name_breaks_out() {
        let mut known = Vec::new();
        learn(&mut known, vec![left("day", (9, 1), 5, None), left("x\"\r\nA: b", (9, 1), 5, None)]);
        learn(&mut known, vec![left("day", (9, 1), 4, Some(2))]);
        learn(&mut known, vec![left("day", (9, 1), 6, None), left("rate", (9, 1), 1, None)]);
        assert_eq!(known, [left("day", (9, 1), 4, Some(2)), left("rate", (9, 1), 1, None)]);
        learn(&mut known, (0..100).map(|n| left(&n.to_string(), (1, 1), 1, None)).collect());
        assert_eq!(known.len(), LIMITS_MAX);
        let large = [left("day", (u64::MAX, u64::MAX), u64::MAX, Some(u64::MAX))];
        assert!(fields(&large, &[], false)[1].1.starts_with("\"day\";r=999999999999999;t="));
    }
}
