//! The tables of speed-ups that were measured turn by turn.

use super::markdown;
use crate::bench::report::Report;
use crate::bench::scaling::{Phase, Scaling};
use crate::bench::statistics::Summary;
use crate::cli::table::table;

const HEAD: [&str; 9] = [
    "turn by turn",
    ">threads",
    ">speed-up",
    ">95 % interval",
    ">the machine's",
    ">95 % interval",
    ">share of it",
    ">95 % interval",
    ">turns",
];

/// As plain text; nothing where nothing was measured.
pub(super) fn text(report: &Report) -> String {
    if report.scaling.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = report.scaling.iter().map(|entry| row(report, entry)).collect();
    format!("\n{}{}", table(&HEAD, &rows), remarks(report, "  "))
}

/// As Markdown.
pub(super) fn markdown(report: &Report) -> String {
    if report.scaling.is_empty() {
        return String::new();
    }
    let head = HEAD.map(|name| name.trim_start_matches('>'));
    let rows = markdown::rows(&head, report.scaling.iter().map(|entry| row(report, entry)));
    format!("\n**{}**:\n\n{rows}\n{}", markdown::file_name(&report.file), remarks(report, "- "))
}

fn row(report: &Report, entry: &Scaling) -> Vec<String> {
    let none = || ["–", "–"].map(str::to_owned);
    let speed_up = |key: &str, summary: &Summary| {
        let Summary { median, low, high, .. } = summary;
        [format!("{median:.2}×{}", report.stability.mark(key)), format!("{low:.2} to {high:.2}")]
    };
    let own = speed_up(&entry.key(), &entry.speed_up);
    let machine = entry.machine_speed_up.map(|machine| speed_up(&entry.machine_key(), &machine));
    let share = entry.machine_share.map(|share| {
        let [share, low, high] = [share.ratio, share.low, share.high].map(|share| 100.0 * share);
        [format!("{share:.0} %"), format!("{low:.0} to {high:.0} %")]
    });
    let what =
        [format!("{} of {}", entry.phase.name(), tokens(entry.burst_tokens)), entry.threads.to_string()];
    let mut cells = [what, own, machine.unwrap_or_else(none), share.unwrap_or_else(none)].concat();
    cells.push(entry.speed_up.runs.to_string());
    cells
}

fn tokens(count: usize) -> String {
    if count == 1 { "1 token".to_owned() } else { format!("{count} tokens") }
}

/// What the speed-ups are ratios to, and what stands beside them.
fn remarks(report: &Report, start: &str) -> String {
    let Some(first) = report.scaling.first() else { return String::new() };
    let threads = if first.than_threads == 1 {
        "1 thread".to_owned()
    } else {
        format!("{} threads", first.than_threads)
    };
    let probe = |phase: Phase| {
        let probe = report.scaling.iter().find(|entry| entry.phase == phase)?.probe.as_ref()?;
        Some(format!("{start}the machine's beside {}: {probe}\n", phase.name()))
    };
    let probes: String = [Phase::Prefill, Phase::Decode].into_iter().filter_map(probe).collect();
    format!("{start}medians of the speed over that of {threads} in the same turn\n{probes}")
}
