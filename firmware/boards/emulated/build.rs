//! The memory of the board that stands for the target.

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = env::var("TARGET")?;
    let board = match target.as_str() {
        "thumbv6m-none-eabi" => "microbit",
        "thumbv7em-none-eabihf" => "mps2",
        "thumbv8m.main-none-eabihf" => "mps2-an505",
        "riscv32imc-unknown-none-elf" => "virt",
        _ => return Err(format!("no emulated board stands for {target}").into()),
    };
    let out = env::var("OUT_DIR")?;
    fs::copy(format!("memory/{board}.x"), Path::new(&out).join("memory.x"))?;
    println!("cargo::rustc-check-cfg=cfg(board, values(\"microbit\", \"mps2\", \"mps2-an505\", \"virt\"))");
    println!("cargo::rustc-cfg=board={board:?}");
    println!("cargo::rustc-link-search={out}");
    if board == "virt" {
        println!("cargo::rustc-link-arg=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rerun-if-changed=memory");
    Ok(())
}
