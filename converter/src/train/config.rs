//! What can be trained: every value here has a checkpoint format that says it.

use super::error::TrainError;
use whit::format::{Description, NormKind, NormPlace, Positions, WideInputs};
use whit::kernels::{Activation, Pairing};

/// A model to be trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// A decoder, as `LlamaForCausalLM` or `GPT2LMHeadModel` write it.
    Transformer(Transformer),
    /// A stack of recurrent layers between an embedding and an output head.
    Recurrent(Recurrent),
}

/// A decoder-only transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// What it computes. [`Transformer::llama`] and [`Transformer::gpt2`] give what can be said in a checkpoint; of
    /// their fields, `activation`, `epsilon` and `head_width`, of the first one's also `qkv_bias` with `out_bias` and
    /// `up_bias` with `down_bias`, may be changed.
    pub description: Description,
    /// Base of the rotary frequencies; of no meaning without them.
    pub rope_theta: f64,
}

/// The sizes of a transformer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Blocks.
    pub layers: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Width of the feed-forward block.
    pub hidden: u32,
    /// Most positions.
    pub context: u32,
    /// Whether the output head is the embedding.
    pub tied: bool,
}

/// Which family of checkpoints a transformer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `LlamaForCausalLM`.
    Llama,
    /// `GPT2LMHeadModel`.
    Gpt2,
}

/// The cell of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Gates i, f, g, o, as `torch.nn.LSTM`.
    Lstm,
    /// Gates r, z, n, the reset gate behind the recurrent product, as `torch.nn.GRU`.
    Gru,
}

/// A recurrent language model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent {
    /// The cell.
    pub cell: Cell,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Width of the embedding.
    pub embedding: u32,
    /// Width of the layers.
    pub width: u32,
    /// Layers.
    pub layers: u32,
    /// Whether the output head is the embedding, which then is as wide as the layers.
    pub tied: bool,
}

impl Transformer {
    /// Rotary positions, RMS norm and a gated feed-forward block with SiLU, no biases.
    pub fn llama(sizes: Sizes) -> Self {
        let head_width = sizes.width / sizes.heads.max(1);
        let description = Description {
            rotary_width: head_width,
            norm: NormKind::Rms,
            positions: Positions::Rotary(Pairing::HalfSplit),
            activation: Activation::Silu,
            gated: true,
            norm_bias: false,
            qkv_bias: false,
            out_bias: false,
            up_bias: false,
            down_bias: false,
            ..Self::gpt2(sizes).description
        };
        Self { description, rope_theta: 10_000.0 }
    }

    /// Learned positions, layer norm and a plain feed-forward block with GELU (tanh form), biases everywhere but in
    /// the head. `kv_heads` must be `heads`.
    pub fn gpt2(sizes: Sizes) -> Self {
        let head_width = sizes.width / sizes.heads.max(1);
        let description = Description {
            vocabulary: sizes.vocabulary,
            width: sizes.width,
            layers: sizes.layers,
            heads: sizes.heads,
            kv_heads: sizes.kv_heads,
            head_width,
            hidden: sizes.hidden,
            context: sizes.context,
            window: 0,
            rotary_width: 0,
            norm: NormKind::Layer,
            norm_place: NormPlace::Before,
            positions: Positions::Learned,
            activation: Activation::GeluTanh,
            gated: false,
            tied: sizes.tied,
            final_norm: true,
            norm_bias: true,
            qkv_bias: true,
            out_bias: true,
            up_bias: true,
            down_bias: true,
            head_bias: false,
            int8_cache: false,
            wide_inputs: WideInputs::NONE,
            epsilon: 1e-5,
            attention_scale: (1.0 / f64::from(head_width).sqrt()) as f32,
            embedding_scale: 1.0,
            logit_scale: 1.0,
        };
        Self { description, rope_theta: 10_000.0 }
    }

