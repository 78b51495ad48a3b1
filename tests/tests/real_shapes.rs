//! GPT-2 small and SmolLM2-135M in their real shapes: the program `real-shapes` imports, verifies and runs them.

use std::process::Command;

#[test]
fn gpt2_small_and_smollm2_import_verify_and_run_within_the_memory_bound() {
    let output = Command::new(env!("CARGO_BIN_EXE_real-shapes")).output().expect("it runs");
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}{errors}");
    // Two models at two encodings, four checks each.
    assert!(out.ends_with("16 passed, 0 failed\n"), "{out}");
}
