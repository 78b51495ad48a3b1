//! The picture of a report: quality over size, and the front of what nothing else beats.

use super::{Entry, Report, front};
use crate::plot::{Axis, Chart, Point, Series};
use std::path::Path;

/// Nats per token added over the size of the file, as SVG.
pub fn picture(report: &Report) -> String {
    let base = &report.base;
    let every: Vec<&Entry> =
        core::iter::once(base).chain(report.variants.iter().map(|variant| &variant.entry)).collect();
    let point = |entry: &&Entry| {
        let added = entry.score.nats_per_token - base.score.nats_per_token;
        Point::new(entry.file_bytes as f64 / 1e6, added).labelled(stem(&entry.file))
    };
    let worth: Vec<_> =
        every.iter().map(|entry| (entry.file_bytes as f64, -entry.score.nats_per_token)).collect();
    let mut best: Vec<&Entry> = front(&worth).into_iter().map(|at| every[at]).collect();
    best.sort_by_key(|entry| entry.file_bytes);
    let steps = best.iter().map(|entry| Point { label: None, ..point(entry) });
    Chart::new("Quality by size", Axis::log("size of the file, MB"), Axis::linear("nats per token added"))
        .subtitle(format!(
            "{} tokens of {}; base {}, {:.4} nats per token",
            report.tokens,
            stem(&report.text),
            stem(&base.file),
            base.score.nats_per_token
        ))
        .with(Series::steps("front: nothing is smaller and better", steps).dashed().color(6))
        .with(Series::points("variants", every[1..].iter().map(point)).color(0))
        .with(Series::points("base", [point(&base)]).color(1).shape(1))
        .svg()
}

/// The file's name without folder and extension.
fn stem(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
