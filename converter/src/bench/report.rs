//! What was measured on one file. The fields are the JSON keys of `whit bench --json`.

use super::scaling::Scaling;
use super::stability::{Evidence, Stability};
use super::statistics::{Summary, quantile};
use crate::machine::{Conditions, Machine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was measured. Speeds and times are medians of [`Report::samples`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Its size.
    pub file_bytes: u64,
    /// Names its model: tensors, architecture and tokenizer.
    pub fingerprint: String,
    /// The most positions that the model was made for; `null` if it has no limit.
    pub model_context: Option<usize>,
    /// The backend that computed.
    pub backend: String,
    /// Kind of cache: `f32` or `int8`.
    pub cache: String,
    /// Workers.
    pub threads: usize,
    /// Names the tokens.
    pub seed: u64,
    /// How often each was measured at least.
    pub repeats: usize,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens decoded.
    pub decode_tokens: usize,
    /// Tokens in one pass over the weights, in prefill.
    pub batch: usize,
    /// From opening the file until the first token can be fed.
    pub load_ms: f64,
    /// From opening the file until the first token of the answer is drawn, the prompt read.
    pub first_token_ms: f64,
    /// Tokens of the prompt per second.
    pub prefill_tokens_per_s: f64,
    /// The same per second of CPU time; `null` where the system does not tell.
    pub prefill_tokens_per_cpu_s: Option<f64>,
    /// Tokens decoded per second.
    pub decode_tokens_per_s: f64,
    /// The same per second of CPU time.
    pub decode_tokens_per_cpu_s: Option<f64>,
    /// Of single tokens decoded.
    pub latency_ms: Latency,
    /// Weights that one decoded token reads.
    pub weight_bytes_per_token: u64,
    /// Weights read per second of decoding, in 10⁹ bytes.
    pub gb_per_s: f64,
    /// What the same threads reach when they only read these weights, in their best pass.
    pub read_bandwidth_gb_per_s: f64,
    /// What decoding reads in a second as a share of what they read alone, both in turn, some milliseconds each.
    pub bandwidth_share: f64,
    /// Multiplications with weights that one token of the prompt takes: all layers, without attention's own.
    pub prefill_macs_per_token: u64,
    /// The same of one decoded token, the output head included.
    pub decode_macs_per_token: u64,
    /// Multiplications per second of prefill, in 10⁹.
    pub prefill_gmac_per_s: f64,
    /// What the same threads reach with products of bytes on registers alone; `null` where that is not measured.
    pub integer_peak_gmac_per_s: Option<f64>,
    /// The instructions that reach it.
    pub integer_peak_instructions: Option<String>,
    /// The first as a share of the second.
    pub integer_peak_share: Option<f64>,
    /// Memory of the session.
    pub arena_bytes: usize,
    /// Weights in the file, used where they lie.
    pub weights_mapped_bytes: u64,
    /// The most memory that was resident, mapped files included, in a process that loaded this model, read the prompt
    /// and decoded, and did nothing else before.
    pub peak_rss_bytes: Option<u64>,
    /// The most that was resident before the file was opened: the program and its libraries.
    pub rss_before_load_bytes: Option<u64>,
    /// CPU time over wall-clock time and threads, in prefill and decode.
    pub cpu_share: Option<f64>,
    /// Whole processes.
    pub start: Option<Start>,
    /// Decoding at depths of the context.
    pub contexts: Vec<Depth>,
    /// The speed with each number of threads asked for.
    pub thread_sweep: Vec<Variant>,
    /// How much faster more threads are than the first number of them, turn by turn.
    #[serde(default)]
    pub scaling: Vec<Scaling>,
    /// The speed with each backend asked for.
    pub backend_sweep: Vec<Variant>,
    /// Median, 95 % interval and variation of every figure that has samples, by its key.
    pub summaries: BTreeMap<String, Summary>,
    /// Which figures can be trusted.
    pub stability: Stability,
    /// What it ran on.
    pub machine: Machine,
    /// The machine's state before.
    pub before: Conditions,
    /// And after.
    pub after: Conditions,
    /// Version of this program.
    pub version: String,
    /// The commit that it was built from, `-dirty` if files were changed, or `unknown`.
    pub commit: String,
    /// When it was measured, in UTC.
    pub date: String,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
    /// Every single measurement.
    pub samples: Samples,
    /// Energy, if it was asked for: measured, with the source that measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<crate::energy::method::Report>,
    /// Energy on another device, if that was asked for: never measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<crate::energy::model::Estimate>,
}

/// Every single measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// One value a run, by the figure's key.
    pub figures: BTreeMap<String, Vec<f64>>,
    /// Milliseconds of each decoded token, of each run.
    pub token_ms: Vec<Vec<f64>>,
}

