//! What compression cost and gained: each variant of a model against its base, in four metrics.
//!
//! - R, size: bytes of the base's file over those of the variant's.
//! - A, quality kept: perplexity of the base over that of the variant on the same text. That is the ratio of the
//!   geometric means of the probabilities they give the text's tokens, e to the power of the nats added per token,
//!   negated: 1 is nothing lost. Beside it stands accuracy, the share of tokens that are the model's first choice, as
//!   a ratio and in points; and, sharper than both, the KL divergence and how often the first choices agree.
//! - L, latency: time of the base over that of the variant, per token of decode and of prefill.
//! - E, energy: joules per token of the base over those of the variant.
//!
//! All are above 1 where the variant is better. Nothing is estimated: what was not measured has no value.

pub mod claims;
mod latency;
mod pareto;
mod plot;

pub use latency::{Measurement, Speeds, measure, saved};
pub use pareto::front;
pub use plot::picture;

use crate::bench::statistics::Ratio;
use crate::eval::{Score, Windows, evaluate};
use serde::Serialize;
use whit::Model;
use whit::parallel::Workers;

/// A base and its variants. The fields are the JSON keys of `whit report --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The text that quality was measured on.
    pub text: String,
    /// Tokens of it that were predicted.
    pub tokens: usize,
    /// What everything is compared with.
    pub base: Entry,
    /// What is compared.
    pub variants: Vec<Variant>,
    /// Where the figures of speed come from, and what is to be known of them.
    pub speed_notes: Vec<String>,
    /// What the literature claims, for comparison: not measured here.
    pub claimed: &'static [claims::Claim],
}

/// One file, measured.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The file.
    pub file: String,
    /// Its size.
    pub file_bytes: u64,
    /// How its weights are stored, in its own words.
    pub weights: String,
    /// Kind of cache that it was scored with: its own.
    pub cache: &'static str,
    /// How well it predicts the text.
    #[serde(flatten)]
    pub score: Score,
    /// Share of the text's tokens that were its first choice.
    pub accuracy: f64,
    /// How fast it is.
    pub speeds: Option<Speeds>,
    /// Joules per token.
    pub joules_per_token: Option<f64>,
}

/// One variant and its metrics.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// The file, measured.
    #[serde(flatten)]
    pub entry: Entry,
    /// The four metrics.
    pub metrics: Metrics,
    /// Whether no other file of the report is both smaller and better, or equal in one and better in the other.
    pub on_front: bool,
}

/// A variant against the base.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// R: how many times smaller the file is.
    pub size: f64,
    /// A: perplexity of the base over that of the variant.
    pub quality: f64,
    /// Nats per token added.
    pub nats_added: f64,
    /// Accuracy of the variant over that of the base.
    pub accuracy: f64,
    /// Accuracy of the base less that of the variant, in per cent of all tokens.
    pub accuracy_points_lost: f64,
    /// Mean over the tokens of Σ p ln(p / q), p being the base's distribution.
    pub kl_divergence: f64,
    /// Share of the tokens for which both think the same token the likeliest.
    pub top1_agreement: f64,
    /// L of decode, with its 95 % bootstrap interval.
    pub decode: Option<Ratio>,
    /// L of prefill.
    pub prefill: Option<Ratio>,
    /// E.
    pub energy: Option<f64>,
}

/// Original over new: how many times less the new one takes.
pub fn ratio(original: f64, new: f64) -> f64 {
    original / new
}

/// What is left of the base's accuracy, as a ratio, and what is lost, in the units that both are in.
pub fn kept(base: f64, variant: f64) -> (f64, f64) {
    (variant / base, base - variant)
}

/// A file of a report: its name, its model, and what was measured beside its quality.
pub struct Subject<'a> {
    /// The file's name.
    pub file: String,
    /// Its model.
    pub model: Model<'a>,
    /// How fast it is.
    pub speeds: Option<Measurement>,
    /// Joules per token.
    pub joules_per_token: Option<f64>,
}

