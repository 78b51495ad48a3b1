//! Reports as plain text.

use super::scaling;
use crate::bench::report::{Depth, Report, Start, Variant};
use crate::bench::scaling::BANDWIDTH_SHARE;
use crate::cli::output::bytes;
use crate::cli::table::{pairs, table};
use crate::machine::Conditions;

/// One file.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("{} ({})\n{}", report.file, bytes(report.file_bytes), pairs(&lines(report)));
    if !report.contexts.is_empty() {
        text += &format!("\n{}", contexts(report));
    }
    for sweep in [&report.thread_sweep, &report.backend_sweep] {
        if !sweep.is_empty() {
            text += &format!("\n{}", variants(sweep));
        }
    }
    text += &scaling::text(report);
    let runs = report.summaries.get("decode_tokens_per_s").map_or(0, |summary| summary.runs);
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    text += &format!(
        "  medians, that of decode over {runs}; ± is half the 95 % interval; seed {}\n",
        report.seed
    );
    text += &state(report);
    for note in &report.notes {
        text += &format!("  {note}\n");
    }
    text + &stability(report) + "\n"
}

/// Whatever all reports of a command share.
pub(super) fn machine(reports: &[Report]) -> String {
    let Some(report) = reports.first() else { return String::new() };
    let features = report.machine.features.join(" ");
    let commit = format!("whit {} ({}), {}", report.version, report.commit, report.date);
    format!("{}\n{features}\n{commit}\n", report.machine.line())
}

fn lines(r: &Report) -> Vec<(&'static str, String)> {
    let threads = if r.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", r.threads) };
    let mut lines = vec![
        ("computed by", format!("{}, {threads}, {} cache, batches of {}", r.backend, r.cache, r.batch)),
        ("load", figure(r, "load_ms", r.load_ms, " ms")),
        (
            "first token",
            format!(
                "{}, loading and a prompt of {} tokens included",
                figure(r, "first_token_ms", r.first_token_ms, " ms"),
                r.prompt_tokens
            ),
        ),
        ("prefill", speed(r, "prefill", r.prefill_tokens_per_s, r.prefill_tokens_per_cpu_s, r.prompt_tokens)),
        ("decode", speed(r, "decode", r.decode_tokens_per_s, r.decode_tokens_per_cpu_s, r.decode_tokens)),
        ("latency", latency(r)),
        ("weights read", weights_read(r)),
        ("products", products(r)),
        ("memory", memory(r)),
    ];
    if let Some(start) = &r.start {
        lines.push(("whole process", whole_process(r, start)));
    }
    lines
}

/// A value with half its interval in per cent, and a mark where it is not stable.
pub(super) fn figure(report: &Report, key: &str, value: f64, unit: &str) -> String {
    let about = report.summaries.get(key).map(|summary| format!(" ±{:.1} %", 50.0 * summary.spread()));
    format!("{}{unit}{}{}", number(value), about.unwrap_or_default(), report.stability.mark(key))
}

/// At least three figures, none after the point from 100 on.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => return crate::cli::output::grouped(value.round() as u64),
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

fn speed(r: &Report, phase: &str, wall: f64, cpu: Option<f64>, tokens: usize) -> String {
    let wall = figure(r, &format!("{phase}_tokens_per_s"), wall, " tokens/s");
    let cpu = cpu.map_or_else(String::new, |cpu| {
        format!(", {}", figure(r, &format!("{phase}_tokens_per_cpu_s"), cpu, " per CPU second"))
    });
    format!("{wall}{cpu} ({tokens} tokens)")
}

fn latency(r: &Report) -> String {
    let l = &r.latency_ms;
    let [p50, p95, p99, max] = [l.p50, l.p95, l.p99, l.max].map(number);
    let mark = r.stability.mark("decode_tokens_per_s");
    format!("median {p50} ms, p95 {p95}, p99 {p99}, longest {max}{mark} ({} tokens)", l.tokens)
}

fn weights_read(r: &Report) -> String {
    format!(
        "{} a token, {} GB/s{}: {} of what reading alone reaches in turn with it (its best pass {} GB/s)",
        bytes(r.weight_bytes_per_token),
        number(r.gb_per_s),
        r.stability.mark("decode_tokens_per_s"),
        figure(r, BANDWIDTH_SHARE, 100.0 * r.bandwidth_share, " %"),
        number(r.read_bandwidth_gb_per_s),
    )
}

