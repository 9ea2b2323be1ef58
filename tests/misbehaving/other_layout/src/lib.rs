//! Exports a table of another shape under the symbol of ours: what a library would do that was built against an API
//! that somebody has changed without a new revision.

#![allow(missing_docs)] // abi_stable's derive makes public items that cannot be given a comment.
#![allow(non_local_definitions, non_camel_case_types, clippy::used_underscore_items)] // abi_stable predates these lints.

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::sabi_types::VersionStrings;

/// The other table.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ComponentTableRef)))]
#[sabi(missing_field(panic))]
pub struct ComponentTable {
    pub revision: u32,
    pub size: u64,
    #[sabi(last_prefix_field)]
    pub begin: extern "C" fn(u64) -> u64,
}

impl RootModule for ComponentTableRef {
    abi_stable::declare_root_module_statics! {ComponentTableRef}
    const BASE_NAME: &'static str = "tandem_component";
    const NAME: &'static str = "tandem_component";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

const MANIFEST_TEXT: &[u8] =
    br#"{"tandem":1,"name":"misbehaving-other-layout","version":"0.1.0","api":1,"policy":"carry","then":[],"tables":[]}"#;

#[used]
#[unsafe(link_section = ".tandem")]
static MANIFEST: [u8; MANIFEST_TEXT.len()] = {
    let mut bytes = [0; MANIFEST_TEXT.len()];
    bytes.copy_from_slice(MANIFEST_TEXT);
    bytes
};

struct Table;

impl Table {
    abi_stable::staticref! {
        const METADATA: WithMetadata<ComponentTable> = WithMetadata::new(ComponentTable { revision: 1, size: 24, begin });
    }
}

extern "C" fn begin(number: u64) -> u64 {
    number
}

extern "C" fn root() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(|| ComponentTableRef(Table::METADATA.as_prefix()))
}

#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // The symbol that the host looks for.
static tandem_component_root: LibHeader = {
    // SAFETY: `root` returns a `ComponentTableRef`, erased by abi_stable's own function.
    unsafe { LibHeader::from_constructor::<ComponentTableRef>(root, CheckTypeLayout::Yes) }
};