/// How long single tokens take to decode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// So many were measured.
    pub tokens: usize,
    /// On average.
    pub mean: f64,
    /// Half of all took at most so long.
    pub p50: f64,
    /// 95 % did.
    pub p95: f64,
    /// 99 % did.
    pub p99: f64,
    /// All did.
    pub max: f64,
}

impl Latency {
    /// Of the tokens of all runs, in milliseconds.
    pub fn of(token_ms: &[f64]) -> Self {
        let [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1.0].map(|share| quantile(token_ms, share));
        let mean = token_ms.iter().sum::<f64>() / token_ms.len() as f64;
        Self { tokens: token_ms.len(), mean, p50, p95, p99, max }
    }
}

/// `whit run` as a process of its own, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Until the end after one token.
    pub first_token_ms: f64,
    /// CPU time of the same.
    pub first_token_cpu_ms: Option<f64>,
    /// How many tokens the longer run gave.
    pub tokens: usize,
    /// Until its end.
    pub last_token_ms: f64,
    /// CPU time of the same.
    pub last_token_cpu_ms: Option<f64>,
}

/// Decoding with so many positions in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Depth {
    /// Positions before the first token decoded.
    pub context: usize,
    /// Tokens decoded in one pass.
    pub tokens: usize,
    /// Tokens per second.
    pub decode_tokens_per_s: f64,
    /// The same per second of CPU time.
    pub decode_tokens_per_cpu_s: Option<f64>,
    /// Of single tokens.
    pub latency_ms: Latency,
}

impl Depth {
    /// The key of its speed among samples and summaries.
    pub fn key(&self) -> String {
        format!("context_{}_decode_tokens_per_s", self.context)
    }

    /// The key of its speed per second of CPU time.
    pub fn cpu_key(&self) -> String {
        format!("context_{}_decode_tokens_per_cpu_s", self.context)
    }
}

/// The speed with other settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Workers.
    pub threads: usize,
    /// The backend that computed.
    pub backend: String,
    /// Tokens of the prompt per second.
    pub prefill_tokens_per_s: f64,
    /// The same per second of CPU time.
    pub prefill_tokens_per_cpu_s: Option<f64>,
    /// Tokens decoded per second.
    pub decode_tokens_per_s: f64,
    /// The same per second of CPU time.
    pub decode_tokens_per_cpu_s: Option<f64>,
    /// Which of these can be trusted.
    pub stability: Stability,
}

impl From<&Report> for Variant {
    fn from(report: &Report) -> Self {
        Self {
            threads: report.threads,
            backend: report.backend.clone(),
            prefill_tokens_per_s: report.prefill_tokens_per_s,
            prefill_tokens_per_cpu_s: report.prefill_tokens_per_cpu_s,
            decode_tokens_per_s: report.decode_tokens_per_s,
            decode_tokens_per_cpu_s: report.decode_tokens_per_cpu_s,
            stability: report.stability.clone(),
        }
    }
}

impl Report {
    /// Sums up the samples and judges them: after they were added to.
    pub fn judge(&mut self, spread_limit: f64) {
        let summary = |(key, samples): (&String, &Vec<f64>)| (key.clone(), Summary::of(samples));
        self.summaries = self.samples.figures.iter().map(summary).collect();
        let evidence = Evidence {
            summaries: &self.summaries,
            machine: &self.machine,
            before: &self.before,
            after: &self.after,
            cpu_share: self.cpu_share,
        };
        self.stability = Stability::judge(&evidence, spread_limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_those_of_real_tokens() {
        let token_ms: Vec<f64> = (1..=200).map(f64::from).collect();
        let latency = Latency::of(&token_ms);
        let expected = Latency { tokens: 200, mean: 100.5, p50: 100.0, p95: 190.0, p99: 198.0, max: 200.0 };
        assert_eq!(latency, expected);
    }
}