fn products(r: &Report) -> String {
    let of_peak = match (r.integer_peak_gmac_per_s, r.integer_peak_share, &r.integer_peak_instructions) {
        (Some(peak), Some(share), Some(instructions)) => {
            format!("{:.0} % of the {} GMAC/s of {instructions}", 100.0 * share, number(peak))
        }
        _ => "the peak of this architecture is not measured".to_owned(),
    };
    format!(
        "{} M a token, {} GMAC/s in prefill: {of_peak}{}",
        number(r.prefill_macs_per_token as f64 / 1e6),
        number(r.prefill_gmac_per_s),
        r.stability.mark("prefill_tokens_per_s")
    )
}

fn memory(r: &Report) -> String {
    let peak = match (r.peak_rss_bytes, r.rss_before_load_bytes) {
        (Some(peak), Some(before)) => {
            format!("peak {}, {} of it before the file was opened", bytes(peak), bytes(before))
        }
        _ => "peak not known".to_owned(),
    };
    format!(
        "{peak}; session {}, weights mapped {}",
        bytes(r.arena_bytes as u64),
        bytes(r.weights_mapped_bytes)
    )
}

fn whole_process(r: &Report, start: &Start) -> String {
    let time = |which: &str, wall: f64, cpu: Option<f64>| {
        let cpu = cpu.map_or_else(String::new, |cpu| {
            format!(" (CPU {})", figure(r, &format!("start_{which}_token_cpu_ms"), cpu, " ms"))
        });
        format!("{}{cpu}", figure(r, &format!("start_{which}_token_ms"), wall, " ms"))
    };
    let first = time("first", start.first_token_ms, start.first_token_cpu_ms);
    let last = time("last", start.last_token_ms, start.last_token_cpu_ms);
    format!("start to first token {first}, to token {} {last}", start.tokens)
}

fn contexts(r: &Report) -> String {
    let row = |depth: &Depth| {
        let cpu = depth.decode_tokens_per_cpu_s;
        vec![
            depth.context.to_string(),
            figure(r, &depth.key(), depth.decode_tokens_per_s, ""),
            cpu.map_or_else(|| "–".to_owned(), |speed| figure(r, &depth.cpu_key(), speed, "")),
            number(depth.latency_ms.p50) + r.stability.mark(&depth.key()),
            number(depth.latency_ms.p99) + r.stability.mark(&depth.key()),
        ]
    };
    let rows: Vec<_> = r.contexts.iter().map(row).collect();
    table(&[">context", ">decode tokens/s", ">per CPU second", ">p50 ms", ">p99 ms"], &rows)
}

fn variants(variants: &[Variant]) -> String {
    table(
        &[
            ">threads",
            "backend",
            ">prefill tokens/s",
            ">per CPU second",
            ">decode tokens/s",
            ">per CPU second",
        ],
        &variants.iter().map(variant).collect::<Vec<_>>(),
    )
}

/// Cells of a table: threads, backend, and the four speeds.
pub(super) fn variant(variant: &Variant) -> Vec<String> {
    let cell = |key: &str, value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| number(value) + variant.stability.mark(key))
    };
    vec![
        variant.threads.to_string(),
        variant.backend.clone(),
        cell("prefill_tokens_per_s", Some(variant.prefill_tokens_per_s)),
        cell("prefill_tokens_per_cpu_s", variant.prefill_tokens_per_cpu_s),
        cell("decode_tokens_per_s", Some(variant.decode_tokens_per_s)),
        cell("decode_tokens_per_cpu_s", variant.decode_tokens_per_cpu_s),
    ]
}

/// Clock, heat and load before and after; nothing where the system tells nothing.
pub(super) fn state(report: &Report) -> String {
    let (before, after) = (&report.before, &report.after);
    let change = |name: &str, unit: &str, digits: usize, of: fn(&Conditions) -> Option<f64>| {
        let (before, after) = (of(before)?, of(after)?);
        Some(format!("{name} {before:.digits$} → {after:.digits$}{unit}"))
    };
    let parts = [
        before.governor.as_ref().map(|governor| format!("governor {governor}")),
        change("clock", " MHz", 0, |state| state.mhz),
        change("temperature", " °C", 1, |state| state.celsius),
        change("load average", "", 1, |state| state.load),
        before.throttling.zip(after.throttling).map(|(a, b)| format!("throttling {:#x} → {:#x}", a.0, b.0)),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("  {}\n", parts.join(", ")) }
}

fn stability(report: &Report) -> String {
    if report.stability.stable {
        return String::new();
    }
    let reasons = report.stability.reasons.iter().map(|reason| format!("    {reason}\n"));
    format!("  ~ not stable:\n{}", reasons.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_figures_and_no_more_than_they_need() {
        let cases = [
            (0.00931, "0.0093"),
            (0.123, "0.123"),
            (1.2345, "1.23"),
            (12.345, "12.3"),
            (123.45, "123"),
            (50_149.4, "50 149"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }
}
