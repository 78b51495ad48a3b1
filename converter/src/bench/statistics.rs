//! Medians, quantiles and bootstrap intervals of samples.

use serde::{Deserialize, Serialize};
use whit::sampler::Random;

/// Resamplings of a bootstrap: the ends of a 95 % interval then stand on 50 values each.
const ROUNDS: usize = 2_000;

/// The share of resamplings within an interval, in per cent, as reports name it.
pub const CONFIDENCE: u32 = 95;

/// Shares below and above the interval.
const TAIL: f64 = (100 - CONFIDENCE) as f64 / 200.0;

/// What a bootstrap draws with; any number does, this one makes every report of the same samples the same.
const SEED: u64 = 0x5eed;

/// The smallest value that at least `share` of `values` do not exceed (nearest rank); NaN if there is none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    select(&mut values, share)
}

/// The middle value; the lower of two.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn select(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let rank = (share * values.len() as f64).ceil() as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank.clamp(1, values.len()) - 1, f64::total_cmp);
    *value
}

/// Standard deviation (of a sample) over mean; 0 for less than two values.
pub fn coefficient_of_variation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt() / mean
}

/// What the runs of one measurement say together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle value.
    pub median: f64,
    /// Lower end of the 95 % bootstrap interval of the median.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Standard deviation over mean.
    pub cv: f64,
    /// How often it was measured.
    pub runs: usize,
}

impl Summary {
    /// Of samples that are independent of each other.
    pub fn of(samples: &[f64]) -> Self {
        let runs: Vec<_> = samples.chunks(1).collect();
        let mut random = Random::new(SEED);
        let [low, high] = interval(|| Some(resampled(&runs, 0.5, &mut random)));
        Self {
            median: median(samples),
            low,
            high,
            cv: coefficient_of_variation(samples),
            runs: samples.len(),
        }
    }

    /// How wide the interval is, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / self.median
    }
}

