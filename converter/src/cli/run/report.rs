//! What `whit run` reports beside the text: speed, memory, and why the text ended.

use crate::cli::output::bytes;
use crate::cli::table::pairs;
use whit::Finish;

/// What `--json` prints.
#[derive(serde::Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) prompt: String,
    pub(super) text: String,
    pub(super) prompt_tokens: usize,
    pub(super) generated_tokens: usize,
    pub(super) finish: &'static str,
    pub(super) stats: Stats,
}

/// Speed and memory of one run.
#[derive(serde::Serialize)]
pub(super) struct Stats {
    pub(super) backend: &'static str,
    pub(super) threads: usize,
    pub(super) cache: &'static str,
    pub(super) context: usize,
    pub(super) load_ms: f64,
    pub(super) prefill_tokens_per_s: f64,
    pub(super) decode_tokens_per_s: Option<f64>,
    pub(super) weight_bytes_per_token: u64,
    pub(super) arena_bytes: usize,
    pub(super) peak_rss_bytes: Option<u64>,
}

/// The finish as the report names it.
pub(super) fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::StopToken => "stop_token",
        Finish::StopString => "stop_string",
        Finish::MaxTokens => "max_tokens",
        Finish::ContextFull => "context_full",
    }
}

/// What `--stats` tells.
pub(super) fn stats_text(stats: &Stats, prompt: usize, generated: usize) -> String {
    let decode =
        stats.decode_tokens_per_s.map_or_else(|| "none".to_owned(), |speed| format!("{speed:.1} tokens/s"));
    let threads =
        if stats.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", stats.threads) };
    let lines = pairs(&[
        (
            "computed by",
            format!("{}, {threads}, {} cache, context {}", stats.backend, stats.cache, stats.context),
        ),
        ("load", format!("{:.3} ms", stats.load_ms)),
        ("prefill", format!("{:.1} tokens/s ({prompt} tokens)", stats.prefill_tokens_per_s)),
        ("decode", format!("{decode} ({generated} tokens)")),
        ("weights read", format!("{} a token", bytes(stats.weight_bytes_per_token))),
        ("session", bytes(stats.arena_bytes as u64)),
        ("peak memory", stats.peak_rss_bytes.map_or_else(|| "not known".to_owned(), bytes)),
    ]);
    format!("\n{lines}")
}
