//! Reports as Markdown: one table for all files, one for each sweep, and what they stand on.

use super::scaling;
use super::text::{figure, number, state, variant};
use crate::bench::report::{Report, Variant};
use crate::bench::scaling::BANDWIDTH_SHARE;
use crate::cli::output::bytes;
use std::path::Path;

/// All reports of a command.
pub(super) fn reports(reports: &[Report]) -> String {
    let mut text = rows(&HEAD, reports.iter().map(row));
    text += "\n";
    text += &rows(&MORE, reports.iter().map(more));
    for report in reports {
        if !report.contexts.is_empty() {
            text += &format!("\n**{}**, decode by context:\n\n", name(report));
            text += &rows(&["context", "tokens/s", "per CPU second", "p50 ms", "p99 ms"], contexts(report));
        }
        for sweep in [&report.thread_sweep, &report.backend_sweep] {
            text += &variants(report, sweep);
        }
        text += &scaling::markdown(report);
    }
    text + &footnotes(reports)
}

const HEAD: [&str; 9] = [
    "model",
    "backend",
    "threads",
    "prefill tokens/s",
    "per CPU second",
    "decode tokens/s",
    "per CPU second",
    "of read bandwidth",
    "of integer peak",
];

const MORE: [&str; 9] = [
    "model",
    "token p50 ms",
    "p95 ms",
    "p99 ms",
    "load ms",
    "first token ms",
    "process to first token ms",
    "to token 64 ms",
    "peak memory",
];

/// A table; columns but the first are aligned to the right.
pub(in crate::cli) fn rows(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rule: Vec<String> =
        (0..head.len()).map(|col| if col == 0 { "---" } else { "---:" }.to_owned()).collect();
    line(&head) + &line(&rule) + &rows.into_iter().map(|row| line(&row)).collect::<String>()
}

fn name(report: &Report) -> String {
    file_name(&report.file)
}

/// A path without its folders.
pub(super) fn file_name(file: &str) -> String {
    Path::new(file).file_name().map_or_else(|| file.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn row(r: &Report) -> Vec<String> {
    let optional = |key: &str, value: Option<f64>| value.map_or_else(none, |value| figure(r, key, value, ""));
    let share = |share: f64, key: &str| format!("{:.0} %{}", 100.0 * share, r.stability.mark(key));
    vec![
        name(r),
        r.backend.clone(),
        r.threads.to_string(),
        figure(r, "prefill_tokens_per_s", r.prefill_tokens_per_s, ""),
        optional("prefill_tokens_per_cpu_s", r.prefill_tokens_per_cpu_s),
        figure(r, "decode_tokens_per_s", r.decode_tokens_per_s, ""),
        optional("decode_tokens_per_cpu_s", r.decode_tokens_per_cpu_s),
        share(r.bandwidth_share, BANDWIDTH_SHARE),
        r.integer_peak_share.map_or_else(none, |peak| share(peak, "prefill_tokens_per_s")),
    ]
}

fn more(r: &Report) -> Vec<String> {
    let latency = |ms: f64| number(ms) + r.stability.mark("decode_tokens_per_s");
    let start = |key: &str, of: fn(&crate::bench::report::Start) -> f64| {
        r.start.as_ref().map_or_else(none, |start| figure(r, key, of(start), ""))
    };
    vec![
        name(r),
        latency(r.latency_ms.p50),
        latency(r.latency_ms.p95),
        latency(r.latency_ms.p99),
        figure(r, "load_ms", r.load_ms, ""),
        figure(r, "first_token_ms", r.first_token_ms, ""),
        start("start_first_token_ms", |start| start.first_token_ms),
        start("start_last_token_ms", |start| start.last_token_ms),
        r.peak_rss_bytes.map_or_else(none, bytes),
    ]
}

fn none() -> String {
    "–".to_owned()
}

fn contexts(r: &Report) -> Vec<Vec<String>> {
    let row = |depth: &crate::bench::report::Depth| {
        vec![
            depth.context.to_string(),
            figure(r, &depth.key(), depth.decode_tokens_per_s, ""),
            depth.decode_tokens_per_cpu_s.map_or_else(none, |speed| figure(r, &depth.cpu_key(), speed, "")),
            number(depth.latency_ms.p50) + r.stability.mark(&depth.key()),
            number(depth.latency_ms.p99) + r.stability.mark(&depth.key()),
        ]
    };
    r.contexts.iter().map(row).collect()
}

fn variants(report: &Report, sweep: &[Variant]) -> String {
    if sweep.is_empty() {
        return String::new();
    }
    let head =
        ["threads", "backend", "prefill tokens/s", "per CPU second", "decode tokens/s", "per CPU second"];
    format!("\n**{}**:\n\n{}", name(report), rows(&head, sweep.iter().map(variant)))
}

/// Machine, state and stability.
fn footnotes(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let mut text = format!(
        "\n{}; {}. whit {} ({}), {}. Prompt of {} tokens, {} decoded; ± is half the 95 % interval of the median.\n",
        first.machine.line(),
        first.machine.features.join(" "),
        first.version,
        first.commit,
        first.date,
        first.prompt_tokens,
        first.decode_tokens
    );
    for report in reports {
        let state = state(report);
        let notes = report.notes.iter().map(|note| format!("; {note}")).collect::<String>();
        let verdict = match &report.stability {
            stability if stability.stable => "; every figure is stable".to_owned(),
            stability => format!("; ~ not stable: {}", stability.reasons.join("; ")),
        };
        text += &format!("\n- {}: {}{notes}{verdict}\n", name(report), state.trim());
    }
    text
}