/// Scores `base` and every one of `variants` on `windows`. `progress` is told how many tokens of how many are done.
///
/// # Errors
/// A message: a session cannot be made, the vocabularies differ, or logits are not numbers.
pub fn report(
    text: &str,
    base: &Subject<'_>,
    variants: &[Subject<'_>],
    windows: &Windows,
    workers: &dyn Workers,
    mut progress: impl FnMut(usize, usize),
) -> Result<Report, String> {
    let total = windows.tokens() * (1 + variants.len());
    let about = |subject: &Subject<'_>, error: String| format!("{}: {error}", subject.file);
    let alone = evaluate(&base.model, None, windows, workers, |done| progress(done, total))
        .map_err(|error| about(base, error))?;
    let own = entry(base, alone.score, alone.accuracy);
    let mut found = Vec::new();
    for (i, variant) in variants.iter().enumerate() {
        let before = windows.tokens() * (1 + i);
        let scored = evaluate(&variant.model, Some(&base.model), windows, workers, |done| {
            progress(before + done, total);
        });
        let scored = scored.map_err(|error| about(variant, error))?;
        let entry = entry(variant, scored.score, scored.accuracy);
        let closeness = scored.closeness.expect("there was a reference");
        let metrics = Metrics {
            kl_divergence: closeness.kl_divergence,
            top1_agreement: closeness.top1_agreement,
            decode: latency::ratio(base, variant, |measurement| &measurement.decode),
            prefill: latency::ratio(base, variant, |measurement| &measurement.prefill),
            ..Metrics::of(&own, &entry)
        };
        found.push(Variant { entry, metrics, on_front: false });
    }
    mark_front(&own, &mut found);
    Ok(Report {
        text: text.to_owned(),
        tokens: windows.tokens(),
        base: own,
        variants: found,
        speed_notes: latency::notes(base, variants),
        claimed: claims::CLAIMS,
    })
}

impl Metrics {
    /// What two entries alone tell; the rest is 0 or none.
    fn of(base: &Entry, variant: &Entry) -> Self {
        let (accuracy, lost) = kept(base.accuracy, variant.accuracy);
        let joules = base.joules_per_token.zip(variant.joules_per_token);
        Self {
            size: ratio(base.file_bytes as f64, variant.file_bytes as f64),
            quality: ratio(base.score.perplexity, variant.score.perplexity),
            nats_added: variant.score.nats_per_token - base.score.nats_per_token,
            accuracy,
            accuracy_points_lost: 100.0 * lost,
            kl_divergence: 0.0,
            top1_agreement: 0.0,
            decode: None,
            prefill: None,
            energy: joules.map(|(base, variant)| ratio(base, variant)),
        }
    }
}

fn entry(subject: &Subject<'_>, score: Score, accuracy: f64) -> Entry {
    let file = subject.model.file();
    Entry {
        file: subject.file.clone(),
        file_bytes: file.bytes().len() as u64,
        weights: file.metadata.find("weights").unwrap_or("not said").to_owned(),
        cache: crate::inspect::cache_name(subject.model.options(1).cache),
        score,
        accuracy,
        speeds: subject.speeds.as_ref().map(Measurement::speeds),
        joules_per_token: subject.joules_per_token,
    }
}

/// Marks the variants that are on the front of size and quality, the base among the points.
fn mark_front(base: &Entry, variants: &mut [Variant]) {
    let point = |entry: &Entry| (entry.file_bytes as f64, -entry.score.nats_per_token);
    let points: Vec<_> =
        core::iter::once(point(base)).chain(variants.iter().map(|variant| point(&variant.entry))).collect();
    for at in front(&points) {
        if let Some(variant) = at.checked_sub(1).and_then(|at| variants.get_mut(at)) {
            variant.on_front = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: u64, perplexity: f64, accuracy: f64, joules: Option<f64>) -> Entry {
        let score = Score { nats_per_token: perplexity.ln(), perplexity, bits_per_byte: 1.0 };
        let (file, weights) = (String::new(), String::new());
        let (speeds, cache) = (None, "f32");
        Entry { file, file_bytes: bytes, weights, cache, score, accuracy, speeds, joules_per_token: joules }
    }

    #[test]
    fn all_metrics_are_above_one_where_the_variant_is_better() {
        let base = entry(800, 4.0, 0.5, Some(3.0));
        let metrics = Metrics::of(&base, &entry(100, 5.0, 0.45, Some(2.0)));
        assert_eq!((metrics.size, metrics.quality, metrics.energy), (8.0, 0.8, Some(1.5)));
        assert!((metrics.nats_added - 1.25f64.ln()).abs() < 1e-12);
        assert!((metrics.accuracy - 0.9).abs() < 1e-12 && (metrics.accuracy_points_lost - 5.0).abs() < 1e-12);
        assert_eq!(Metrics::of(&base, &entry(100, 5.0, 0.45, None)).energy, None);
    }

    #[test]
    fn quality_kept_is_e_to_the_power_of_the_nats_added_negated() {
        let metrics = Metrics::of(&entry(1, 4.25, 0.5, None), &entry(1, 4.5, 0.5, None));
        assert!((metrics.quality - (-metrics.nats_added).exp()).abs() < 1e-12);
    }

    #[test]
    fn a_variant_that_is_larger_and_worse_than_another_is_off_the_front() {
        let base = entry(1000, 4.0, 0.5, None);
        let variant = |bytes, perplexity| {
            let entry = entry(bytes, perplexity, 0.5, None);
            Variant { metrics: Metrics::of(&base, &entry), entry, on_front: false }
        };
        let mut variants = [variant(250, 4.1), variant(300, 4.2), variant(150, 4.6)];
        mark_front(&base, &mut variants);
        assert_eq!(variants.map(|variant| variant.on_front), [true, false, true]);
    }
}
