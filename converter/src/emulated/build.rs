//! Building the program that counts, and what its linker says of a model that is too large.

use super::needs::LINUX;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why there is no program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unbuilt {
    /// A region of memory is too small by so many bytes.
    Overflow(Region, u64),
    /// The compiler's words, or cargo's.
    Failed(String),
}

/// Memory of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// Where code and the model lie.
    Flash,
    /// Where statics and the stack lie; of a board without flash everything.
    Ram,
}

impl Region {
    const ALL: [(Self, &'static str); 2] = [(Self::Flash, "FLASH"), (Self::Ram, "RAM")];
}

/// The program with `model` in it for a board's `target`; `tokens` are those of the prompt and those decoded.
pub(super) fn image(
    checkout: &Path,
    target: &str,
    model: &Path,
    tokens: [usize; 2],
) -> Result<PathBuf, Unbuilt> {
    let mut cargo = cargo(&checkout.join("firmware"), target);
    cargo.args(["-p", "whit-emulated", "--features", "cost", "--bin", "cost"]);
    cargo.env("WHIT_MODEL", model);
    for (name, tokens) in ["WHIT_PROMPT_TOKENS", "WHIT_DECODE_TOKENS"].into_iter().zip(tokens) {
        cargo.env(name, tokens.to_string());
    }
    built(cargo)
}

/// The program for 64-bit Linux, which reads a model.
pub(super) fn program(checkout: &Path) -> Result<PathBuf, Unbuilt> {
    let mut cargo = cargo(checkout, LINUX);
    cargo.args(["-p", "whit-benches", "--bin", "counted_model"]);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    built(cargo)
}

/// The plugin of the emulator that counts its instructions, in `folder`.
pub(super) fn counter(checkout: &Path, folder: &Path) -> Result<PathBuf, Unbuilt> {
    let counter = folder.join("counter.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&counter);
    let output = compiler.arg(checkout.join("benches/instructions/counter.c")).output();
    let output = output.map_err(|error| Unbuilt::Failed(format!("cc: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(counter) } else { Err(Unbuilt::Failed(format!("cc: {said}"))) }
}

/// Says on stderr what it compiles, as cargo does; errors come as JSON.
fn cargo(folder: &Path, target: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).args(["build", "--release", "--message-format=json", "--target", target]);
    cargo.stdin(Stdio::null()).stderr(Stdio::inherit());
    cargo
}

fn built(mut cargo: Command) -> Result<PathBuf, Unbuilt> {
    let output = cargo.output().map_err(|error| Unbuilt::Failed(format!("cargo: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = messages.iter().filter_map(|message| message["executable"].as_str()).next_back();
    match program {
        Some(program) if output.status.success() => Ok(program.into()),
        _ => Err(unbuilt(&messages)),
    }
}

/// What the compiler's messages say.
fn unbuilt(messages: &[Value]) -> Unbuilt {
    let errors = messages.iter().map(|message| &message["message"]).filter(|said| said["level"] == "error");
    let said: String = errors.filter_map(|said| said["rendered"].as_str()).collect();
    overflow(&said)
        .unwrap_or_else(|| Unbuilt::Failed(format!("the program that counts cannot be built\n{said}")))
}

/// Of what a linker says, LLVM's or GNU's, the region that is too small: the largest excess if it is said more than once.
fn overflow(said: &str) -> Option<Unbuilt> {
    let of_line = |line: &str| {
        let (before, after) = line.split_once("overflowed by ")?;
        let excess = after.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()?;
        let (region, _) = Region::ALL.into_iter().find(|(_, name)| {
            before.contains(&format!("'{name}'")) || before.contains(&format!("`{name}'"))
        })?;
        Some((excess, region))
    };
    let (excess, region) = said.lines().filter_map(of_line).max_by_key(|&(excess, _)| excess)?;
    Some(Unbuilt::Overflow(region, excess))
}

/// Bytes of a region in a linker script: `FLASH : ORIGIN = 0x00000000, LENGTH = 256K`. A board without flash has all of
/// it in its RAM.
pub(super) fn available(script: &str, region: Region) -> Option<u64> {
    let length = |name: &str| {
        let is_it = |line: &&str| line.split(':').next().is_some_and(|before| before.trim() == name);
        let (_, length) = script.lines().find(is_it)?.split_once("LENGTH =")?;
        let digits = length.trim().trim_end_matches(['K', 'M']);
        let unit = if length.trim().ends_with('M') { 1 << 20 } else { 1 << 10 };
        Some(digits.parse::<u64>().ok()? * unit)
    };
    match region {
        Region::Flash => length("FLASH").or_else(|| length("RAM")),
        Region::Ram => length("RAM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_overflow_is_read_from_what_the_linker_says() {
        let rendered = "error: linking with `rust-lld` failed\n  = note: rust-lld: error: section '.rodata' will not \
                        fit in region 'FLASH': overflowed by 12 bytes\n  rust-lld: error: section '.data' will not fit \
                        in region 'FLASH': overflowed by 9340 bytes\n";
        let messages =
            [json!({"reason": "compiler-message", "message": {"level": "error", "rendered": rendered}})];
        assert_eq!(unbuilt(&messages), Unbuilt::Overflow(Region::Flash, 9340));
        let gnu = "region `RAM' overflowed by 77 bytes";
        assert_eq!(overflow(gnu), Some(Unbuilt::Overflow(Region::Ram, 77)));
    }

    #[test]
    fn any_other_error_is_passed_on() {
        let message =
            |level: &str| json!({"message": {"level": level, "rendered": format!("the {level}\n")}});
        let Unbuilt::Failed(said) = unbuilt(&[message("warning"), message("error")]) else {
            panic!("nothing overflowed")
        };
        assert!(said.contains("the error") && !said.contains("the warning"), "{said}");
    }

    #[test]
    fn the_memory_of_every_board_is_read_from_its_script() {
        let both = "MEMORY\n{\n  FLASH : ORIGIN = 0x00000000, LENGTH = 256K\n  RAM : ORIGIN = 0x20000000, LENGTH = 16K\n}";
        assert_eq!(available(both, Region::Flash), Some(256 * 1024));
        assert_eq!(available(both, Region::Ram), Some(16 * 1024));
        let one = "  RAM : ORIGIN = 0x80000000, LENGTH = 64M";
        assert_eq!(available(one, Region::Flash), Some(64 * 1024 * 1024));
        assert_eq!(available("MEMORY", Region::Ram), None);
    }
}
