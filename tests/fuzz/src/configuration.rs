//! Configurations: whatever the text is, it is refused with its place and the reason or is one; so is what it has for each
//! component.

use serde::Serialize;
use tandem::config::Source;
use tandem_component::prelude::*;
use tandem_echo::Echo;
use tandem_http::Http;
use tandem_smpp::Smpp;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Source::Embedded.parse(text) {
        Err(wrong) => assert!(!wrong.to_string().is_empty()),
        Ok(config) => {
            for service in config.service.values() {
                let own = service.config.clone().unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
                started(&service.component, &own);
            }
        }
    }
}

fn started(component: &str, config: &impl Serialize) {
    let refused = match component {
        "http" => Harness::<Http>::start(config).err(),
        "smpp" => Harness::<Smpp>::start(config).err(),
        "echo" => Harness::<Echo>::start(&()).err(),
        _ => None,
    };
    assert!(refused.is_none_or(|reason| !reason.to_string().is_empty()));
}