/// The ratio of a quantile of `b` to that of `a` and its percentile bootstrap interval. Samples of one run belong
/// together, so whole runs are drawn: tokens of one run share what disturbed it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Of the quantiles as measured.
    pub ratio: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Ratio {
    /// `b` over `a`, each with its runs; `share` is 0.5 for medians.
    pub fn of(a: &[&[f64]], b: &[&[f64]], share: f64) -> Self {
        let mut random = Random::new(SEED);
        let [low, high] = interval(|| {
            let before = resampled(a, share, &mut random);
            Some(resampled(b, share, &mut random) / before).filter(|ratio| ratio.is_finite())
        });
        Self { ratio: quantile(&b.concat(), share) / quantile(&a.concat(), share), low, high }
    }

    /// Whether the interval leaves out 1, the ratio of equals.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// The quantile of as many runs as there are, drawn with replacement.
fn resampled(runs: &[&[f64]], share: f64, random: &mut Random) -> f64 {
    let mut drawn = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
    for _ in 0..runs.len() {
        let index = (u64::from(random.next_u32()) * runs.len() as u64) >> 32;
        drawn.extend_from_slice(runs[index as usize]);
    }
    select(&mut drawn, share)
}

/// The ends between which the middle 95 % of the resampled statistics lie (B. Efron, "Bootstrap Methods: Another
/// Look at the Jackknife", 1979; the percentile method).
fn interval(mut statistic: impl FnMut() -> Option<f64>) -> [f64; 2] {
    let statistics: Vec<f64> = (0..ROUNDS).filter_map(|_| statistic()).collect();
    [quantile(&statistics, TAIL), quantile(&statistics, 1.0 - TAIL)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_samples() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.95, 0.99, 1.0].map(|share| quantile(&hundred, share)), [50.0, 95.0, 99.0, 100.0]);
        assert_eq!(quantile(&[7.0], 0.01), 7.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn variation_is_deviation_over_mean() {
        // Deviations -1, 0, 1: variance 1, mean 2.
        assert_eq!(coefficient_of_variation(&[1.0, 2.0, 3.0]), 0.5);
        assert_eq!(coefficient_of_variation(&[5.0, 5.0]), 0.0);
        assert_eq!(coefficient_of_variation(&[5.0]), 0.0);
    }

    #[test]
    fn equal_samples_have_no_spread() {
        let summary = Summary::of(&[4.0; 7]);
        assert_eq!(summary, Summary { median: 4.0, low: 4.0, high: 4.0, cv: 0.0, runs: 7 });
        assert_eq!(summary.spread(), 0.0);
    }

    #[test]
    fn the_interval_of_five_runs_spans_all_of_them() {
        // A median of five drawn from five is the least of them with probability Σ_{k≥3} C(5,k) 0.2^k 0.8^(5-k) =
        // 5.8 %, more than the 2.5 % of a tail.
        let summary = Summary::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((summary.low, summary.median, summary.high), (1.0, 3.0, 5.0));
    }

    #[test]
    fn the_same_samples_give_the_same_interval() {
        let samples: Vec<f64> = normal(1, 40);
        assert_eq!(Summary::of(&samples), Summary::of(&samples));
    }

    /// About normal, mean 10, deviation 1: twelve uniform numbers added up.
    fn normal(seed: u64, count: usize) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut uniform = || f64::from(random.next_u32()) / 4_294_967_296.0;
        (0..count).map(|_| 4.0 + (0..12).map(|_| uniform()).sum::<f64>()).collect()
    }

    /// Of 400 intervals of the median of normal samples, 95 % should hold the true one: 380, with a deviation of
    /// 4.4. The percentile method is known to be a little off at small sizes; 90 to 99 % is asked for.
    #[test]
    fn intervals_of_the_median_cover_the_true_median_as_often_as_they_say() {
        for count in [15, 40] {
            let covers = |seed: &u64| {
                let summary = Summary::of(&normal(*seed, count));
                (summary.low..=summary.high).contains(&10.0)
            };
            let covered = (1..=400).filter(covers).count();
            assert!((360..=396).contains(&covered), "{covered} of 400 with {count} samples");
        }
    }

    #[test]
    fn intervals_of_a_ratio_cover_the_true_ratio_as_often_as_they_say() {
        let covers = |seed: &u64| {
            let (a, b) = (normal(2 * seed, 20), normal(2 * seed + 1, 25));
            let slower: Vec<f64> = b.iter().map(|value| value * 1.25).collect();
            let (a, b): (Vec<_>, Vec<_>) = (a.chunks(1).collect(), slower.chunks(1).collect());
            let ratio = Ratio::of(&a, &b, 0.5);
            (ratio.low..=ratio.high).contains(&1.25)
        };
        let covered = (1..=400).filter(covers).count();
        assert!((360..=396).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn equals_do_not_differ_and_others_do() {
        let (a, b) = (normal(1, 30), normal(2, 30));
        let faster: Vec<f64> = b.iter().map(|value| value * 1.5).collect();
        let ratio = |a: &[f64], b: &[f64]| {
            Ratio::of(&a.chunks(1).collect::<Vec<_>>(), &b.chunks(1).collect::<Vec<_>>(), 0.5)
        };
        assert!(!ratio(&a, &b).differs());
        assert!(ratio(&a, &faster).differs() && ratio(&a, &faster).low > 1.0);
        assert!(ratio(&faster, &b).differs() && ratio(&faster, &b).high < 1.0);
    }

    /// Two runs of a thousand samples each: as single samples they would leave no doubt, as two runs they do.
    #[test]
    fn samples_of_one_run_count_as_one() {
        let (slow, fast) = (vec![2.0; 1000], vec![1.0; 1000]);
        let a: [&[f64]; 2] = [&slow, &fast];
        let ratio = Ratio::of(&a, &a, 0.5);
        assert_eq!((ratio.ratio, ratio.low, ratio.high), (1.0, 0.5, 2.0));
    }
}
