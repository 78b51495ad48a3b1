//! Tells the source which cores have Arm's DSP extension, which stable Rust's `target_feature` does not.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(whit_dsp, whit_armv8m)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    // Every Armv7E-M core has it; of Armv8-M Mainline some, which the feature must say.
    if target.starts_with("thumbv7em") {
        println!("cargo::rustc-cfg=whit_dsp");
    } else if target.starts_with("thumbv8m.main") && std::env::var_os("CARGO_FEATURE_DSP").is_some() {
        println!("cargo::rustc-cfg=whit_dsp");
        println!("cargo::rustc-cfg=whit_armv8m");
    }
}
