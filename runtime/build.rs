//! Tells the source which cores have Arm's DSP extension, which stable Rust's `target_feature` does not.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(whit_dsp, whit_dsp_alone, whit_armv8m)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    let has_feature = |name| std::env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    // Every Armv7E-M core has it; of Armv8-M Mainline some, which the feature must say.
    let is_armv8m = target.starts_with("thumbv8m.main") && has_feature("DSP");
    if is_armv8m {
        println!("cargo::rustc-cfg=whit_armv8m");
    }
    if is_armv8m || target.starts_with("thumbv7em") {
        println!("cargo::rustc-cfg=whit_dsp");
        // A device cannot choose: the definition is there only where it is compared with.
        if !has_feature("CONFORMANCE") {
            println!("cargo::rustc-cfg=whit_dsp_alone");
        }
    }
}
