//! Instructions of each operation of the AArch64 backends, counted in an emulator: the same on every machine.
//!
//! `cargo run --release -p whit-benches --bin instructions [-- --json] [--check]` builds `counted` for AArch64, compiles
//! the counter (`instructions/counter.c`), runs both in QEMU as a Cortex-A76, which has every backend, and prints a table,
//! or one line of JSON for each operation; `--check` fails where one token takes more than [`BARS`]. It needs QEMU 7.2's `qemu-aarch64` (Debian: `qemu-user`), a C compiler and
//! `rustup target add aarch64-unknown-linux-musl`.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

const TARGET: &str = "aarch64-unknown-linux-musl";

/// Most instructions for a product of one token with at least [`WIDE`] columns.
const BARS: [(&str, &str, f64); 3] =
    [("neon", "int8", 0.32), ("dotprod", "int8", 0.17), ("dotprod", "int4 g32", 0.22)];

/// In narrower matrices the call and the end of each row block weigh as much as the products.
const WIDE: usize = 288;

fn main() -> Result<(), Box<dyn Error>> {
    let asked = |flag| std::env::args().any(|argument| argument == flag);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target =
        std::env::current_exe()?.parent().and_then(Path::parent).ok_or("no target folder")?.to_owned();
    let counter = target.join("counter.so");
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&counter).arg(here.join("instructions/counter.c"));
    output(&mut compile)?;
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(here).args([
        "build",
        "--release",
        "--bin",
        "counted",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    // musl and the linker are part of the Rust target: no C cross compiler.
    build.arg(&target).env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    output(&mut build)?;
    let mut emulate = Command::new("qemu-aarch64");
    emulate.args(["-cpu", "cortex-a76", "-plugin"]).arg(&counter);
    let (names, counts) = output(emulate.arg(target.join(TARGET).join("release/counted")))?;
    let operations = operations(&names, &counts)?;
    if asked("--json") {
        operations.iter().for_each(|operation| println!("{}", operation.json()));
    } else {
        table(&operations);
    }
    if asked("--check") { check(&operations) } else { Ok(()) }
}

/// An error that names what takes more than [`BARS`], or that there was nothing to compare.
fn check(operations: &[Operation]) -> Result<(), Box<dyn Error>> {
    for (backend, name, most) in BARS {
        let mut measured = operations
            .iter()
            .filter(|o| o.backend == backend && o.name == name && o.tokens == 1 && o.cols >= WIDE)
            .peekable();
        measured.peek().ok_or_else(|| format!("{backend} {name}: nothing was counted"))?;
        if let Some(o) = measured.find(|o| o.each() > most) {
            let (rows, cols, each) = (o.rows, o.cols, o.each());
            return Err(
                format!("{backend} {name} {rows} × {cols}: {each:.4} for a product, at most {most}").into()
            );
        }
    }
    Ok(())
}

/// What a program writes to standard output and error; an error with both if it fails.
fn output(command: &mut Command) -> Result<(String, String), Box<dyn Error>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    let (out, err) = (String::from_utf8(ran.stdout)?, String::from_utf8(ran.stderr)?);
    if ran.status.success() { Ok((out, err)) } else { Err(format!("{program}: {out}{err}").into()) }
}

/// One operation, counted.
struct Operation {
    backend: String,
    /// An encoding of weights, or an operation on one vector.
    name: String,
    rows: usize,
    cols: usize,
    tokens: usize,
    instructions: u64,
}

impl Operation {
    /// Instructions for each product, or for each element of a vector.
    fn each(&self) -> f64 {
        self.instructions as f64 / (self.rows * self.cols * self.tokens) as f64
    }

    fn json(&self) -> String {
        let Self { backend, name, rows, cols, tokens, instructions } = self;
        let each = self.each();
        format!(
            r#"{{"backend":"{backend}","operation":"{name}","rows":{rows},"cols":{cols},"tokens":{tokens},"instructions":{instructions},"each":{each:.4}}}"#
        )
    }
}

/// Each line of `names` with its three lines of `counts`.
fn operations(names: &str, counts: &str) -> Result<Vec<Operation>, Box<dyn Error>> {
    let counts: Vec<u64> = counts.lines().map(str::parse).collect::<Result<_, _>>()?;
    if counts.len() != 3 * names.lines().count() {
        return Err("the counter did not see every operation".into());
    }
    names
        .lines()
        .zip(counts.as_chunks::<3>().0)
        .map(|(line, [_, calls, all])| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [backend, name, rows, cols, tokens] = fields[..] else {
                return Err(format!("not an operation: {line}").into());
            };
            let (backend, name) = (backend.to_owned(), name.to_owned());
            let (rows, cols, tokens) = (rows.parse()?, cols.parse()?, tokens.parse()?);
            Ok(Operation { backend, name, rows, cols, tokens, instructions: all - calls })
        })
        .collect()
}

/// A line for each operation, a column for each backend: instructions for each product, element of a vector, or token.
fn table(operations: &[Operation]) {
    let mut backends: Vec<&str> = operations.iter().map(|operation| operation.backend.as_str()).collect();
    backends.dedup();
    println!("| operation | rows × columns | tokens | {} |", backends.join(" | "));
    println!("|---|---:|---:|{}", "---:|".repeat(backends.len()));
    let first: Vec<_> = operations.iter().filter(|operation| operation.backend == backends[0]).collect();
    for line in first {
        let Operation { name, rows, cols, tokens, .. } = line;
        print!("| {name} | {rows} × {cols} | {tokens} |");
        for backend in &backends {
            let same = |other: &&Operation| {
                other.backend == *backend
                    && (&other.name, other.rows, other.cols, other.tokens) == (name, *rows, *cols, *tokens)
            };
            match operations.iter().find(same) {
                Some(operation) => print!(" {:.3} |", operation.each()),
                None => print!(" |"),
            }
        }
        println!();
    }
}
