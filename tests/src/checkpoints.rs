//! Checkpoints with random weights in Hugging Face layout: any shape, any size, the same bytes for the same seed.
//!
//! Weights are streamed to disk, so a model may be larger than memory. Element `i` of a tensor, counted in its
//! `[outputs, inputs]` form, depends on the seed, the tensor's name and `i` alone ([`number`]), so a test can ask for
//! any of them without the file.

mod llama2c;
pub mod recurrent;
mod safetensors;
mod shapes;
mod tokenizer;

pub use llama2c::write_llama2c;
pub use safetensors::Dtype;
pub use shapes::{Family, Shape};

use safetensors::write_shards;
use serde_json::Value;
use std::{fs, io, path::Path};

/// How a checkpoint is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Type of all numbers.
    pub dtype: Dtype,
    /// Number of safetensors files.
    pub shards: usize,
    /// Seed of all numbers.
    pub seed: u64,
    /// Whether names have their prefix, `model.` or `transformer.`.
    pub prefixed: bool,
    /// Whether GPT-2's linear weights are `[inputs, outputs]`, as Hugging Face stores them.
    pub conv1d: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { dtype: Dtype::F32, shards: 1, seed: 1, prefixed: true, conv1d: true }
    }
}

/// What the numbers of a tensor look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Uniform with variance 1 / columns, so that activations neither grow nor vanish.
    Weight,
    /// Uniform in 0.9 … 1.1: the weight of a norm.
    Gain,
    /// Uniform in −0.1 … 0.1.
    Bias,
}

/// A tensor of a checkpoint.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name without prefix.
    pub name: String,
    /// Outputs and inputs of a matrix; 1 and the length of a vector.
    pub shape: [usize; 2],
    /// What its numbers look like.
    pub kind: Kind,
    /// Whether the file holds `[inputs, outputs]`.
    pub transposed: bool,
}

/// Element `index` of `spec` in its `[outputs, inputs]` form, before rounding to the file's type.
///
/// The generator is SplitMix64 (Steele, Lea and Flood 2014) at position `index` of a stream that starts at the
/// FNV-1a hash of the name xor the seed; its upper 24 bits are a number in −1 … 1.
pub fn number(seed: u64, spec: &Spec, index: usize) -> f32 {
    from_stream(stream(seed, &spec.name), spec, index)
}

fn stream(seed: u64, name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn from_stream(stream: u64, spec: &Spec, index: usize) -> f32 {
    let mut z = stream.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((z ^ z >> 31) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    match spec.kind {
        Kind::Weight => unit * (3.0 / spec.shape[1] as f32).sqrt(),
        Kind::Gain => 1.0 + 0.1 * unit,
        Kind::Bias => 0.1 * unit,
    }
}

/// Writes `config.json`, `generation_config.json`, `tokenizer.json` and the weights of a random model of `shape`.
///
/// # Errors
/// If a file cannot be written, or the vocabulary is too small or too large for a byte-level tokenizer.
pub fn write(directory: &Path, shape: &Shape, options: &Options) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    write_json(&directory.join("config.json"), &shape.config(options.dtype.torch()))?;
    let end = shape.vocabulary - 1;
    let generation = serde_json::json!({ "bos_token_id": end, "eos_token_id": [end] });
    write_json(&directory.join("generation_config.json"), &generation)?;
    write_json(&directory.join("tokenizer.json"), &tokenizer::byte_level(shape.vocabulary)?)?;
    let specs = shape.specs(options.conv1d);
    let prefix = if options.prefixed { shape.prefix() } else { "" };
    write_shards(directory, prefix, &specs, options.dtype, options.shards, |spec| {
        let stream = stream(options.seed, &spec.name);
        move |index| from_stream(stream, spec, index)
    })
}

fn write_json(path: &Path, value: &Value) -> io::Result<()> {
    fs::write(path, serde_json::to_vec_pretty(value)?)
}
