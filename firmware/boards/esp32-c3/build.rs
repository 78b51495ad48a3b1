//! The linker script, which `esp-hal` writes.

fn main() {
    println!("cargo::rustc-link-arg=-Tlinkall.x");
}
