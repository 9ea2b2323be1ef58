//! Leaves out what makes a library of a component: see `export_component!`.

fn main() {
    println!("cargo::rustc-cfg=tandem_driven");
    println!("cargo::rerun-if-changed=../build.rs");
}
