//! `tandem inspect FILE`: what a library says of itself, read from its bytes, and who has signed it. Nothing of it is loaded.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tandem_component::abi;

use super::say;
use crate::config::Source;
use crate::loader::linked::{self, Linked};
use crate::loader::manifest::Manifest;
use crate::loader::signature::{self, Keys};

pub(super) fn inspect(file: &Path, source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let content = std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let digest = crate::loader::shelf::Digest::of(&content);
    let signed = Signed::of(file, &content, &source.read()?.trust);
    let manifest =
        Manifest::parse(&content, 1..=abi::REVISION).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let linked = linked::check(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let code = if matches!(signed, Signed::Refused(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if json {
        let mut object = serde_json::to_value(&manifest)?;
        object["digest"] = digest.to_string().into();
        object["signature"] = signed.json();
        object["linked"] = match &linked {
            Ok(Linked::Whole) => true.into(),
            Ok(Linked::Unknown) => serde_json::Value::Null,
            Err(_) => false.into(),
        };
        say(object);
        return Ok(code);
    }
    say(format_args!("{}@{}#{}", manifest.name, manifest.version, digest.short()));
    say(format_args!("api     {}", manifest.api));
    say(format_args!("policy  {}", serde_json::to_value(manifest.policy)?.as_str().unwrap_or_default()));
    say(format_args!("then    {}", if manifest.then.is_empty() { "-".to_owned() } else { manifest.then.join(" ") }));
    if manifest.resident {
        say(format_args!("resident"));
    }
    for table in &manifest.tables {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        say(format_args!("table   {}({}) key {}", table.name, columns.join(", "), table.key.join(", ")));
    }
    say(format_args!("digest  {digest}"));
    say(format_args!("signed  {}", signed.text()));
    let said = match &linked {
        Ok(Linked::Whole) => "it is what its linker has written".to_owned(),
        Ok(Linked::Unknown) => "nothing says whether it is what its linker has written".to_owned(),
        Err(altered) => altered.to_string(),
    };
    say(format_args!("linked  {said}"));
    Ok(code)
}

/// What is to be said of the signature of a file.
enum Signed {
    /// By this key, which is trusted.
    By(String),
    /// The configuration names no key, and this is so of a signature.
    Unasked { there: bool },
    /// It would be refused.
    Refused(String),
}

impl Signed {
    fn of(file: &Path, content: &[u8], keys: &Keys) -> Self {
        let beside = signature::beside(file);
        if keys.is_empty() {
            return Signed::Unasked { there: beside.exists() };
        }
        let signature = signature::read(&beside).and_then(|found| found.ok_or(signature::Untrusted::Unsigned(beside)));
        match signature.and_then(|signature| keys.verify(content, &signature).map(str::to_owned)) {
            Ok(key) => Signed::By(key),
            Err(untrusted) => Signed::Refused(untrusted.to_string()),
        }
    }

    fn text(&self) -> String {
        match self {
            Signed::By(key) => format!("by {key}, which is trusted"),
            Signed::Unasked { there: true } => "by whom was not looked at: the configuration has no `trust`".to_owned(),
            Signed::Unasked { there: false } => "-".to_owned(),
            Signed::Refused(reason) => format!("refused: {reason}"),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Signed::By(key) => json!({ "trusted": true, "key": key }),
            Signed::Unasked { there } => json!({ "trusted": null, "there": there }),
            Signed::Refused(reason) => json!({ "trusted": false, "reason": reason }),
        }
    }
}
