//! What changed between two measurements, and whether it is more than noise.

use super::report::Report;
use super::scaling::is_paired;
use super::statistics::{Ratio, quantile};
use serde::Serialize;
use std::path::Path;

/// Fewer runs than this say nothing about noise.
const RUNS: usize = 5;

/// Two reports on one model, side by side. The fields are the JSON keys of `whit bench --compare --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The file in the first measurement.
    pub before: String,
    /// The file in the second.
    pub after: String,
    /// What is not the same, so that the figures are not of the same thing: settings, and the model itself.
    pub differences: Vec<String>,
    /// What else to know: another machine, other code, an unstable run.
    pub notes: Vec<String>,
    /// Every figure that both measured.
    pub figures: Vec<Figure>,
}

/// One figure in both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its key in a report.
    pub key: String,
    /// In the first measurement.
    pub before: f64,
    /// In the second.
    pub after: f64,
    /// The second over the first, with its 95 % bootstrap interval; none with too few runs.
    pub ratio: Option<Ratio>,
    /// What that means.
    pub verdict: Verdict,
    /// Whether one of the two is not stable: then the machine alone may have made the difference.
    pub unstable: bool,
}

/// What a ratio means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The second is faster.
    Faster,
    /// The second is slower.
    Slower,
    /// The interval holds 1: no change is seen, which is no proof that there is none.
    NoChangeSeen,
    /// There are too few runs to tell.
    TooFewRuns,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoChangeSeen => "no change seen",
            Self::TooFewRuns => "too few runs",
        }
    }
}

/// The reports of a file that `whit bench --json` wrote.
///
/// # Errors
/// A message that names the file.
pub fn read(path: &Path) -> Result<Vec<Report>, String> {
    let name = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    let reports: Vec<Report> = serde_json::from_slice(&text)
        .map_err(|error| format!("{name}: expected what `whit bench --json` prints: {error}"))?;
    if reports.is_empty() { Err(format!("{name}: holds no report")) } else { Ok(reports) }
}

/// Compares each report with the one on the file of the same name, or with the one in its place if the names are
/// others.
///
/// # Errors
/// A message if the measurements hold different numbers of reports.
pub fn compare(before: &[Report], after: &[Report]) -> Result<Vec<Comparison>, String> {
    if before.len() != after.len() {
        let counts = format!("{} and {}", before.len(), after.len());
        return Err(format!("expected as many reports in both measurements, found {counts}"));
    }
    let name = |report: &Report| Path::new(&report.file).file_name().map(|name| name.to_owned());
    let partner = |(index, report)| {
        let same = after.iter().filter(|other| name(other) == name(report)).collect::<Vec<_>>();
        if let [one] = same[..] { one } else { &after[index] }
    };
    Ok(before.iter().enumerate().map(|(index, report)| pair(report, partner((index, report)))).collect())
}

fn pair(a: &Report, b: &Report) -> Comparison {
    Comparison {
        before: a.file.clone(),
        after: b.file.clone(),
        differences: differences(a, b),
        notes: notes(a, b),
        figures: figures(a, b),
    }
}

fn differences(a: &Report, b: &Report) -> Vec<String> {
    let settings = [
        ("model", a.fingerprint.clone(), b.fingerprint.clone()),
        ("bytes of weights", a.weights_mapped_bytes.to_string(), b.weights_mapped_bytes.to_string()),
        ("cache", a.cache.clone(), b.cache.clone()),
        ("threads", a.threads.to_string(), b.threads.to_string()),
        ("prompt tokens", a.prompt_tokens.to_string(), b.prompt_tokens.to_string()),
        ("decode tokens", a.decode_tokens.to_string(), b.decode_tokens.to_string()),
        ("batch", a.batch.to_string(), b.batch.to_string()),
        ("seed", a.seed.to_string(), b.seed.to_string()),
        ("backend", a.backend.clone(), b.backend.clone()),
    ];
    let changed = settings.into_iter().filter(|(_, a, b)| a != b);
    changed.map(|(name, a, b)| format!("{name}: {a} before, {b} after")).collect()
}

fn notes(a: &Report, b: &Report) -> Vec<String> {
    let mut notes = vec![];
    let told =
        [("machine", a.machine.line(), b.machine.line()), ("commit", a.commit.clone(), b.commit.clone())];
    for (name, a, b) in told.into_iter().filter(|(_, a, b)| a != b) {
        notes.push(format!("another {name}: {a} before, {b} after"));
    }
    if a.machine.features != b.machine.features {
        notes.push("another set of CPU features".to_owned());
    }
    for (when, report) in
        [("before", a), ("after", b)].into_iter().filter(|(_, report)| !report.stability.stable)
    {
        notes.push(format!("unstable {when}: {}", report.stability.reasons.join("; ")));
    }
    notes
}

/// Figures of which more is better.
fn is_speed(key: &str) -> bool {
    key.ends_with("_per_s") || key.ends_with("_per_cpu_s") || is_paired(key)
}

fn figures(a: &Report, b: &Report) -> Vec<Figure> {
    let unstable = |key: &str| [a, b].iter().any(|report| !report.stability.mark(key).is_empty());
    let mut figures = vec![];
    for (key, before) in &a.samples.figures {
        if let Some(after) = b.samples.figures.get(key) {
            let (before, after): (Vec<_>, Vec<_>) = (before.chunks(1).collect(), after.chunks(1).collect());
            figures.push(figure(key, &before, &after, 0.5, unstable(key)));
        }
    }
    let [before, after] =
        [a, b].map(|report| report.samples.token_ms.iter().map(Vec::as_slice).collect::<Vec<_>>());
    for (key, share) in [("latency_ms.p50", 0.5), ("latency_ms.p95", 0.95), ("latency_ms.p99", 0.99)] {
        figures.push(figure(key, &before, &after, share, unstable("decode_tokens_per_s")));
    }
    figures
}

fn figure(key: &str, before: &[&[f64]], after: &[&[f64]], share: f64, unstable: bool) -> Figure {
    let value = |runs: &[&[f64]]| quantile(&runs.concat(), share);
    let enough = before.len() >= RUNS && after.len() >= RUNS;
    let ratio = enough.then(|| Ratio::of(before, after, share));
    let verdict = match ratio {
        None => Verdict::TooFewRuns,
        Some(ratio) if !ratio.differs() => Verdict::NoChangeSeen,
        Some(ratio) if (ratio.ratio > 1.0) == is_speed(key) => Verdict::Faster,
        Some(_) => Verdict::Slower,
    };
    Figure { key: key.to_owned(), before: value(before), after: value(after), ratio, verdict, unstable }
}

#[cfg(test)]
mod tests;
