//! Tells the source what stable Rust's `target_feature` does not: which cores have Arm's DSP extension, which nothing
//! but a multiplier, and which may have the vectors of 32-bit Arm.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(whit_dsp, whit_packed, whit_armv8m, whit_neon32)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    // Every Armv7E-M core has it; of Armv8-M Mainline some, which the feature must say.
    let is_armv8m = target.starts_with("thumbv8m.main") && std::env::var_os("CARGO_FEATURE_DSP").is_some();
    if is_armv8m {
        println!("cargo::rustc-cfg=whit_armv8m");
    }
    if is_armv8m || target.starts_with("thumbv7em") {
        println!("cargo::rustc-cfg=whit_dsp");
    }
    if target.starts_with("thumbv6m") || target.starts_with("riscv32") {
        println!("cargo::rustc-cfg=whit_packed");
    }
    // Whether there is NEON only Linux can tell, through a file.
    if target.starts_with("armv7-")
        && target.contains("linux")
        && std::env::var_os("CARGO_FEATURE_STD").is_some()
    {
        println!("cargo::rustc-cfg=whit_neon32");
    }
}
