//! Figures that the literature of the field states for compressed models: claims to compare with, never measurements
//! of ours.

use serde::Serialize;

/// What a source claims for a method. Ratios are base over variant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The method.
    pub method: &'static str,
    /// R.
    pub size: f64,
    /// A, of accuracy.
    pub quality: f64,
    /// L.
    pub latency: f64,
    /// E.
    pub energy: f64,
    /// Where it stands, and what is known against it.
    pub source: &'static str,
}

const fn claim(method: &'static str, ratios: [f64; 4], source: &'static str) -> Claim {
    let [size, quality, latency, energy] = ratios;
    Claim { method, size, quality, latency, energy, source }
}

/// Of BERT-base (accuracy), against f32.
pub const CLAIMS: &[Claim] = &[
    claim("FP16", [2.0, 1.0, 1.5, 1.8], "course notes 000:L11172"),
    claim("INT8", [4.0, 0.99, 2.5, 3.2], "course notes 000:L11173; their own accuracies give A = 99.55 %"),
    claim("INT4", [8.0, 0.96, 3.5, 5.1], "course notes 000:L11174; their own accuracies give A = 98.1 %"),
    claim("pruned", [10.0, 0.95, 1.2, 1.5], "course notes 000:L11175"),
];

/// What the same source calls good.
pub const BANDS: &str = "R 4 to 10, A above 95 %, L 2 to 4 (course notes 000:L11149)";
