//! Libraries and their manifests: whatever a file has in it, it is refused with a reason or is one, and a manifest's tables
//! fit those that it has made itself.

use tandem::loader::manifest::Manifest;
use tandem::store::schema::additions;

pub(crate) fn run(data: &[u8]) {
    let library = Manifest::parse(data, 1..=1);
    let section = Manifest::from_json(data, 1..=1);
    for read in [library, section] {
        match read {
            Ok(manifest) => is_one(&manifest),
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    }
}

fn is_one(manifest: &Manifest) {
    let json = serde_json::to_value(manifest).expect("a manifest is JSON");
    assert_eq!(serde_json::from_value::<Manifest>(json).as_ref().ok(), Some(manifest));
    let Ok(tables) = manifest.tables() else { return };
    let changes = additions(&[], &tables, &manifest.version).expect("where nothing is, everything can be added");
    assert_eq!(changes.len(), tables.len());
}
