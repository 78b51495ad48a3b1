//! Instructions of each operation of the Arm backends, counted in an emulator: the same on every machine.
//!
//! `cargo run --release -p whit-benches --bin instructions [-- [aarch64] [armv7] [--json] [--check]]` builds `counted` for each
//! core, or those named, compiles the counter (`instructions/counter.c`), runs both in QEMU and prints a table, or one line of
//! JSON for each operation; `--check` fails where a product takes more than the core's bars. It needs QEMU 7.2's `qemu-aarch64`
//! and `qemu-arm` (Debian: `qemu-user`), a C compiler, for Armv7 one that links for it, and the targets of rustup.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

/// A core, and what it takes to count on it.
struct Core {
    name: &'static str,
    target: &'static str,
    /// How `cargo` links for the target.
    linking: &'static [&'static str],
    emulator: &'static str,
    /// A model that has every backend.
    cpu: &'static str,
    /// The number of the system call `sched_yield`.
    sched_yield: u32,
    /// Backend, weights, tokens, and the most instructions for a product with at least so many columns.
    bars: &'static [(&'static str, &'static str, usize, usize, f64)],
}

const CORES: [Core; 2] = [
    Core {
        name: "aarch64",
        target: "aarch64-unknown-linux-musl",
        // musl and the linker are part of the Rust target: no C cross compiler.
        linking: &["target.aarch64-unknown-linux-musl.linker='rust-lld'"],
        emulator: "qemu-aarch64",
        cpu: "max",
        sched_yield: 124,
        // Of int4 the call and the end of each row block weigh too much in narrower matrices.
        bars: &[
            ("neon", "int8", 1, 64, 0.32),
            ("dotprod", "int8", 1, 64, 0.17),
            ("dotprod", "int4 g32", 1, 288, 0.2),
            ("i8mm", "int8", 32, 64, 0.132),
            ("i8mm", "int8", 32, 288, 0.07),
            ("i8mm", "int4 g32", 32, 64, 0.17),
            ("i8mm", "int4 g32", 32, 288, 0.098),
        ],
    },
    Core {
        name: "armv7",
        target: "armv7-unknown-linux-gnueabihf",
        linking: &[
            "target.armv7-unknown-linux-gnueabihf.linker='arm-linux-gnueabihf-gcc'",
            "target.armv7-unknown-linux-gnueabihf.rustflags=['-Ctarget-feature=+crt-static']",
        ],
        emulator: "qemu-arm",
        cpu: "cortex-a7",
        sched_yield: 158,
        bars: &[
            ("neon32", "int8", 1, 64, 0.345),
            ("neon32", "int8", 1, 128, 0.29),
            ("neon32", "int8", 1, 288, 0.26),
            ("neon32", "int4 g32", 1, 64, 0.41),
            ("neon32", "int4 g32", 1, 128, 0.36),
            ("neon32", "int4 g32", 1, 288, 0.295),
        ],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let asked = |argument: &str| std::env::args().any(|other| other == argument);
    let any = CORES.iter().any(|core| asked(core.name));
    for core in CORES.iter().filter(|core| asked(core.name) || !any) {
        let operations = core.count()?;
        if asked("--json") {
            operations.iter().for_each(|operation| println!("{}", operation.json(core)));
        } else {
            table(&operations);
        }
        if asked("--check") {
            core.check(&operations)?;
        }
    }
    Ok(())
}

impl Core {
    /// Builds, runs and counts.
    fn count(&self) -> Result<Vec<Operation>, Box<dyn Error>> {
        let &Self { name, target, linking, emulator, cpu, sched_yield, .. } = self;
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder =
            std::env::current_exe()?.parent().and_then(Path::parent).ok_or("no target folder")?.to_owned();
        let counter = folder.join(format!("counter-{name}.so"));
        let mut compile = Command::new("cc");
        compile.args(["-O2", "-shared", "-fPIC", &format!("-DSCHED_YIELD={sched_yield}"), "-o"]);
        output(compile.arg(&counter).arg(here.join("instructions/counter.c")))?;
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(here).args(["build", "--release", "--bin", "counted", "--target", target]);
        linking.iter().for_each(|setting| _ = build.args(["--config", setting]));
        output(build.arg("--target-dir").arg(&folder))?;
        let mut emulate = Command::new(emulator);
        emulate.args(["-cpu", cpu, "-plugin"]).arg(&counter);
        let (names, counts) = output(emulate.arg(folder.join(target).join("release/counted")))?;
        operations(&names, &counts)
    }

    /// An error that names what takes more than the bars, or that there was nothing to compare.
    fn check(&self, operations: &[Operation]) -> Result<(), Box<dyn Error>> {
        for &(backend, name, tokens, narrowest, most) in self.bars {
            let mut measured = operations
                .iter()
                .filter(|o| {
                    o.backend == backend && o.name == name && o.tokens == tokens && o.cols >= narrowest
                })
                .peekable();
            measured.peek().ok_or_else(|| format!("{backend} {name}: nothing was counted"))?;
            if let Some(o) = measured.find(|o| o.each() > most) {
                let (rows, cols, each) = (o.rows, o.cols, o.each());
                return Err(format!(
                    "{backend} {name} {rows} × {cols}, {tokens} tokens: {each:.4} for a product, at most {most}"
                )
                .into());
            }
        }
        Ok(())
    }
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

    fn json(&self, core: &Core) -> String {
        let core = core.name;
        let Self { backend, name, rows, cols, tokens, instructions } = self;
        let each = self.each();
        format!(
            r#"{{"core":"{core}","backend":"{backend}","operation":"{name}","rows":{rows},"cols":{cols},"tokens":{tokens},"instructions":{instructions},"each":{each:.4}}}"#
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
