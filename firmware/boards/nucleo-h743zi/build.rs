//! Memory and linker scripts.

fn main() {
    println!("cargo::rustc-link-search={}", std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    for script in ["link.x", "defmt.x"] {
        println!("cargo::rustc-link-arg=-T{script}");
    }
    println!("cargo::rerun-if-changed=memory.x");
}
