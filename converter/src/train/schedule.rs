//! The learning rate over the steps: up in a line, then down along a curve.

use serde::{Deserialize, Serialize};

/// How the rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Half a cosine, down to the least rate (I. Loshchilov and F. Hutter, "SGDR", 2017, without restarts).
    Cosine,
    /// A line, down to the least rate.
    Linear,
    /// Not at all.
    Constant,
}

/// The learning rate of every step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// At the end of the warm-up.
    pub peak: f64,
    /// At the last step.
    pub least: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// All steps.
    pub total: u64,
    /// Between the two.
    pub decay: Decay,
}

impl Schedule {
    /// The rate of step `step`, counted from 1.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1);
        let done = ((step - self.warmup) as f64 / span as f64).min(1.0);
        let left = match self.decay {
            Decay::Cosine => (1.0 + (std::f64::consts::PI * done).cos()) / 2.0,
            Decay::Linear => 1.0 - done,
            Decay::Constant => 1.0,
        };
        self.least + (self.peak - self.least) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_warm_up_and_of_the_run_are_exact() {
        for decay in [Decay::Cosine, Decay::Linear] {
            let schedule = Schedule { peak: 1e-3, least: 1e-4, warmup: 10, total: 100, decay };
            assert_eq!(schedule.rate(5), 5e-4);
            assert_eq!(schedule.rate(10), 1e-3);
            assert_eq!(schedule.rate(100), 1e-4);
            assert_eq!(schedule.rate(200), 1e-4);
        }
    }

    #[test]
    fn runs_without_a_warm_up_or_shorter_than_it_have_rates() {
        let schedule = Schedule { peak: 1.0, least: 0.0, warmup: 0, total: 1, decay: Decay::Linear };
        assert_eq!(schedule.rate(1), 0.0);
        let schedule = Schedule { warmup: 8, total: 4, ..schedule };
        assert_eq!(schedule.rate(4), 0.5);
        assert_eq!(Schedule { decay: Decay::Constant, ..schedule }.rate(100), 1.0);
    }
}
