//! What `whit train` can be asked for, and what holds where it is not asked.

use crate::train::shape::{Kind, Preset, Shape};
use crate::train::tokenizer::Choice;
use crate::train::{Config, Fall, Integers};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Steps where neither --steps nor --epochs says how many.
const STEPS: u64 = 3000;

/// What the layers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Architecture {
    /// Attention: the best text for its size; memory grows with the context
    Transformer,
    /// Long short-term memory: constant memory, any length of text
    Lstm,
    /// Gated recurrent units: as LSTM, three quarters of its weights
    Gru,
}

/// The blocks of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Style {
    /// RMS norms, rotary positions, shared key and value heads, gated feed-forward with SiLU
    Llama,
    /// Layer norms, learned positions, plain feed-forward with GELU, biases
    Gpt2,
}

/// Sizes by about how many parameters they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Size {
    /// About 50 000 parameters, 40 kB at int4: the smallest microcontrollers
    #[value(name = "50k")]
    P50k,
    /// About 250 000 parameters, 150 kB at int4: microcontrollers
    #[value(name = "250k")]
    P250k,
    /// About a million parameters, 600 kB at int4: large microcontrollers
    #[value(name = "1m")]
    P1m,
    /// About five million parameters, 3 MB at int4: external flash, single-board computers
    #[value(name = "5m")]
    P5m,
}

impl From<Size> for Preset {
    fn from(size: Size) -> Self {
        match size {
            Size::P50k => Self::P50k,
            Size::P250k => Self::P250k,
            Size::P1m => Self::P1m,
            Size::P5m => Self::P5m,
        }
    }
}

/// How the learning rate falls after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Curve {
    /// Half a cosine
    Cosine,
    /// A line
    Linear,
    /// Not at all
    Constant,
}

impl From<Curve> for Fall {
    fn from(curve: Curve) -> Self {
        match curve {
            Curve::Cosine => Self::Cosine,
            Curve::Linear => Self::Linear,
            Curve::Constant => Self::Constant,
        }
    }
}

/// Weights as the runtime will store them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum QatWeights {
    /// int8 everywhere
    Int8,
    /// int4 in groups of 32; embedding and output head int8
    Int4,
}

impl From<QatWeights> for Integers {
    fn from(weights: QatWeights) -> Self {
        match weights {
            QatWeights::Int8 => Self::Int8,
            QatWeights::Int4 => Self::Int4,
        }
    }
}

/// The text, and what of it trains.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Text")]
pub(super) struct TextArgs {
    /// How text becomes tokens: chars (each character of the text), bytes, or bpe:N (at most N tokens: bytes, and byte pairs
    /// learned from the text)
    #[arg(long, value_name = "KIND", default_value = "chars")]
    pub(super) tokenizer: Choice,
    /// The text between two documents; a token of its own takes its place. Without it all files are one text
    #[arg(long, value_name = "MARKER")]
    pub(super) split: Option<String>,
    /// Validate on this file instead of on a share of the text; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "valid_share")]
    pub(super) valid: Vec<PathBuf>,
    /// The share of the text that validates: the last, but for --test-share
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    pub(super) valid_share: f64,
    /// The share of the text that is kept for a test when all is done: the last
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(super) test_share: f64,
}

/// The model.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArgs {
    /// What the layers are
    #[arg(long, default_value = "transformer")]
    arch: Architecture,
    /// The blocks of a transformer
    #[arg(long, default_value = "llama")]
    style: Style,
    /// The size, by about how many parameters; the options below change parts of it
    #[arg(long, value_name = "SIZE", default_value = "250k")]
    preset: Size,
    /// Layers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    layers: Option<u32>,
    /// Numbers between layers, or of a recurrent layer's state
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    width: Option<u32>,
    /// Numbers of a token's embedding, in recurrent models
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    embedding: Option<u32>,
    /// Attention heads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    heads: Option<u32>,
    /// Heads of keys and values, in Llama's style; fewer need less cache
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    kv_heads: Option<u32>,
    /// Numbers inside of the feed-forward
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=131_071))]
    hidden: Option<u32>,
    /// Tokens of a row: the positions of a transformer; as far as a recurrent model's gradients go back, which needs no
    /// positions [default: 128 to 512 with the preset; 64 for recurrent models]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=131_071))]
    pub(super) context: Option<u32>,
}

