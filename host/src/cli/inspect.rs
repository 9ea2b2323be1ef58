//! `tandem inspect FILE`: what a library says of itself, read from its bytes.

use std::path::Path;
use std::process::ExitCode;

use tandem_component::abi;

use crate::loader::manifest::Manifest;

pub(super) fn inspect(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let content = std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let digest = crate::loader::shelf::Digest::of(&content);
    let manifest =
        Manifest::parse(&content, 1..=abi::REVISION).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    if json {
        let mut object = serde_json::to_value(&manifest)?;
        object["digest"] = digest.to_string().into();
        println!("{object}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}@{}#{}", manifest.name, manifest.version, digest.short());
    println!("api     {}", manifest.api);
    println!("policy  {}", serde_json::to_value(manifest.policy)?.as_str().unwrap_or_default());
    println!("then    {}", if manifest.then.is_empty() { "-".to_owned() } else { manifest.then.join(" ") });
    for table in &manifest.tables {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        println!("table   {}({}) key {}", table.name, columns.join(", "), table.key.join(", "));
    }
    println!("digest  {digest}");
    Ok(ExitCode::SUCCESS)
}
