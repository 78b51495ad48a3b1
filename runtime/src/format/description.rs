//! Architecture as data: the fixed record that says what a model computes.

use super::{Role, WideInputs, read_u32};
use crate::architecture::{Activation, NormKind, NormPlace, Pairing, Positions};
use crate::error::Error;
use crate::parts::{ALL_TRANSFORMERS, TRANSFORMER};

/// A decoder-only transformer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Description {
    /// Number of tokens in the vocabulary.
    pub vocabulary: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Number of blocks.
    pub layers: u32,
    /// Number of query heads.
    pub heads: u32,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: u32,
    /// Width of one head.
    pub head_width: u32,
    /// Width of the feed-forward block.
    pub hidden: u32,
    /// Most positions that the model was made for.
    pub context: u32,
    /// Positions that a query sees, itself included; 0 for all.
    pub window: u32,
    /// Elements of each head that a rotary embedding rotates; even, 0 without one.
    pub rotary_width: u32,
    /// Kind of normalization.
    pub norm: NormKind,
    /// Place of normalization.
    pub norm_place: NormPlace,
    /// How positions enter.
    pub positions: Positions,
    /// Element-wise function of the feed-forward block.
    pub activation: Activation,
    /// Whether the feed-forward block is `down(f(gate x) · up x)` instead of `down(f(up x))`.
    pub gated: bool,
    /// Whether the output head is the embedding.
    pub tied: bool,
    /// Whether a last normalization precedes the output head.
    pub final_norm: bool,
    /// Whether normalizations have a bias.
    pub norm_bias: bool,
    /// Whether the query, key and value projections have a bias.
    pub qkv_bias: bool,
    /// Whether the attention output projection has a bias.
    pub out_bias: bool,
    /// Whether the feed-forward input projections have a bias.
    pub up_bias: bool,
    /// Whether the feed-forward output projection has a bias.
    pub down_bias: bool,
    /// Whether the output head has a bias.
    pub head_bias: bool,
    /// Whether sessions keep keys and values as int8 unless told otherwise.
    pub int8_cache: bool,
    /// Which projections take 16-bit activations in some layer.
    pub wide_inputs: WideInputs,
    /// Added to the mean square or the variance.
    pub epsilon: f32,
    /// Factor of attention scores, usually 1 / √head_width.
    pub attention_scale: f32,
    /// Factor of embeddings, usually 1.
    pub embedding_scale: f32,
    /// Factor of logits, usually 1.
    pub logit_scale: f32,
}

const FLAGS: u32 = 10;
/// Flags with those of [`WideInputs`], which follow.
const ALL_FLAGS: u32 = FLAGS + WideInputs::BITS;

impl Description {
    /// Bytes of the record in the file.
    pub const LEN: usize = 128;

    pub(super) const KIND: u32 = 1;

