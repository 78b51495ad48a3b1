//! `whit bench`: how fast files run here.

use super::compute::{BATCH, BackendArg, Cache};
use super::failure::Failure;
use super::output::{bytes, print, print_json};
use super::progress::Progress;
use super::table::pairs;
use crate::bench::{Options, Report, bench};
use clap::value_parser;
use std::path::PathBuf;

/// Measure how fast files run on this machine, and how much of its read bandwidth they use
///
/// Prefill reads a prompt; decode computes single tokens from an empty context on, with the logits of each. Tokens are
/// pseudo-random. Every number is the median of the repeats, after one run that is not counted.
///
/// JSON: an array with an object for each file; keys: file, file_bytes, backend, cache, threads, seed, repeats,
/// prompt_tokens, decode_tokens, batch, load_ms, prefill_tokens_per_s, prefill_tokens_per_cpu_s, decode_tokens_per_s,
/// decode_tokens_per_cpu_s, weight_bytes_per_token, gb_per_s, read_bandwidth_gb_per_s, bandwidth_share, arena_bytes,
/// peak_rss_bytes (of the process so far).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Threads that share the work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Length of the prompt; at most the model's context is used
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = value_parser!(u32).range(1..=131_071))]
    prompt_tokens: u32,
    /// Tokens to decode; at most the model's context is used
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = value_parser!(u32).range(1..=131_071))]
    decode_tokens: u32,
    /// Tokens in one pass over the weights, in prefill
    #[arg(long, value_name = "N", default_value_t = BATCH as u16, value_parser = value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Kind of key and value cache; by default the file's own
    #[arg(long, value_name = "KIND")]
    cache: Option<Cache>,
    /// Names the pseudo-random tokens
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArg,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let options = Options {
        threads: usize::from(args.threads),
        prompt_tokens: args.prompt_tokens as usize,
        decode_tokens: args.decode_tokens as usize,
        batch: usize::from(args.batch),
        repeats: usize::from(args.repeats),
        backend: args.backend.backend()?,
        cache: args.cache.map(whit::CacheKind::from),
        seed: args.seed,
    };
    let mut reports = Vec::new();
    for file in &args.files {
        let mut progress = Progress::new("bench");
        let report = bench(file, &options, |done, total| progress.set(done as u64, total as u64))?;
        drop(progress);
        if !args.json {
            print(text(&report))?;
        }
        reports.push(report);
    }
    if args.json { print_json(&reports) } else { Ok(()) }
}

fn text(report: &Report) -> String {
    let speed = |tokens: usize, wall: f64, cpu: Option<f64>| {
        let cpu = cpu.map_or_else(String::new, |cpu| format!(", {cpu:.1} per CPU second"));
        format!("{wall:.1} tokens/s{cpu} ({tokens} tokens)")
    };
    let r = report;
    let threads = if r.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", r.threads) };
    let lines = [
        ("computed by", format!("{}, {threads}, {} cache, batches of {}", r.backend, r.cache, r.batch)),
        ("load", format!("{:.3} ms", r.load_ms)),
        ("prefill", speed(r.prompt_tokens, r.prefill_tokens_per_s, r.prefill_tokens_per_cpu_s)),
        ("decode", speed(r.decode_tokens, r.decode_tokens_per_s, r.decode_tokens_per_cpu_s)),
        (
            "weights read",
            format!(
                "{} a token, {:.2} GB/s: {:.0} % of the {:.2} GB/s that reading alone reaches",
                bytes(r.weight_bytes_per_token),
                r.gb_per_s,
                100.0 * r.bandwidth_share,
                r.read_bandwidth_gb_per_s
            ),
        ),
        ("session", bytes(r.arena_bytes as u64)),
        ("peak memory", r.peak_rss_bytes.map_or_else(|| "not known".to_owned(), bytes)),
    ];
    let note = format!("  medians of {}, seed {}\n", r.repeats, r.seed);
    format!("{} ({})\n{}{note}", r.file, bytes(r.file_bytes), pairs(&lines))
}
