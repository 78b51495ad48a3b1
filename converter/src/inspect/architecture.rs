//! The model description in words.

use super::RecurrentWords;
use serde::Serialize;
use whit::format::{self, Description, NormKind, NormPlace, Positions};
use whit::kernels::{Activation, Pairing};

/// What a model computes, as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Architecture {
    /// A decoder-only transformer.
    Transformer(TransformerWords),
    /// A stack of recurrent layers.
    Recurrent(RecurrentWords),
}

impl Architecture {
    /// The words for `architecture`.
    pub fn of(architecture: &format::Architecture) -> Self {
        match architecture {
            format::Architecture::Transformer(description) => {
                Self::Transformer(TransformerWords::of(description))
            }
            format::Architecture::Recurrent(recurrent) => Self::Recurrent(RecurrentWords::of(recurrent)),
        }
    }
}

/// [`Description`] as it is shown: the same fields, choices as words.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are those of whit::format::Description")]
pub struct TransformerWords {
    /// `decoder`.
    pub kind: &'static str,
    pub vocabulary: u32,
    pub width: u32,
    pub layers: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub head_width: u32,
    pub hidden: u32,
    pub context: u32,
    pub window: u32,
    /// `none`, `rotary_interleaved`, `rotary_half_split` or `learned`.
    pub positions: &'static str,
    pub rotary_width: u32,
    /// `rms` or `layer`.
    pub norm: &'static str,
    /// `before` or `after`.
    pub norm_place: &'static str,
    pub final_norm: bool,
    /// `silu`, `gelu_erf`, `gelu_tanh` or `relu`.
    pub activation: &'static str,
    pub gated: bool,
    pub tied: bool,
    /// What has a bias: `norm`, `qkv`, `out`, `up`, `down`, `head`.
    pub biases: Vec<&'static str>,
    /// Kind of cache that sessions use unless told otherwise: `f32` or `int8`.
    pub cache: &'static str,
    pub epsilon: f32,
    pub attention_scale: f32,
    pub embedding_scale: f32,
    pub logit_scale: f32,
}

impl TransformerWords {
    /// The words for `description`.
    pub fn of(description: &Description) -> Self {
        let d = description;
        let biases = [
            ("norm", d.norm_bias),
            ("qkv", d.qkv_bias),
            ("out", d.out_bias),
            ("up", d.up_bias),
            ("down", d.down_bias),
            ("head", d.head_bias),
        ];
        Self {
            kind: "decoder",
            vocabulary: d.vocabulary,
            width: d.width,
            layers: d.layers,
            heads: d.heads,
            kv_heads: d.kv_heads,
            head_width: d.head_width,
            hidden: d.hidden,
            context: d.context,
            window: d.window,
            positions: positions(d.positions),
            rotary_width: d.rotary_width,
            norm: match d.norm {
                NormKind::Rms => "rms",
                NormKind::Layer => "layer",
            },
            norm_place: match d.norm_place {
                NormPlace::Before => "before",
                NormPlace::After => "after",
            },
            final_norm: d.final_norm,
            activation: activation(d.activation),
            gated: d.gated,
            tied: d.tied,
            biases: biases.into_iter().filter_map(|(name, there)| there.then_some(name)).collect(),
            cache: if d.int8_cache { "int8" } else { "f32" },
            epsilon: d.epsilon,
            attention_scale: d.attention_scale,
            embedding_scale: d.embedding_scale,
            logit_scale: d.logit_scale,
        }
    }
}

fn positions(positions: Positions) -> &'static str {
    match positions {
        Positions::None => "none",
        Positions::Rotary(Pairing::Interleaved) => "rotary_interleaved",
        Positions::Rotary(Pairing::HalfSplit) => "rotary_half_split",
        Positions::Learned => "learned",
    }
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Silu => "silu",
        Activation::GeluErf => "gelu_erf",
        Activation::GeluTanh => "gelu_tanh",
        Activation::Relu => "relu",
    }
}
