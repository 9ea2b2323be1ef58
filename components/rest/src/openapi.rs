//! What applications are told of this interface: OpenAPI 3.1, with the limits that are configured.

use serde_json::{Value, json};

use crate::config::Config;
use crate::message::REFERENCE_MAX;

/// The description, in its bytes.
pub(crate) fn description(config: &Config) -> Vec<u8> {
    let mut description: Value = serde_json::from_str(TEXT).expect("openapi.json is JSON: there is a test for it");
    let schemas = &mut description["components"]["schemas"];
    schemas["NewMessage"]["properties"]["to"]["oneOf"][1]["maxItems"] = json!(config.limits.recipients);
    schemas["NewMessage"]["properties"]["reference"]["maxLength"] = json!(REFERENCE_MAX);
    description["components"]["parameters"]["wait"]["schema"]["maximum"] = json!(config.events.wait_max.as_secs());
    serde_json::to_vec_pretty(&description).expect("what was read can be written")
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
    }

    #[test]
    fn the_description_has_the_bounds_of_the_code() {
        let text: Value = serde_json::from_str(TEXT).unwrap();
        let message = &text["components"]["schemas"]["NewMessage"]["properties"];
        assert_eq!(message["text"]["maxLength"], TEXT_MAX);
        assert_eq!(message["validity"]["maximum"], json!(VALIDITY_MAX as u64));
    }
}
