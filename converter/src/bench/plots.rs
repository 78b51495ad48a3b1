//! Pictures of reports: the roofline, the latency of tokens, and the speed by context.

use super::report::Report;
use super::statistics::quantile;
use crate::plot::{Axis, Chart, Point, Series};
use std::path::Path;

/// A file's name and its contents.
pub type Picture = (&'static str, String);

/// All pictures that the reports have figures for.
pub fn pictures(reports: &[Report]) -> Vec<Picture> {
    let mut pictures = vec![("roofline.svg", roofline(reports)), ("latency.svg", latency(reports))];
    if reports.iter().any(|report| !report.contexts.is_empty()) {
        pictures.push(("context.svg", context(reports)));
    }
    pictures
}

/// A chart with what every result carries.
fn chart(title: &str, reports: &[Report], x: Axis, y: Axis) -> Chart {
    let chart = Chart::new(title, x, y);
    let Some(report) = reports.first() else { return chart };
    let cpu = report.machine.cpu.as_deref().unwrap_or(&report.machine.arch);
    let threads =
        if report.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", report.threads) };
    let date = report.date.get(..10).unwrap_or(&report.date);
    let line =
        format!("{cpu}, {threads}, {}; whit {} {}, {date}", report.backend, report.version, report.commit);
    let unstable: Vec<_> = reports.iter().filter(|report| !report.stability.stable).map(model).collect();
    let chart = chart.subtitle(line);
    if unstable.is_empty() {
        chart
    } else {
        chart.subtitle(format!("~ not every figure was stable: {}", unstable.join(", ")))
    }
}

/// The file's name without folder and extension.
fn model(report: &Report) -> String {
    let stem = Path::new(&report.file).file_stem();
    stem.map_or_else(|| report.file.clone(), |stem| stem.to_string_lossy().into_owned())
}

/// S. Williams, A. Waterman and D. Patterson, "Roofline: An Insightful Visual Performance Model" (2009): products per
/// second over products per byte read, under the bandwidth and the peak that were measured.
fn roofline(reports: &[Report]) -> String {
    let marked = |report: &Report, key: &str| model(report) + report.stability.mark(key);
    let decode = reports.iter().map(|report| {
        let macs = report.decode_macs_per_token as f64;
        let speed = macs * report.decode_tokens_per_s / 1e9;
        Point::new(macs / report.weight_bytes_per_token as f64, speed)
            .labelled(marked(report, "decode_tokens_per_s"))
    });
    let prefill = reports.iter().map(|report| {
        // One pass over the weights serves a whole batch.
        let macs = (report.prefill_macs_per_token * report.batch.min(report.prompt_tokens) as u64) as f64;
        Point::new(macs / report.weight_bytes_per_token as f64, report.prefill_gmac_per_s)
            .labelled(marked(report, "prefill_tokens_per_s"))
    });
    let (decode, prefill): (Vec<_>, Vec<_>) = (decode.collect(), prefill.collect());
    let ends = decode.iter().chain(&prefill).map(|point| point.x);
    let (left, right) = ends.fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    let x = Axis::log("products of weights per byte of weights read");
    let mut chart = chart("Roofline", reports, x, Axis::log("products per second, GMAC/s"));
    for roof in roofs(reports, left / 2.0, right * 2.0) {
        chart = chart.with(roof);
    }
    chart
        .with(Series::points("decode", decode).color(0))
        .with(Series::points("prefill", prefill).color(1).shape(1))
        .svg()
}

/// The integer peak, and below it a slope for each bandwidth that differs from the others.
fn roofs(reports: &[Report], left: f64, right: f64) -> Vec<Series> {
    let peak = reports.iter().filter_map(|report| report.integer_peak_gmac_per_s).reduce(f64::max);
    let steepest = bandwidths(reports).into_iter().reduce(f64::max).unwrap_or(f64::INFINITY);
    let peak_line = peak.map(|peak| {
        let left = (peak / steepest).clamp(left, right);
        let label = format!("integer peak {peak:.0} GMAC/s");
        let line = Series::line(
            "measured limits",
            [Point::new(left, peak), Point::new(right, peak).labelled(label)],
        );
        line.dashed().color(6)
    });
    let slopes = bandwidths(reports).into_iter().map(|gb_per_s| {
        let end = peak.map_or(right, |peak| right.min(peak / gb_per_s));
        let start = Point::new(left, left * gb_per_s).labelled(format!("{gb_per_s:.1} GB/s"));
        Series::line("", [start, Point::new(end, end * gb_per_s)]).dashed().color(6)
    });
    peak_line.into_iter().chain(slopes).collect()
}

/// The read bandwidths, those within a fifth of each other as one: caches differ by more, runs by less.
fn bandwidths(reports: &[Report]) -> Vec<f64> {
    let mut all: Vec<_> = reports.iter().map(|report| report.read_bandwidth_gb_per_s).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.dedup_by(|lower, higher| *lower > 0.8 * *higher);
    all
}

/// The empirical distribution of each model's tokens.
fn latency(reports: &[Report]) -> String {
    let y = Axis::linear("tokens that took at most so long, %").from(0.0).to(100.0);
    let mut chart = chart("Latency of one decoded token", reports, Axis::log("latency, ms"), y);
    for (color, report) in reports.iter().enumerate() {
        let token_ms = report.samples.token_ms.concat();
        let shares = (1..=STEPS).map(|step| f64::from(step) / f64::from(STEPS));
        let steps = shares.map(|share| Point::new(quantile(&token_ms, share), 100.0 * share));
        chart = chart.with(Series::steps(marked_name(report), steps).color(color));
        let latency = report.latency_ms;
        let marks = [(50.0, latency.p50), (95.0, latency.p95), (99.0, latency.p99)];
        let marks =
            marks.map(|(share, ms)| Point::new(ms, share).labelled(format!("p{share:.0} {} ms", short(ms))));
        chart = chart.with(Series::points("", marks).color(color));
    }
    chart.svg()
}

/// Steps of a distribution: more than pixels.
const STEPS: u32 = 500;

fn marked_name(report: &Report) -> String {
    model(report) + report.stability.mark("decode_tokens_per_s")
}

/// Three figures.
fn short(value: f64) -> String {
    let digits = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

fn context(reports: &[Report]) -> String {
    let (x, y) = (Axis::log("positions in the context"), Axis::linear("decode, tokens/s").from(0.0));
    let mut chart = chart("Decoding speed by context", reports, x, y);
    for (color, report) in reports.iter().enumerate() {
        let points = report.contexts.iter().map(|depth| {
            let label = short(depth.decode_tokens_per_s) + report.stability.mark(&depth.key());
            Point::new(depth.context as f64, depth.decode_tokens_per_s).labelled(label)
        });
        chart = chart.with(Series::line(model(report), points).with_dots().color(color));
    }
    chart.svg()
}
