//! What applications are told of this interface: OpenAPI 3.1, with the limits that are configured.

use serde_json::{Value, json};

use tandem_sms::Coding;

use crate::config::Config;
use crate::message::REFERENCE_MAX;

/// The description, in its bytes.
pub(crate) fn description(config: &Config) -> Vec<u8> {
    let mut description: Value = serde_json::from_str(TEXT).expect("openapi.json is JSON: there is a test for it");
    let schemas = &mut description["components"]["schemas"];
    schemas["NewMessage"]["properties"]["to"]["oneOf"][1]["maxItems"] = json!(config.limits.recipients);
    schemas["NewMessage"]["properties"]["reference"]["maxLength"] = json!(REFERENCE_MAX);
    for coding in schemas["NewMessage"]["oneOf"].as_array_mut().into_iter().flatten() {
        match coding["properties"]["coding"]["const"].as_str() {
            Some("gsm7") => coding["properties"]["text"]["pattern"] = json!(all_of(Coding::Gsm7)),
            Some("latin1") => coding["properties"]["text"]["pattern"] = json!(all_of(Coding::Latin1)),
            _ => {}
        }
    }
    description["components"]["parameters"]["wait"]["schema"]["maximum"] = json!(config.events.wait_max.as_secs());
    serde_json::to_vec_pretty(&description).expect("what was read can be written")
}

/// A regular expression for texts of characters that a coding carries. Neither has any beyond the first plane.
fn all_of(coding: Coding) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for unit in 0..=u16::MAX {
        if char::from_u32(unit.into()).is_none_or(|character| !coding.carries(character)) {
            continue;
        }
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == unit => *last = unit,
            _ => ranges.push((unit, unit)),
        }
    }
    let class: String = ranges.iter().map(|(first, last)| format!("\\u{first:04x}-\\u{last:04x}")).collect();
    format!("^[{class}]*$")
}

const TEXT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{TEXT, description};
    use crate::message::{REFERENCE_MAX, TEXT_MAX, VALIDITY_MAX};

    #[test]
    fn the_description_says_what_is_configured() {
        let text = r#"{ "submit_to": "m", "limits": { "recipients": 7 }, "events": { "wait_max": "9s" } }"#;
        let config = serde_json::from_str(text).unwrap();
        let told: Value = serde_json::from_slice(&description(&config)).unwrap();
        let message = &told["components"]["schemas"]["NewMessage"]["properties"];
        assert_eq!(message["to"]["oneOf"][1]["maxItems"], 7);
        assert_eq!(message["reference"]["maxLength"], REFERENCE_MAX);
        assert_eq!(told["components"]["parameters"]["wait"]["schema"]["maximum"], 9);
        let one_of = &told["components"]["schemas"]["NewMessage"]["oneOf"];
        assert_eq!(one_of[2]["properties"]["text"]["pattern"], r"^[\u0000-\u00ff]*$");
        let gsm = one_of[1]["properties"]["text"]["pattern"].as_str().unwrap();
        assert!(
            gsm.starts_with(r"^[\u000a-\u000a\u000c-\u000d\u0020-\u005f") && gsm.contains(r"\u20ac-\u20ac"),
            "{gsm}"
        );
    }

    #[test]
    fn the_description_has_the_bounds_of_the_code() {
        let text: Value = serde_json::from_str(TEXT).unwrap();
        let message = &text["components"]["schemas"]["NewMessage"]["properties"];
        assert_eq!(message["text"]["maxLength"], TEXT_MAX);
        assert_eq!(message["validity"]["maximum"], json!(VALIDITY_MAX as u64));
    }
}