/// How it is trained.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainingArgs {
    /// Steps [default: 3000]
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps: Option<u64>,
    /// Steps as passes over the training text
    #[arg(long, value_name = "N", value_parser = positive)]
    epochs: Option<f64>,
    /// Rows of a batch [default: 16, recurrent models 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(super) batch: Option<u16>,
    /// The learning rate after the warm-up [default: 0.3 / width, at most 0.003; of recurrent models 1 / width, at most 0.01]
    #[arg(long, value_name = "RATE", value_parser = positive)]
    learning_rate: Option<f64>,
    /// Steps in which the learning rate rises [default: a twentieth of all, at most 200]
    #[arg(long, value_name = "N")]
    pub(super) warmup: Option<u64>,
    /// How the learning rate then falls, to a tenth
    #[arg(long, value_name = "CURVE", default_value = "cosine")]
    pub(super) decay: Curve,
    /// AdamW's pull of the matrices towards zero
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = share_f32)]
    pub(super) weight_decay: f32,
    /// The norm that gradients are cut down to; 0 for any
    #[arg(long, value_name = "NORM", default_value_t = 1.0, value_parser = norm)]
    pub(super) clip: f32,
    /// Share of the activations that each step leaves out
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share_f32)]
    pub(super) dropout: f32,
    /// Share of the probability that targets give to all tokens alike
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share_f32)]
    pub(super) label_smoothing: f32,
    /// Compute as the device will, with weights and activations rounded to integers: import with the same --weights
    #[arg(long, value_name = "WEIGHTS")]
    pub(super) qat: Option<QatWeights>,
    /// The share of the steps that goes before --qat begins; patience and the best model count from there
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, requires = "qat", value_parser = share)]
    pub(super) qat_from: f64,
    /// Names the random numbers: weights, batches, dropout
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
    /// Steps between two validations [default: a thirtieth of all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) eval_every: Option<u64>,
    /// Stop after so many validations without a gain; 0 never stops
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) patience: u32,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to below 1".to_owned())
}

fn share_f32(text: &str) -> Result<f32, String> {
    share(text).map(|share| share as f32)
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&number: &f64| number > 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

fn norm(text: &str) -> Result<f32, String> {
    let norm = text.parse().ok().filter(|&norm: &f32| norm >= 0.0 && norm.is_finite());
    norm.ok_or_else(|| "expected a number that is not negative".to_owned())
}

impl TrainingArgs {
    /// Steps, where `round` of them see every token about once.
    pub(super) fn steps(&self, round: u64) -> u64 {
        match self.epochs {
            Some(epochs) => ((epochs * round as f64).ceil() as u64).max(1),
            None => self.steps.unwrap_or(STEPS),
        }
    }

    /// The learning rate of a model: wider layers want smaller steps, and recurrent ones take larger ones (tinyshakespeare,
    /// LSTM of 128 units, 250 steps: 2.34 nats at 0.0023, 2.18 at 0.005, 2.06 at 0.01).
    pub(super) fn learning_rate(&self, config: &Config) -> f64 {
        let (width, factor, most) = match config {
            Config::Transformer(transformer) => (transformer.description.width, 0.3, 3e-3),
            Config::Recurrent(recurrent) => (recurrent.width, 1.0, 0.01),
        };
        self.learning_rate.unwrap_or((factor / f64::from(width)).min(most))
    }
}

impl ModelArgs {
    fn kind(&self) -> Kind {
        match (self.arch, self.style) {
            (Architecture::Transformer, Style::Llama) => Kind::Llama,
            (Architecture::Transformer, Style::Gpt2) => Kind::Gpt2,
            (Architecture::Lstm, _) => Kind::Lstm,
            (Architecture::Gru, _) => Kind::Gru,
        }
    }

    /// The preset with what was asked for instead.
    ///
    /// # Errors
    /// A message: an option has no meaning for the architecture.
    pub(super) fn shape(&self) -> Result<Shape, String> {
        let kind = self.kind();
        let only = |option: &str, whose: &str| Err(format!("--{option} is for {whose}; leave it out"));
        if kind.is_recurrent() {
            let given = [("heads", self.heads), ("kv-heads", self.kv_heads), ("hidden", self.hidden)];
            if let Some((option, _)) = given.iter().find(|(_, value)| value.is_some()) {
                return only(option, "transformers");
            }
        } else if self.embedding.is_some() {
            return only("embedding", "recurrent models");
        } else if kind == Kind::Gpt2 && self.kv_heads.is_some() {
            return only("kv-heads", "Llama's style");
        }
        let preset = Preset::from(self.preset).shape(kind);
        Ok(self.changed(preset))
    }

    /// What follows from a changed width or number of heads keeps its proportion, unless it was given too.
    fn changed(&self, preset: Shape) -> Shape {
        let width = self.width.unwrap_or(preset.width);
        let heads =
            self.heads.unwrap_or(if width == preset.width { preset.heads } else { preset.kind.heads(width) });
        let same = heads == preset.heads;
        let kv_heads = match preset.kind {
            Kind::Llama => {
                if same || heads.is_multiple_of(preset.kv_heads) {
                    preset.kv_heads
                } else {
                    1
                }
            }
            _ => heads,
        };
        let hidden = u64::from(preset.hidden) * u64::from(width) / u64::from(preset.width);
        let context = if preset.kind.is_recurrent() { 0 } else { self.context.unwrap_or(preset.context) };
        Shape {
            kind: preset.kind,
            layers: self.layers.unwrap_or(preset.layers),
            width,
            embedding: if preset.kind.is_recurrent() {
                self.embedding.unwrap_or(preset.embedding)
            } else {
                width
            },
            heads,
            kv_heads: self.kv_heads.unwrap_or(kv_heads),
            hidden: self.hidden.unwrap_or(hidden as u32),
            context,
        }
    }
}
