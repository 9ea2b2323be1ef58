//! Makes a library of a component: [`export_component!`](crate::export_component), and the shims behind its table.
//!
//! Each shim turns the boundary's types into Rust's, calls its safe counterpart in `boxed.rs`, and catches panics.

#![allow(unsafe_code)] // Our end of the boundary.

use std::panic::{AssertUnwindSafe, catch_unwind};

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};

use crate::abi::{
    ComponentTable, ComponentTableRef, DONE, FAULT, HostTableRef, PANIC, PANICKED, REVISION, RawEvent, Reply, Sink,
    UNCOUNTED,
};
use crate::boxed::{self, Boxed, Started};
use crate::component::{Component, Refusal, Time};
use crate::memory::Memory;
use crate::session::Fault;

/// Exports a component: its manifest in a section of the library, and the one symbol that the host looks for.
///
/// Name and version are the package's; a leading `tandem-` is left out of the name. Once in a library, whose crate type
/// is `cdylib`.
///
/// ```standalone_crate
/// use tandem_component::prelude::*;
///
/// struct Echo;
/// # #[derive(Serialize, Deserialize)]
/// # struct Conversation;
/// # impl Component for Echo {
/// #     type Config = ();
/// #     type Session = Conversation;
/// #     const POLICY: Policy = Policy::Carry;
/// #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Echo) }
/// #     fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> { Ok(Conversation) }
/// # }
/// # impl Session for Conversation {
/// #     type Component = Echo;
/// #     type Then = ();
/// #     fn handle(&mut self, _: &Echo, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> { Ok(()) }
/// #     fn at_boundary(&self) -> bool { true }
/// # }
/// // … its `Component` and its `Session` …
/// export_component!(Echo);
/// ```
///
/// # Memory
/// It also makes the library's `#[global_allocator]`: the system's, with a count of what is allocated and not freed, which the host
/// shows, holds against the limits of the configuration, and looks at before it unloads the library. A library can have only one, so
/// `#[global_allocator]` is not to be had beside it (the compiler says "cannot define multiple global allocators"):
/// - `export_component!(Echo, allocator = mimalloc::MiMalloc)` counts what that one allocates, where it is a unit struct;
/// - `export_component!(Echo, uncounted)` leaves the allocator to you. The host then shows that nothing is counted, and holds no limit.
///
/// What links the crates of several components, such as a fuzzer of them all, has them built with `--cfg tandem_driven`, which
/// leaves out what makes libraries of them.
#[macro_export]
macro_rules! export_component {
    ($component:ty $(,)?) => {
        $crate::export_component!($component, allocator = ::std::alloc::System);
    };
    ($component:ty, allocator = $allocator:path $(,)?) => {
        $crate::export_component!(@once);
        // Crates of components do not know of this condition: whoever links several of them says it.
        #[allow(unexpected_cfgs)]
        const _: () = {
            #[cfg(not(tandem_driven))]
            const _: () = {
                #[global_allocator]
                static ALLOCATOR: $crate::memory::Counted<$allocator> = $crate::memory::Counted::over($allocator);
                const MEMORY: ::core::option::Option<&$crate::memory::Memory> =
                    ::core::option::Option::Some(ALLOCATOR.memory());

        $crate::export_component!(@library $component, MEMORY);
            };
        };
    };
    ($component:ty, uncounted $(,)?) => {
        $crate::export_component!(@once);
        const _: () = {
    $crate::export_component!(@library $component, ::core::option::Option::None);
        };
    };
    (@library $component:ty, $memory:expr) => {
        const _: () = {
            const NAME: &str = $crate::manifest::name_of_package(env!("CARGO_PKG_NAME"));
            const VERSION: &str = env!("CARGO_PKG_VERSION");
            const LENGTH: usize = $crate::manifest::encoded_length::<Manifest>(NAME, VERSION);
            const _: () = $crate::declared::check::<Manifest>(env!("CARGO_PKG_NAME"), NAME);

            #[used]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".tandem"))]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,.tandem"))]
            static MANIFEST: [u8; LENGTH] = $crate::manifest::encode::<Manifest, LENGTH>(NAME, VERSION);

            struct Manifest;
            // The only place where the component is named: a mistake in it is told once.
            impl $crate::export::Exported for Manifest {
                type Component = $component;
                fn manifest() -> &'static [u8] {
                    // Through a volatile read of nothing: a linker may have patched the bytes since they were compiled.
                    ::std::hint::black_box(&MANIFEST)
                }
                fn memory() -> ::core::option::Option<&'static $crate::memory::Memory> {
                    $memory
                }
            }

            #[unsafe(no_mangle)]
            static tandem_component_root: $crate::abi::abi_stable::library::LibHeader =
                $crate::export::header::<Manifest>();
        };
    };
    // A name that can be there once: the compiler points at both.
    (@once) => {
        #[allow(dead_code, non_camel_case_types)] // It is there to be read in an error.
        struct export_component_is_said_once_in_a_library;
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "export_component! takes a component, as in `export_component!(Echo)`, then nothing, `allocator = PATH` or `uncounted`"
        );
    };
}