    /// Reads and checks a record. `const`, so that firmware can size its arena at compile time.
    ///
    /// # Errors
    /// [`Error::Section`] if the length is wrong, [`Error::Description`] naming the field that is out of range,
    /// [`Error::LeftOut`] if the program was built without transformers.
    pub const fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::LEN {
            return Err(Error::Section { section: "description", problem: "must have 128 bytes" });
        }
        if let Err(error) = in_range("kind", read_u32(bytes, 0), Self::KIND, Self::KIND) {
            return Err(error);
        }
        if let Err(error) = TRANSFORMER.needed() {
            return Err(error);
        }
        let choices = read_u32(bytes, 40);
        let flags = read_u32(bytes, 44);
        let mut at = 68;
        while at < Self::LEN {
            if read_u32(bytes, at) != 0 {
                return Err(Error::Description { field: "reserved", found: read_u32(bytes, at) });
            }
            at += 4;
        }
        if flags >> ALL_FLAGS != 0 {
            return Err(Error::Description { field: "flags", found: flags });
        }
        let description = Self {
            vocabulary: read_u32(bytes, 4),
            width: read_u32(bytes, 8),
            layers: read_u32(bytes, 12),
            heads: read_u32(bytes, 16),
            kv_heads: read_u32(bytes, 20),
            head_width: read_u32(bytes, 24),
            hidden: read_u32(bytes, 28),
            context: read_u32(bytes, 32),
            window: read_u32(bytes, 36),
            rotary_width: read_u32(bytes, 48),
            norm: match choices & 0xff {
                0 => NormKind::Rms,
                1 => NormKind::Layer,
                found => return Err(Error::Description { field: "norm", found }),
            },
            norm_place: match choices >> 8 & 0xff {
                0 => NormPlace::Before,
                1 => NormPlace::After,
                found => return Err(Error::Description { field: "norm place", found }),
            },
            positions: match choices >> 16 & 0xff {
                0 => Positions::None,
                1 => Positions::Rotary(Pairing::Interleaved),
                2 => Positions::Rotary(Pairing::HalfSplit),
                3 => Positions::Learned,
                found => return Err(Error::Description { field: "positions", found }),
            },
            activation: match choices >> 24 {
                0 => Activation::Silu,
                1 => Activation::GeluErf,
                2 => Activation::GeluTanh,
                3 => Activation::Relu,
                found => return Err(Error::Description { field: "activation", found }),
            },
            gated: flags & 1 != 0,
            tied: flags & 2 != 0,
            final_norm: flags & 4 != 0,
            norm_bias: flags & 8 != 0,
            qkv_bias: flags & 16 != 0,
            out_bias: flags & 32 != 0,
            up_bias: flags & 64 != 0,
            down_bias: flags & 128 != 0,
            head_bias: flags & 256 != 0,
            int8_cache: flags & 512 != 0,
            wide_inputs: WideInputs::from_bits(flags >> FLAGS),
            epsilon: f32::from_bits(read_u32(bytes, 52)),
            attention_scale: f32::from_bits(read_u32(bytes, 56)),
            embedding_scale: f32::from_bits(read_u32(bytes, 60)),
            logit_scale: f32::from_bits(read_u32(bytes, 64)),
        };
        let needed = if description.is_llama() { Ok(()) } else { ALL_TRANSFORMERS.needed() };
        match (description.check(), needed) {
            (Ok(()), Ok(())) => Ok(description),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Checks every field's range and the relations between them.
    ///
    /// # Errors
    /// [`Error::Description`] naming the first field that is out of range.
    pub const fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("vocabulary", self.vocabulary, 1, 1 << 24),
            ("width", self.width, 1, 1 << 16),
            ("layers", self.layers, 1, 1 << 10),
            ("heads", self.heads, 1, 1 << 10),
            ("kv heads", self.kv_heads, 1, self.heads),
            ("head width", self.head_width, 1, 1 << 10),
            ("hidden", self.hidden, 1, 131_071),
            // The value sum of attention is one exact i32 sum over the positions.
            ("context", self.context, 1, 131_071),
            ("window", self.window, 0, 131_071),
            ("rotary width", self.rotary_width, 0, self.head_width),
            ("rotary width (must be even)", self.rotary_width % 2, 0, 0),
        ];
        let mut i = 0;
        while i < ranges.len() {
            let (field, found, least, most) = ranges[i];
            if let Err(error) = in_range(field, found, least, most) {
                return Err(error);
            }
            i += 1;
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::Description { field: "kv heads (must divide heads)", found: self.kv_heads });
        }
        let rotary = matches!(self.positions, Positions::Rotary(_));
        if rotary != (self.rotary_width > 0) {
            return Err(Error::Description { field: "rotary width", found: self.rotary_width });
        }
        let factors = [
            ("epsilon", self.epsilon),
            ("attention scale", self.attention_scale),
            ("embedding scale", self.embedding_scale),
            ("logit scale", self.logit_scale),
        ];
        let mut i = 0;
        while i < factors.len() {
            let (field, factor) = factors[i];
            if !(factor.is_finite() && factor >= 0.0) {
                return Err(Error::Description { field, found: factor.to_bits() });
            }
            i += 1;
        }
        Ok(())
    }

    /// The record as it stands in the file.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let norm = match self.norm {
            NormKind::Rms => 0,
            NormKind::Layer => 1,
        };
        let place = match self.norm_place {
            NormPlace::Before => 0,
            NormPlace::After => 1,
        };
        let positions = match self.positions {
            Positions::None => 0,
            Positions::Rotary(Pairing::Interleaved) => 1,
            Positions::Rotary(Pairing::HalfSplit) => 2,
            Positions::Learned => 3,
        };
        let activation = match self.activation {
            Activation::Silu => 0,
            Activation::GeluErf => 1,
            Activation::GeluTanh => 2,
            Activation::Relu => 3,
        };
        let flags = [
            self.gated,
            self.tied,
            self.final_norm,
            self.norm_bias,
            self.qkv_bias,
            self.out_bias,
            self.up_bias,
            self.down_bias,
            self.head_bias,
            self.int8_cache,
        ];
        let words = [
            Self::KIND,
            self.vocabulary,
            self.width,
            self.layers,
            self.heads,
            self.kv_heads,
            self.head_width,
            self.hidden,
            self.context,
            self.window,
            norm | place << 8 | positions << 16 | activation << 24,
            flags.iter().rev().fold(self.wide_inputs.bits(), |bits, &flag| bits << 1 | u32::from(flag)),
            self.rotary_width,
            self.epsilon.to_bits(),
            self.attention_scale.to_bits(),
            self.embedding_scale.to_bits(),
            self.logit_scale.to_bits(),
        ];
        let mut bytes = [0; Self::LEN];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Whether it is what a program without the feature `all-transformers` can compute.
    const fn is_llama(&self) -> bool {
        matches!(self.norm, NormKind::Rms)
            && matches!(self.norm_place, NormPlace::Before)
            && matches!(self.positions, Positions::Rotary(_))
            && matches!(self.activation, Activation::Silu)
            && self.gated
            && self.final_norm
            && !self.norm_bias
            && self.wide_inputs.is_none()
    }

    /// Width of all query heads together.
    pub const fn query_width(&self) -> usize {
        self.heads as usize * self.head_width as usize
    }

    /// Width of all key heads (or of all value heads) together.
    pub const fn kv_width(&self) -> usize {
        self.kv_heads as usize * self.head_width as usize
    }

    /// Rows of the fused query, key and value projection, in this order.
    pub const fn qkv_rows(&self) -> usize {
        self.query_width() + 2 * self.kv_width()
    }

    /// Rows of the feed-forward input projection: gate before up where it is gated.
    pub const fn up_rows(&self) -> usize {
        self.hidden as usize * (1 + self.gated as usize)
    }

    /// Whether the file holds tensors of this role.
    pub const fn has(&self, role: Role) -> bool {
        match role {
            Role::Embedding
            | Role::AttentionNorm
            | Role::Qkv
            | Role::AttentionOut
            | Role::FfnNorm
            | Role::FfnUp
            | Role::FfnDown => true,
            Role::Positions => matches!(self.positions, Positions::Learned),
            Role::RotaryFrequencies => matches!(self.positions, Positions::Rotary(_)),
            Role::AttentionNormBias | Role::FfnNormBias => self.norm_bias,
            Role::QkvBias => self.qkv_bias,
            Role::AttentionOutBias => self.out_bias,
            Role::FfnUpBias => self.up_bias,
            Role::FfnDownBias => self.down_bias,
            Role::FinalNorm => self.final_norm,
            Role::FinalNormBias => self.final_norm && self.norm_bias,
            Role::Head => !self.tied,
            Role::HeadBias => self.head_bias,
            _ => false,
        }
    }

    /// Whether tensors of this role, of which the file holds some, may ask for 16-bit activations.
    pub const fn may_be_wide(&self, role: Role) -> bool {
        match role {
            Role::Qkv | Role::AttentionOut | Role::FfnUp | Role::FfnDown | Role::Head => true,
            Role::Embedding => self.tied,
            _ => false,
        }
    }

    /// Rows and columns of tensors of this role; a vector is one row. Nothing where a transformer has no such tensor.
    pub const fn shape(&self, role: Role) -> (usize, usize) {
        let width = self.width as usize;
        match role {
            Role::Embedding | Role::Head => (self.vocabulary as usize, width),
            Role::Positions => (self.context as usize, width),
            Role::RotaryFrequencies => (1, self.rotary_width as usize / 2),
            Role::AttentionNorm
            | Role::AttentionNormBias
            | Role::FfnNorm
            | Role::FfnNormBias
            | Role::FinalNorm
            | Role::FinalNormBias
            | Role::AttentionOutBias
            | Role::FfnDownBias => (1, width),
            Role::Qkv => (self.qkv_rows(), width),
            Role::QkvBias => (1, self.qkv_rows()),
            Role::AttentionOut => (width, self.query_width()),
            Role::FfnUp => (self.up_rows(), width),
            Role::FfnUpBias => (1, self.up_rows()),
            Role::FfnDown => (width, self.hidden as usize),
            Role::HeadBias => (1, self.vocabulary as usize),
            _ => (0, 0),
        }
    }
}

pub(super) const fn in_range(field: &'static str, found: u32, least: u32, most: u32) -> Result<(), Error> {
    if found < least || found > most { Err(Error::Description { field, found }) } else { Ok(()) }
}
