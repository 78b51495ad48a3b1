//! GPT-2 small and SmolLM2-135M in their real widths and vocabularies, but of two layers: the program `real-shapes`
//! imports, verifies and runs them. Without arguments, and optimised, it does all layers.

use std::process::Command;

#[test]
fn two_layers_of_real_shapes_import_verify_and_run_within_the_memory_bound() {
    let program = env!("CARGO_BIN_EXE_real-shapes");
    let output = Command::new(program).args(["--layers", "2"]).output().expect("it runs");
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}{errors}");
    // Two models; int8 and int4 with four checks each, f32 with three.
    assert!(out.ends_with("22 passed, 0 failed\n"), "{out}");
}
