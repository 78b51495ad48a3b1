//! How large a model is: presets sized for devices, and what they cost.

use super::config::{Cell, Config, Recurrent, Sizes, Transformer};

/// What the layers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Attention, with Llama's blocks: RMS norms, rotary positions, shared key and value heads, a gated feed-forward
    /// with SiLU; the output head is the embedding.
    Llama,
    /// Attention, with GPT-2's blocks: layer norms, learned positions, a plain feed-forward with GELU, biases; the
    /// output head is the embedding.
    Gpt2,
    /// Long short-term memory as PyTorch has it; the output head is a matrix of its own.
    Lstm,
    /// Gated recurrent units as PyTorch has them; the output head is a matrix of its own.
    Gru,
}

impl Kind {
    /// Whether the model carries a state from token to token instead of looking back.
    pub fn is_recurrent(self) -> bool {
        matches!(self, Self::Lstm | Self::Gru)
    }

    /// As many heads as are usual for `width`: of 32 numbers from a width of 128 on, else of 16 or what divides it.
    pub fn heads(self, width: u32) -> u32 {
        if self.is_recurrent() {
            return 0;
        }
        let largest = if width < 128 { 16 } else { 32 };
        let sizes = [32, 16, 8, 4, 2].into_iter().filter(|&size| size <= largest);
        let size = sizes.into_iter().find(|&size| width.is_multiple_of(size));
        width / size.unwrap_or(width).max(1)
    }
}

/// The sizes of a model. What a kind has no use for is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What the layers are.
    pub kind: Kind,
    /// Layers.
    pub layers: u32,
    /// Numbers between the layers, or of a recurrent layer's state.
    pub width: u32,
    /// Numbers of a token's embedding: the width, but for recurrent models.
    pub embedding: u32,
    /// Attention heads.
    pub heads: u32,
    /// Heads of keys and values.
    pub kv_heads: u32,
    /// Numbers inside of the feed-forward.
    pub hidden: u32,
    /// Positions that a token can look back to, itself included.
    pub context: u32,
}

/// Sizes for devices, by about how many parameters they have with an alphabet's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// 50 000: about 40 kB of int4.
    P50k,
    /// 250 000: about 150 kB of int4.
    P250k,
    /// 1 million: about 600 kB of int4.
    P1m,
    /// 5 million: about 3 MB of int4.
    P5m,
}

impl Preset {
    /// All of them, from the smallest.
    pub const ALL: [Self; 4] = [Self::P50k, Self::P250k, Self::P1m, Self::P5m];

    /// Its sizes for a kind of model.
    pub fn shape(self, kind: Kind) -> Shape {
        match kind {
            Kind::Llama => {
                let (layers, width, heads, kv_heads, hidden, context) = match self {
                    Self::P50k => (2, 48, 3, 1, 128, 128),
                    Self::P250k => (3, 96, 6, 2, 192, 256),
                    Self::P1m => (4, 160, 5, 1, 384, 256),
                    Self::P5m => (5, 320, 10, 2, 768, 512),
                };
                Shape { kind, layers, width, embedding: width, heads, kv_heads, hidden, context }
            }
            Kind::Gpt2 => {
                let (layers, width, heads, context) = match self {
                    Self::P50k => (2, 40, 2, 128),
                    Self::P250k => (3, 80, 5, 128),
                    Self::P1m => (5, 128, 4, 128),
                    Self::P5m => (6, 256, 8, 256),
                };
                let (kv_heads, hidden) = (heads, 4 * width);
                Shape { kind, layers, width, embedding: width, heads, kv_heads, hidden, context }
            }
            Kind::Lstm => match self {
                Self::P50k => recurrent(kind, 1, 80, 48),
                Self::P250k => recurrent(kind, 2, 128, 64),
                Self::P1m => recurrent(kind, 2, 256, 128),
                Self::P5m => recurrent(kind, 2, 608, 256),
            },
            Kind::Gru => match self {
                Self::P50k => recurrent(kind, 1, 96, 48),
                Self::P250k => recurrent(kind, 2, 144, 96),
                Self::P1m => recurrent(kind, 2, 304, 128),
                Self::P5m => recurrent(kind, 2, 704, 256),
            },
        }
    }
}

/// A recurrent model; its state has no positions to run out of.
fn recurrent(kind: Kind, layers: u32, width: u32, embedding: u32) -> Shape {
    Shape { kind, layers, width, embedding, heads: 0, kv_heads: 0, hidden: 0, context: 0 }
}

impl Shape {
    /// The model of this shape with a vocabulary.
    pub fn config(&self, vocabulary: u32) -> Config {
        let Shape { layers, width, embedding, heads, kv_heads, hidden, context, .. } = *self;
        let sizes = Sizes { vocabulary, width, layers, heads, kv_heads, hidden, context, tied: true };
        let recurrent =
            |cell| Config::Recurrent(Recurrent { cell, vocabulary, embedding, width, layers, tied: false });
        match self.kind {
            Kind::Llama => Config::Transformer(Transformer::llama(sizes)),
            Kind::Gpt2 => Config::Transformer(Transformer::gpt2(sizes)),
            Kind::Lstm => recurrent(Cell::Lstm),
            Kind::Gru => recurrent(Cell::Gru),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::model::Model;

    #[test]
    fn presets_have_about_the_parameters_that_they_are_named_for() {
        for (preset, expected) in Preset::ALL.into_iter().zip([50e3, 250e3, 1e6, 5e6]) {
            for kind in [Kind::Llama, Kind::Gpt2, Kind::Lstm, Kind::Gru] {
                let model = Model::new(&preset.shape(kind).config(65), 0).expect("presets are possible");
                let count = model.parameters() as f64;
                assert!((0.9 * expected..1.1 * expected).contains(&count), "{kind:?} {preset:?}: {count}");
            }
        }
    }

    #[test]
    fn heads_of_a_width_divide_it() {
        let heads = [(64, 4), (96, 6), (128, 4), (320, 10), (72, 9), (130, 65), (33, 1), (1, 1)];
        for (width, expected) in heads {
            assert_eq!(Kind::Llama.heads(width), expected, "{width}");
        }
        assert_eq!(Kind::Lstm.heads(64), 0);
    }
}
