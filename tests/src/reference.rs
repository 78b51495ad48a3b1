//! Llama, Mistral and GPT-2 in f64, straight from a Hugging Face directory: the oracle for importer and runtime.
//!
//! Shares no code with either: its own safetensors reader, its own rotary frequencies, plain loops over all positions
//! at once, no cache. Slow on purpose; use it on short texts.

mod gpt2;
mod llama;
mod weights;

use serde_json::Value;
use std::path::Path;
use weights::Weights;

/// One vector per position.
type Vectors = Vec<Vec<f64>>;

/// A model and its configuration.
#[derive(Debug)]
pub struct Reference {
    config: Value,
    weights: Weights,
}

impl Reference {
    /// Reads `config.json` and the safetensors files in `directory`.
    ///
    /// # Panics
    /// If a file is missing or damaged: this is a test tool.
    pub fn open(directory: &Path) -> Self {
        let config = std::fs::read(directory.join("config.json")).expect("config.json can be read");
        let config = serde_json::from_slice(&config).expect("config.json is JSON");
        Self { config, weights: Weights::open(directory) }
    }

    /// Logits after each of `tokens`, `[tokens][vocabulary]`.
    ///
    /// # Panics
    /// If the architecture is not known here, a tensor is missing, or a token is not in the vocabulary.
    pub fn logits(&self, tokens: &[u32]) -> Vectors {
        match self.config["model_type"].as_str() {
            Some("llama" | "mistral") => llama::logits(&self.config, &self.weights, tokens),
            Some("gpt2") => gpt2::logits(&self.config, &self.weights, tokens),
            other => panic!("no reference for model type {other:?}"),
        }
    }
}

/// The rotary frequencies of a Llama configuration, in radians per position, one for each pair of a head.
pub fn rotary_frequencies(config: &Value, head_width: usize) -> Vec<f64> {
    llama::frequencies(config, head_width)
}

/// The size `name` of a configuration; `default` where it is absent.
fn size(config: &Value, name: &str, default: Option<usize>) -> usize {
    let found = config[name].as_u64().map(|size| size as usize);
    found.or(default).unwrap_or_else(|| panic!("the configuration has no `{name}`"))
}

fn add(x: &mut Vectors, y: &Vectors) {
    for (x, y) in x.iter_mut().zip(y) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

/// The element-wise functions by the names that configurations use.
fn activate(name: &str, x: f64) -> f64 {
    match name {
        "silu" => x / (1.0 + (-x).exp()),
        "relu" => x.max(0.0),
        "gelu" => x * 0.5 * (1.0 + libm::erf(x / 2.0_f64.sqrt())),
        "gelu_new" | "gelu_pytorch_tanh" => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        other => panic!("no reference for activation `{other}`"),
    }
}

/// What attention needs to know.
#[derive(Clone, Copy, Debug)]
struct Attention {
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    /// Positions that a query sees, itself included; 0 for all.
    window: usize,
    scale: f64,
}

impl Attention {
    /// Causal softmax attention; query head h reads key and value head h · kv_heads / heads.
    fn apply(&self, queries: &Vectors, keys: &Vectors, values: &Vectors) -> Vectors {
        let n = self.head_width;
        let mut out = vec![vec![0.0; self.heads * n]; queries.len()];
        for (position, (query, out)) in queries.iter().zip(&mut out).enumerate() {
            let first = if self.window == 0 { 0 } else { (position + 1).saturating_sub(self.window) };
            for head in 0..self.heads {
                let kv = head * self.kv_heads / self.heads * n;
                let query = &query[head * n..][..n];
                let score = |p: usize| {
                    let dot: f64 = query.iter().zip(&keys[p][kv..]).map(|(q, k)| q * k).sum();
                    dot * self.scale
                };
                let scores: Vec<f64> = (first..=position).map(score).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for (weight, values) in weights.iter().zip(&values[first..]) {
                    for (out, value) in out[head * n..][..n].iter_mut().zip(&values[kv..]) {
                        *out += weight / sum * value;
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
