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
