//! `tandem inspect FILE`: what a library says of itself, read from its bytes.

use std::path::Path;
use std::process::ExitCode;

use tandem_component::abi;

use super::say;
use crate::loader::manifest::Manifest;

pub(super) fn inspect(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let content = std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let digest = crate::loader::shelf::Digest::of(&content);
    let manifest =
        Manifest::parse(&content, 1..=abi::REVISION).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    if json {
        let mut object = serde_json::to_value(&manifest)?;
        object["digest"] = digest.to_string().into();
        say(object);
        return Ok(ExitCode::SUCCESS);
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
    Ok(ExitCode::SUCCESS)
}