/// What `export_component!` says of a library.
pub trait Exported: 'static {
    /// The component.
    type Component: Component;

    /// The bytes of the manifest's section.
    fn manifest() -> &'static [u8];

    /// What its allocator has counted.
    fn memory() -> Option<&'static Memory>;
}

/// The header that the host finds under [`crate::abi::SYMBOL`].
pub const fn header<X: Exported>() -> LibHeader {
    // SAFETY: `root::<X>` returns a `ComponentTableRef`, erased by abi_stable's own function.
    unsafe { LibHeader::from_constructor::<ComponentTableRef>(root::<X>, CheckTypeLayout::Yes) }
}

/// The functions of a component that is compiled into the program that asks.
#[doc(hidden)] // For the simulation.
pub fn table<X: Exported>() -> ComponentTableRef {
    Table::<X>::ROOT
}

extern "C" fn root<X: Exported>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(|| Table::<X>::ROOT)
}

struct Table<X>(std::marker::PhantomData<X>);

impl<X: Exported> Table<X> {
    // A static: `leak_into_prefix` would lose some bytes at each load.
    abi_stable::staticref! {
        const METADATA: WithMetadata<ComponentTable> = WithMetadata::new(ComponentTable {
            revision: REVISION,
            size: size_of::<ComponentTable>() as u32,
            begin: begin::<X>,
            probe,
            manifest: manifest::<X>,
            start: start::<X::Component>,
            stop: stop::<X::Component>,
            open: open::<X::Component>,
            resume: resume::<X::Component>,
            export: export::<X::Component>,
            at_boundary: at_boundary::<X::Component>,
            handle: handle::<X::Component>,
            close: close::<X::Component>,
            memory: memory::<X>,
            limit_memory: limit_memory::<X>,
            open_for_request: open_for_request::<X::Component>,
        });
    }
    const ROOT: ComponentTableRef = ComponentTableRef(Self::METADATA.as_prefix());
}

extern "C" fn begin<X: Exported>(host: HostTableRef) {
    match X::memory() {
        Some(memory) => memory.leave_out(|| crate::report::begin(host)),
        None => crate::report::begin(host),
    }
}

extern "C" fn probe() -> bool {
    // `resume_unwind` does not call the panic hook: this panic is not news.
    catch_unwind(|| std::panic::resume_unwind(Box::new(()))).is_err()
}

extern "C" fn manifest<X: Exported>() -> RSlice<'static, u8> {
    RSlice::from_slice(X::manifest())
}

extern "C" fn start<C: Component>(starting: RSlice<'_, u8>, config: RSlice<'_, u8>, reply: &mut Reply<'_>) -> *mut () {
    made(reply, || boxed::start::<C>(starting.as_slice(), config.as_slice()))
}

unsafe extern "C" fn stop<C: Component>(component: *mut ()) {
    // SAFETY: the host passes what `start` of this table returned, once; no session of it is left (leases).
    let component = unsafe { Box::from_raw(component.cast::<Started<C>>()) };
    drop_quietly(component);
}

unsafe extern "C" fn open<C: Component>(
    component: *const (),
    opening: RSlice<'_, u8>,
    reply: &mut Reply<'_>,
) -> *mut () {
    // SAFETY: the host passes what `start` of this table returned and keeps it alive during the call; a `Component` is
    // `Sync`, so that several workers may.
    let component = unsafe { &*component.cast::<Started<C>>() };
    made(reply, || boxed::open(component, opening.as_slice()))
}

