//! The learning rate from step to step: a linear rise, then a fall.

/// How the rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// It does not.
    Constant,
    /// In a line.
    Linear,
    /// In half a period of a cosine (Loshchilov and Hutter 2017).
    Cosine,
}

/// A learning rate for every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The largest rate, at the end of the warm-up.
    pub peak: f64,
    /// The rate at the end, and from there on.
    pub minimum: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// All steps.
    pub total: u64,
    /// What comes after the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// The rate of step `step`, counted from 1.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let falling = self.total.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / falling).min(1.0);
        let left = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.minimum + (self.peak - self.minimum) * left
    }
}
