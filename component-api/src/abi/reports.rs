//! What a component reports to the host, and the host's table for it.

use std::marker::PhantomData;

use abi_stable::StableAbi;
use abi_stable::std_types::RStr;

use super::REVISION;

/// What the host offers at any time, on any thread.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTableRef)))]
#[sabi(missing_field(panic))]
pub struct HostTable {
    pub revision: u32,
    pub size: u32,
    /// The finest level that is logged: 1 error … 5 trace, 0 nothing.
    pub level: extern "C" fn() -> u32,
    pub log: extern "C" fn(level: u32, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>),
    #[sabi(last_prefix_field)]
    pub panicked: extern "C" fn(message: RStr<'_>, location: RStr<'_>),
    // Revision 5.
    /// The library is about to allocate more than it may. Called inside of its allocator; does not return where the thread is
    /// one that the host can do without.
    pub exhausted: extern "C" fn(),
}

/// Where the host hears what components report. Called on whichever thread the component runs on.
pub trait Reports {
    fn level() -> u32;
    fn log(level: u32, target: &str, message: &str, fields: &str);
    fn panicked(message: &str, location: &str);
    /// The library has as much memory as it may have. By default it goes on.
    fn exhausted() {}
}

/// The table of a `Reports`.
pub fn host_table<R: Reports>() -> HostTableRef {
    Hosts::<R>::TABLE
}

struct Hosts<R>(PhantomData<R>);

impl<R: Reports> Hosts<R> {
    abi_stable::staticref! {
        const METADATA: abi_stable::prefix_type::WithMetadata<HostTable> =
            abi_stable::prefix_type::WithMetadata::new(HostTable {
                revision: REVISION,
                size: size_of::<HostTable>() as u32,
                level: level::<R>,
                log: log::<R>,
                panicked: panicked::<R>,
                exhausted: exhausted::<R>,
            });
    }
    const TABLE: HostTableRef = HostTableRef(Self::METADATA.as_prefix());
}

extern "C" fn level<R: Reports>() -> u32 {
    R::level()
}

extern "C" fn log<R: Reports>(level: u32, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>) {
    R::log(level, target.as_str(), message.as_str(), fields.as_str());
}

extern "C" fn panicked<R: Reports>(message: RStr<'_>, location: RStr<'_>) {
    R::panicked(message.as_str(), location.as_str());
}

extern "C" fn exhausted<R: Reports>() {
    R::exhausted();
}