unsafe extern "C" fn open_for_request<C: Component>(
    component: *const (),
    service: RStr<'_>,
    session: u64,
    at: u64,
    reply: &mut Reply<'_>,
) -> *mut () {
    // SAFETY: as in `open`.
    let component = unsafe { &*component.cast::<Started<C>>() };
    made(reply, || boxed::open_for_request(component, service.as_str(), session, Time::from_nanos(at)))
}

unsafe extern "C" fn resume<C: Component>(
    component: *const (),
    opening: RSlice<'_, u8>,
    state: RSlice<'_, u8>,
    reply: &mut Reply<'_>,
) -> *mut () {
    // SAFETY: as in `open`.
    let component = unsafe { &*component.cast::<Started<C>>() };
    made(reply, || boxed::resume(component, opening.as_slice(), state.as_slice()))
}

unsafe extern "C" fn export<C: Component>(session: *const (), reply: &mut Reply<'_>) -> u32 {
    // SAFETY: the host passes what `open` or `resume` of this table returned, and no other call on it is under way.
    let session = unsafe { &*session.cast::<Boxed<C::Session>>() };
    // Few states are larger; growing to one step by step costs as much as writing it.
    let mut bytes = Vec::with_capacity(1024);
    match catch_unwind(AssertUnwindSafe(|| boxed::export(session, &mut bytes))) {
        Ok(Ok(())) => {
            reply.write(&bytes);
            DONE
        }
        Ok(Err(fault)) => refuse(reply, &fault),
        Err(payload) => {
            drop_quietly(payload);
            PANICKED
        }
    }
}

unsafe extern "C" fn at_boundary<C: Component>(session: *const ()) -> bool {
    // SAFETY: as in `export`.
    let session = unsafe { &*session.cast::<Boxed<C::Session>>() };
    catch_unwind(AssertUnwindSafe(|| boxed::at_boundary(session))).unwrap_or(false)
}

unsafe extern "C" fn handle<C: Component>(
    component: *const (),
    session: *mut (),
    event: &RawEvent<'_>,
    sink: &mut Sink<'_>,
    reply: &mut Reply<'_>,
) -> u32 {
    // SAFETY: as in `open`.
    let component = unsafe { &*component.cast::<Started<C>>() };
    // SAFETY: the host passes what `open` or `resume` of this table returned, and this is the only call on it.
    let session = unsafe { &mut *session.cast::<Boxed<C::Session>>() };
    match catch_unwind(AssertUnwindSafe(|| boxed::deliver(component, session, event, sink.reborrow()))) {
        Ok(Ok(())) => DONE,
        Ok(Err(fault)) => refuse(reply, &fault),
        Err(payload) => {
            drop_quietly(payload);
            PANICKED
        }
    }
}

unsafe extern "C" fn close<C: Component>(session: *mut ()) {
    // SAFETY: the host passes what `open` or `resume` of this table returned, once, and uses it no more.
    let session = unsafe { Box::from_raw(session.cast::<Boxed<C::Session>>()) };
    drop_quietly(session);
}

extern "C" fn memory<X: Exported>() -> u64 {
    X::memory().map_or(UNCOUNTED, Memory::live)
}

extern "C" fn limit_memory<X: Exported>(bytes: u64) {
    if let Some(memory) = X::memory() {
        memory.limit(bytes);
    }
}

/// Makes a pointer of what `make` returns; null with the reason in the reply when it refuses or panics.
fn made<T>(reply: &mut Reply<'_>, make: impl FnOnce() -> Result<T, Refusal>) -> *mut () {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(Ok(made)) => Box::into_raw(Box::new(made)).cast(),
        Ok(Err(refusal)) => {
            reply.write(refusal.to_string().as_bytes());
            std::ptr::null_mut()
        }
        Err(payload) => {
            drop_quietly(payload);
            reply.write(PANIC.as_bytes());
            std::ptr::null_mut()
        }
    }
}

fn refuse(reply: &mut Reply<'_>, fault: &Fault) -> u32 {
    reply.write(fault.to_string().as_bytes());
    FAULT
}

/// Drops a value whose destructor may panic: a panic payload, a session, a component.
fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // A payload whose own destructor panics as well is given up.
        std::mem::forget(payload);
    }
}
