//! `whit bench --on`: what models cost on cores that are not here.

use super::super::table::{pairs, table};
use super::markdown;
use super::text::number;
use crate::cli::failure::Failure;
use crate::cli::output::{bytes, grouped, note, print, print_json};
use crate::cli::progress::Progress;
use crate::emulated::{Core, Product, Report, Step, Tokens, count};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use std::path::{Path, PathBuf};

/// Which cores, and where the programs for them are.
#[derive(Debug, clap::Args)]
pub(super) struct OnArgs {
    /// Count instructions on other cores, emulated, instead of measuring this machine
    ///
    /// Instructions for a token and for a product of each kind of matrix, and the memory of the program. The same numbers on
    /// every machine; no time, for cores take more than one cycle for some instructions. Programs with the
    /// model are built from the sources of whit; what is missing for that is said, with exit code 4.
    #[arg(
        long = "on",
        value_name = "CORE,…",
        value_delimiter = ',',
        conflicts_with_all = [
            "threads", "context", "batch", "repeats", "spread", "max_time", "cache", "seed", "backend", "energy",
            "energy_model", "plot", "require_stable", "compare"
        ]
    )]
    pub(super) cores: Vec<Core>,
    /// With --on, also say how many tokens a second that is if every instruction took a cycle: 64MHz, 1.5GHz
    #[arg(long, value_name = "FREQUENCY", requires = "cores", value_parser = hertz)]
    clock: Option<f64>,
    /// With --on, the folder `firmware` of the sources; by default the one around the current folder, or around this program
    #[arg(long, value_name = "DIR", requires = "cores")]
    firmware: Option<PathBuf>,
}

impl ValueEnum for Core {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describes()))
    }
}

/// How many tokens, unless that is said: few, since one costs the same as the next.
pub(super) const TOKENS: [usize; 2] = [16, 16];

pub(super) fn run(files: &[PathBuf], on: &OnArgs, tokens: Tokens, form: Form) -> Result<(), Failure> {
    let mut reports = Vec::new();
    for file in files {
        for &core in &on.cores {
            let mut report = one(file, core, tokens, on.firmware.as_deref())?;
            if let Some(hz) = on.clock {
                report.at_clock(hz);
            }
            if form == Form::Text {
                print(text(&report))?;
            }
            reports.push(report);
        }
    }
    match form {
        Form::Text => print(footnote(&reports)),
        Form::Json => print_json(&reports),
        Form::Markdown => print(in_markdown(&reports)),
    }
}

/// How reports are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Markdown,
}

fn one(file: &Path, core: Core, tokens: Tokens, firmware: Option<&Path>) -> Result<Report, Failure> {
    let mut progress = Progress::new("count");
    let report = count(file, core, tokens, firmware, |step| match step {
        Step::Building(target) => note(format_args!("{}: building for {target}", core.name())),
        Step::Counting(done, all) => progress.set(done as u64, all as u64),
    });
    drop(progress);
    Ok(report?)
}

/// A frequency in Hz: `64MHz`, `1.5 GHz`, `32768`.
fn hertz(text: &str) -> Result<f64, String> {
    let lower = text.trim().to_lowercase();
    let number = lower.strip_suffix("hz").unwrap_or(&lower).trim_end();
    let units = [("k", 1e3), ("m", 1e6), ("g", 1e9), ("", 1.0)];
    let split = units.into_iter().find_map(|(letter, unit)| Some((number.strip_suffix(letter)?, unit)));
    let hz = split.and_then(|(digits, unit)| Some(digits.trim_end().parse::<f64>().ok()? * unit));
    hz.filter(|hz| (1.0..=1e12).contains(hz))
        .ok_or_else(|| "expected a frequency, 64MHz for instance".to_owned())
}

fn text(r: &Report) -> String {
    let board = r.board.map_or_else(String::new, |board| format!(" ({board})"));
    let mut lines = vec![
        ("computed by", format!("{}, batches of {}", r.backend, r.batch)),
        ("decode", each(r.decode_instructions_per_token, r.decode_tokens)),
        ("prompt", each(r.prompt_instructions_per_token, r.prompt_tokens)),
        (
            "products",
            format!(
                "{:.0} % of a decoded token: {} multiplications",
                100.0 * r.product_share,
                grouped(r.decode_macs_per_token)
            ),
        ),
    ];
    if let (Some(hz), Some(speed)) = (r.clock_hz, r.tokens_per_s_at_an_instruction_a_cycle) {
        let speed = number(speed);
        let line = format!("{speed} tokens/s if every instruction took a cycle; not measured");
        lines.push(("clock", format!("{} MHz: {line}", number(hz / 1e6))));
    }
    lines.push(("memory", memory(r)));
    let rows: Vec<_> = r.products.iter().map(|product| row(r, product)).collect();
    format!(
        "{} ({}) on {}{board}\n{}\n{}\n",
        r.file,
        bytes(r.file_bytes),
        r.core,
        pairs(&lines),
        table(&HEAD, &rows)
    )
}