    /// The family whose checkpoints can say this.
    ///
    /// # Errors
    /// If none can, naming the field.
    pub fn family(&self) -> Result<Family, TrainError> {
        let found = &self.description;
        found.check().map_err(|error| TrainError::Config {
            field: "the description of the transformer",
            expected: "one that the format knows".to_owned(),
            found: error.to_string(),
        })?;
        let sizes = Sizes {
            vocabulary: found.vocabulary,
            width: found.width,
            layers: found.layers,
            heads: found.heads,
            kv_heads: found.kv_heads,
            hidden: found.hidden,
            context: found.context,
            tied: found.tied,
        };
        let (family, like) = match found.positions {
            Positions::Learned => (Family::Gpt2, Self::gpt2(sizes)),
            _ => (Family::Llama, Self::llama(sizes)),
        };
        let (activation, epsilon) = (found.activation, found.epsilon);
        let like = Description { activation, epsilon, head_width: found.head_width, ..like.description };
        let attention_scale = (1.0 / f64::from(found.head_width).sqrt()) as f32;
        let like = match family {
            Family::Gpt2 => Description { attention_scale, ..like },
            Family::Llama => Description {
                attention_scale,
                rotary_width: found.head_width,
                qkv_bias: found.qkv_bias,
                out_bias: found.qkv_bias,
                up_bias: found.up_bias,
                down_bias: found.up_bias,
                ..like
            },
        };
        let whole = family == Family::Llama
            || (found.kv_heads == found.heads && found.query_width() == found.width as usize);
        if *found == like && whole {
            return Ok(family);
        }
        Err(TrainError::Config {
            field: "the description of the transformer",
            expected: format!("{like:?}, which {family:?} checkpoints can say"),
            found: format!("{found:?}"),
        })
    }

    /// Radians per position of each pair of a head: θ^(−2 i / width), computed in f64, rounded once, as importing does.
    pub(super) fn frequencies(&self) -> Vec<f32> {
        let width = self.description.rotary_width;
        let frequency = |i: u32| self.rope_theta.powf(-2.0 * f64::from(i) / f64::from(width)) as f32;
        (0..width / 2).map(frequency).collect()
    }
}

impl Recurrent {
    /// Checks the sizes.
    ///
    /// # Errors
    /// Naming the first that is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        let sizes = [
            ("vocabulary", self.vocabulary, 1 << 24),
            ("embedding", self.embedding, 1 << 16),
            ("width", self.width, 1 << 16),
            ("layers", self.layers, 1 << 10),
        ];
        for (field, found, most) in sizes {
            if !(1..=most).contains(&found) {
                let expected = format!("1 to {most}");
                return Err(TrainError::Config { field, expected, found: found.to_string() });
            }
        }
        if self.tied && self.embedding != self.width {
            return Err(TrainError::Config {
                field: "embedding",
                expected: format!("the width of the layers, {}, where the head is tied to it", self.width),
                found: self.embedding.to_string(),
            });
        }
        Ok(())
    }
}

impl Config {
    /// Tokens in the vocabulary.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Transformer(transformer) => transformer.description.vocabulary as usize,
            Self::Recurrent(recurrent) => recurrent.vocabulary as usize,
        }
    }

    /// Most tokens in a sequence; `None` for as many as there are.
    pub fn context(&self) -> Option<usize> {
        match self {
            Self::Transformer(transformer) => Some(transformer.description.context as usize),
            Self::Recurrent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes {
        vocabulary: 65,
        width: 32,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        hidden: 96,
        context: 16,
        tied: true,
    };

    #[test]
    fn what_a_checkpoint_can_say_is_taken() {
        let mut llama = Transformer::llama(SIZES);
        assert_eq!(llama.family(), Ok(Family::Llama));
        llama.description.qkv_bias = true;
        llama.description.out_bias = true;
        llama.description.activation = Activation::GeluTanh;
        assert_eq!(llama.family(), Ok(Family::Llama));
        assert_eq!(Transformer::gpt2(Sizes { kv_heads: 4, ..SIZES }).family(), Ok(Family::Gpt2));
    }

    #[test]
    fn what_no_checkpoint_can_say_is_refused() {
        let changes: [fn(&mut Description); 6] = [
            |d| d.norm_place = NormPlace::After,
            |d| d.norm_bias = true,
            |d| d.gated = false,
            |d| d.out_bias = true,
            |d| d.window = 4,
            |d| d.heads = 3,
        ];
        for change in changes {
            let mut llama = Transformer::llama(SIZES);
            change(&mut llama.description);
            assert!(llama.family().is_err(), "{:?}", llama.description);
        }
        assert!(Transformer::gpt2(SIZES).family().is_err(), "GPT-2 has as many key heads as queries");
        let lstm =
            Recurrent { cell: Cell::Lstm, vocabulary: 9, embedding: 8, width: 12, layers: 1, tied: true };
        assert!(lstm.check().is_err() && Recurrent { tied: false, ..lstm }.check().is_ok());
        assert!(Recurrent { layers: 0, tied: false, ..lstm }.check().is_err());
    }
}
