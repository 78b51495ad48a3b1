//! A report as text and as Markdown.

use crate::bench::statistics::Ratio;
use crate::cli::bench::markdown::rows as markdown_rows;
use crate::cli::output::{bytes, grouped};
use crate::cli::table::{pairs, table};
use crate::report::claims::BANDS;
use crate::report::{Entry, Report, Variant};
use std::path::Path;

const HEAD: [&str; 10] = [
    "file",
    ">size",
    ">R size",
    ">A quality",
    ">nats added",
    ">accuracy",
    ">top-1 agrees",
    ">L decode",
    ">L prefill",
    ">E energy",
];

const CLAIMED: [&str; 6] = ["claimed", ">R size", ">A quality", ">L latency", ">E energy", "source"];

pub(super) fn text(report: &Report) -> String {
    let lines = pairs(&[("text", read(report)), ("base", base(report))]);
    format!(
        "{}{lines}\n{}\n{}\nClaimed for BERT-base by others, not measured here; {BANDS}:\n{}",
        "Compression report\n",
        table(&HEAD, &cells(report)),
        notes(report, "  "),
        table(&CLAIMED, &claims(report)),
    )
}

pub(super) fn markdown(report: &Report) -> String {
    let plain = |head: &[&'static str]| -> Vec<&'static str> {
        head.iter().map(|name| name.trim_start_matches('>')).collect()
    };
    format!(
        "Text: {}. Base: {}.\n\n{}\n{}\nClaimed for BERT-base by others, not measured here; {BANDS}:\n\n{}",
        read(report),
        base(report),
        markdown_rows(&plain(&HEAD), cells(report)),
        notes(report, "- "),
        markdown_rows(&plain(&CLAIMED), claims(report)),
    )
}

fn read(report: &Report) -> String {
    format!("{}, {} tokens", report.text, grouped(report.tokens as u64))
}

fn base(report: &Report) -> String {
    let Entry { file, weights, file_bytes, score, .. } = &report.base;
    let (size, nats, perplexity) = (bytes(*file_bytes), score.nats_per_token, score.perplexity);
    format!("{file}, {weights}, {size}, {nats:.5} nats per token, perplexity {perplexity:.4}")
}

fn cells(report: &Report) -> Vec<Vec<String>> {
    let base = &report.base;
    let mut rows = vec![row(
        base,
        [
            "1.00".into(),
            "100.00 %".into(),
            "0".into(),
            percent(base.accuracy),
            "100.00 %".into(),
            if base.speeds.is_some() { "1.00".into() } else { none() },
            if base.speeds.is_some() { "1.00".into() } else { none() },
            base.joules_per_token.map_or_else(no_source, |_| "1.00".into()),
        ],
        "",
    )];
    rows.extend(report.variants.iter().map(|variant| variant_row(variant, &report.speed_notes)));
    rows
}

fn variant_row(variant: &Variant, notes: &[String]) -> Vec<String> {
    let metrics = &variant.metrics;
    let unstable = notes.iter().any(|note| note.starts_with(&format!("~ {}:", variant.entry.file)));
    let speed = |ratio: Option<Ratio>| {
        let mark = if unstable { "~" } else { "" };
        ratio.map_or_else(none, |Ratio { ratio, low, high }| format!("{ratio:.2}{mark} ({low:.2}–{high:.2})"))
    };
    let cells = [
        format!("{:.2}", metrics.size),
        percent(metrics.quality),
        format!("{:+.5}", metrics.nats_added),
        percent(variant.entry.accuracy),
        percent(metrics.top1_agreement),
        speed(metrics.decode),
        speed(metrics.prefill),
        metrics.energy.map_or_else(no_source, |energy| format!("{energy:.2}")),
    ];
    row(&variant.entry, cells, if variant.on_front { " *" } else { "" })
}

fn row(entry: &Entry, cells: [String; 8], mark: &str) -> Vec<String> {
    let name = Path::new(&entry.file).file_name();
    let name = name.map_or_else(|| entry.file.clone(), |name| name.to_string_lossy().into_owned());
    [name + mark, bytes(entry.file_bytes)].into_iter().chain(cells).collect()
}

fn claims(report: &Report) -> Vec<Vec<String>> {
    let row = |claim: &crate::report::claims::Claim| {
        vec![
            claim.method.to_owned(),
            format!("{}", claim.size),
            format!("{:.0} %", 100.0 * claim.quality),
            format!("{}", claim.latency),
            format!("{}", claim.energy),
            claim.source.to_owned(),
        ]
    };
    report.claimed.iter().map(row).collect()
}

fn notes(report: &Report, start: &str) -> String {
    let mut lines = vec![
        "R, A, L, E: base over variant in size, perplexity, time and energy; above 1 is better".to_owned(),
        "* no other file of the report is smaller and better".to_owned(),
    ];
    lines.extend(report.speed_notes.iter().cloned());
    lines.iter().map(|line| format!("{start}{line}\n")).collect()
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn none() -> String {
    "–".to_owned()
}

fn no_source() -> String {
    "no source".to_owned()
}
