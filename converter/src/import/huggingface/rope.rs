//! Rotary frequencies, with the scalings that are a change of the frequencies alone.

use super::config::Fields;
use std::f64::consts::TAU;

/// Keys of a rotary configuration that are understood.
const KNOWN: [&str; 8] = [
    "type",
    "rope_type",
    "rope_theta",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
    "partial_rotary_factor",
];

/// How the plain frequencies are changed.
#[derive(Clone, Copy, Debug)]
enum Scaling {
    None,
    /// Position interpolation (Chen et al. 2023).
    Linear {
        factor: f64,
    },
    /// Wavelengths above `context / low` are divided by the factor, those below `context / high` kept, the ones
    /// between blended (the Llama 3.1 release).
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        context: f64,
    },
}

/// Radians per position for each of the `width / 2` pairs of a head: θ^(−2 i / width), scaled as `rope_scaling`, or
/// in newer files `rope_parameters`, says. Computed in f64, rounded once.
pub(super) fn frequencies(fields: &mut Fields, width: u32) -> Vec<f32> {
    let default_theta = 10_000.0;
    let top = fields.get("rope_theta").is_some().then(|| fields.positive("rope_theta", None));
    let mut theta = top.unwrap_or(default_theta);
    let mut scaling = Scaling::None;
    let newer = fields.get("rope_parameters").is_some();
    if newer && fields.get("rope_scaling").is_some_and(|older| fields.get("rope_parameters") != Some(older)) {
        fields.problem("rope_scaling", "it equal to `rope_parameters`", "another value", "remove one");
    }
    let name = if newer { "rope_parameters" } else { "rope_scaling" };
    if let Some(mut rope) = fields.object(name) {
        theta = rope.positive("rope_theta", Some(theta));
        if top.is_some_and(|top| top != theta) {
            rope.problem(
                "rope_theta",
                "the value of the field `rope_theta`",
                theta.to_string(),
                "remove one",
            );
        }
        scaling = read_scaling(&mut rope, newer);
        fields.merge(rope);
    }
    (0..width / 2).map(|i| scaling.apply(theta.powf(-2.0 * f64::from(i) / f64::from(width))) as f32).collect()
}

fn read_scaling(rope: &mut Fields, may_be_untyped: bool) -> Scaling {
    let unknown: Vec<_> = rope.names().filter(|name| !KNOWN.contains(name)).map(str::to_owned).collect();
    for name in unknown {
        rope.problem(&name, "no such field", "one", "whit does not compute this variant");
    }
    rope.refuse(&[("partial_rotary_factor", super::config::Only::Number(1.0))]);
    let name = if rope.get("rope_type").is_some() { "rope_type" } else { "type" };
    let kind = rope.text(name, if may_be_untyped { "default" } else { "" });
    match kind.as_str() {
        "default" => Scaling::None,
        "linear" => Scaling::Linear { factor: rope.positive("factor", None) },
        "llama3" => {
            let (low, high) =
                (rope.positive("low_freq_factor", None), rope.positive("high_freq_factor", None));
            if high <= low {
                rope.problem("high_freq_factor", "more than `low_freq_factor`", high.to_string(), "");
            }
            let factor = rope.positive("factor", None);
            Scaling::Llama3 {
                factor,
                low,
                high,
                context: rope.positive("original_max_position_embeddings", None),
            }
        }
        other => {
            let found = if other.is_empty() { "nothing".to_owned() } else { format!("`{other}`") };
            rope.problem(
                name,
                "`default`, `linear` or `llama3`",
                found,
                "whit does not compute this variant",
            );
            Scaling::None
        }
    }
}

impl Scaling {
    fn apply(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low, high, context } => {
                // How often the pair turns within the original context.
                let turns = context * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
        }
    }
}
