//! Leaves the allocators out that the components bring: see `export_component!`.

fn main() {
    println!("cargo::rustc-cfg=tandem_uncounted");
    println!("cargo::rerun-if-changed=../build.rs");
}