fn each(instructions: f64, tokens: u64) -> String {
    format!("{} instructions a token ({tokens} tokens)", grouped(instructions.round() as u64))
}

fn memory(r: &Report) -> String {
    let arena = grouped(r.arena_bytes as u64);
    let Some(m) = &r.memory else { return format!("arena {arena} B") };
    format!(
        "arena {arena} B, other statics {} B, stack {} B, of {}; code and tables {} B and the model, of {}",
        grouped(m.statics_bytes.saturating_sub(r.arena_bytes as u64)),
        grouped(m.stack_bytes),
        bytes(m.ram_bytes),
        grouped(m.code_bytes),
        bytes(m.flash_bytes)
    )
}

const HEAD: [&str; 7] =
    ["backend", "weights", ">rows × columns", ">matrices", ">instructions", ">each product", ">of a token"];

fn row(report: &Report, product: &Product) -> Vec<String> {
    let wide = if product.activation_bits == Some(16) { ", a16" } else { "" };
    let share = (product.matrices * product.instructions) as f64 / report.decode_instructions_per_token;
    let share =
        if product.backend == report.backend { format!("{:.1} %", 100.0 * share) } else { "–".to_owned() };
    vec![
        product.backend.clone(),
        format!("{}{wide}", product.weights),
        format!("{} × {}", product.rows, product.cols),
        product.matrices.to_string(),
        grouped(product.instructions),
        format!("{:.3}", product.instructions_per_mac),
        share,
    ]
}

fn footnote(reports: &[Report]) -> String {
    let Some(report) = reports.first() else { return String::new() };
    let mut emulators: Vec<&str> = reports.iter().filter_map(|report| report.emulator.as_deref()).collect();
    emulators.dedup();
    format!(
        "instructions, not cycles; counted by {}\nwhit {} ({}), {}\n",
        emulators.join(" and "),
        report.version,
        report.commit,
        report.date
    )
}

fn in_markdown(reports: &[Report]) -> String {
    let head = ["model", "core", "decode", "prompt", "products", "arena", "stack", "code and tables"];
    let summary = |r: &Report| {
        let of = |value: fn(&crate::emulated::Memory) -> u64| {
            r.memory.as_ref().map_or_else(|| "–".to_owned(), |memory| grouped(value(memory)))
        };
        vec![
            markdown::file_name(&r.file),
            r.core.to_owned(),
            grouped(r.decode_instructions_per_token.round() as u64),
            grouped(r.prompt_instructions_per_token.round() as u64),
            format!("{:.0} %", 100.0 * r.product_share),
            grouped(r.arena_bytes as u64),
            of(|memory| memory.stack_bytes),
            of(|memory| memory.code_bytes),
        ]
    };
    let mut text = markdown::rows(&head, reports.iter().map(summary));
    for report in reports {
        text += &format!("\n**{}** on {}:\n\n", markdown::file_name(&report.file), report.core);
        let head = HEAD.map(|name| name.trim_start_matches('>'));
        text += &markdown::rows(&head, report.products.iter().map(|product| row(report, product)));
    }
    for report in reports {
        if let (Some(hz), Some(speed)) = (report.clock_hz, report.tokens_per_s_at_an_instruction_a_cycle) {
            let (core, mhz, speed) = (report.core, number(hz / 1e6), number(speed));
            text += &format!(
                "\n{core} at {mhz} MHz: {speed} tokens/s if every instruction took a cycle; not measured\n"
            );
        }
    }
    format!("{text}\n{}", footnote(reports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_in_any_unit() {
        let cases = [
            ("64MHz", 64e6),
            ("1.5 GHz", 1.5e9),
            ("125mhz", 125e6),
            ("32.768kHz", 32768.0),
            ("100M", 1e8),
            ("480000000", 48e7),
        ];
        for (text, hz) in cases {
            assert_eq!(hertz(text), Ok(hz), "{text}");
        }
        for text in ["", "MHz", "-1MHz", "64MHzz", "nan", "0", "1e30", "6 4MHz", "64kMHz"] {
            assert!(hertz(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_clock_gives_is_never_called_measured() {
        let mut report =
            Report { core: "cortex-m4", decode_instructions_per_token: 1e6, ..Report::default() };
        assert!(!text(&report).contains("tokens/s"));
        report.at_clock(64e6);
        for text in [text(&report), in_markdown(&[report])] {
            let line = text.lines().find(|line| line.contains("64.0 tokens/s"));
            assert!(line.is_some_and(|line| line.contains("not measured")), "{text}");
        }
    }
}
