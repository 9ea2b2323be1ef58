//! Exports from the host's executable the functions by which libraries leave things behind on threads.
//!
//! Unless they are exported, everything works but unloading: see `src/loader/threads/interpose.rs`, which defines them, and
//! `loader::threads::installed`, by which the running host finds out. Linkers that were tried export them by themselves,
//! because the C library defines them too; this does not leave it to them.

/// Defined in `src/loader/threads/interpose.rs`.
const EXPORTED: &[&str] = &["__cxa_thread_atexit_impl", "pthread_key_create", "pthread_key_delete", "pthread_create"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=tests");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for name in EXPORTED {
        println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
        // Cargo refuses arguments for test executables in a package that has none.
        if std::fs::read_dir("tests").is_ok_and(|mut entries| entries.next().is_some()) {
            println!("cargo::rustc-link-arg-tests=-Wl,--export-dynamic-symbol={name}");
        }
    }
}
