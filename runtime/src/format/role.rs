//! What each tensor of a model is for: its number in the file, its place in the canonical order, its name.
//!
//! Shapes follow from the description, and the table of all tensors is in `tensors`.

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Role {
    /// Token embedding, `[vocabulary, width]`; also the output head where it is tied.
    Embedding = 1,
    /// Learned positions, `[context, width]`.
    Positions = 2,
    /// Rotary frequencies in radians per position, `[rotary_width / 2]`.
    RotaryFrequencies = 3,
    /// Weight of the norm of the attention half, `[width]`.
    AttentionNorm = 4,
    /// Its bias.
    AttentionNormBias = 5,
    /// Query, key and value projections, `[query_width + 2 kv_width, width]`.
    Qkv = 6,
    /// Their bias.
    QkvBias = 7,
    /// Attention output projection, `[width, query_width]`.
    AttentionOut = 8,
    /// Its bias.
    AttentionOutBias = 9,
    /// Weight of the norm of the feed-forward half, `[width]`.
    FfnNorm = 10,
    /// Its bias.
    FfnNormBias = 11,
    /// Feed-forward input projection, `[hidden, width]`, or gate then up, `[2 hidden, width]`.
    FfnUp = 12,
    /// Its bias.
    FfnUpBias = 13,
    /// Feed-forward output projection, `[width, hidden]`.
    FfnDown = 14,
    /// Its bias.
    FfnDownBias = 15,
    /// Weight of the last norm, `[width]`.
    FinalNorm = 16,
    /// Its bias.
    FinalNormBias = 17,
    /// Output head, `[vocabulary, width]`.
    Head = 18,
    /// Its bias.
    HeadBias = 19,
}

impl Role {
    /// All roles in the order of a file; those from [`Role::AttentionNorm`] to [`Role::FfnDownBias`] repeat for
    /// every layer.
    pub const ALL: [Self; 19] = [
        Self::Embedding,
        Self::Positions,
        Self::RotaryFrequencies,
        Self::AttentionNorm,
        Self::AttentionNormBias,
        Self::Qkv,
        Self::QkvBias,
        Self::AttentionOut,
        Self::AttentionOutBias,
        Self::FfnNorm,
        Self::FfnNormBias,
        Self::FfnUp,
        Self::FfnUpBias,
        Self::FfnDown,
        Self::FfnDownBias,
        Self::FinalNorm,
        Self::FinalNormBias,
        Self::Head,
        Self::HeadBias,
    ];

    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Positions => "positions",
            Self::RotaryFrequencies => "rotary.frequencies",
            Self::AttentionNorm => "attention.norm",
            Self::AttentionNormBias => "attention.norm.bias",
            Self::Qkv => "attention.qkv",
            Self::QkvBias => "attention.qkv.bias",
            Self::AttentionOut => "attention.out",
            Self::AttentionOutBias => "attention.out.bias",
            Self::FfnNorm => "ffn.norm",
            Self::FfnNormBias => "ffn.norm.bias",
            Self::FfnUp => "ffn.up",
            Self::FfnUpBias => "ffn.up.bias",
            Self::FfnDown => "ffn.down",
            Self::FfnDownBias => "ffn.down.bias",
            Self::FinalNorm => "final.norm",
            Self::FinalNormBias => "final.norm.bias",
            Self::Head => "head",
            Self::HeadBias => "head.bias",
        }
    }

    /// Whether every layer has one.
    pub const fn per_layer(self) -> bool {
        let id = self as u16;
        id >= Self::AttentionNorm as u16 && id <= Self::FfnDownBias as u16
    }

    /// Whether it is a weight matrix, which may have any encoding; the others are f32 vectors.
    pub const fn is_matrix(self) -> bool {
        matches!(
            self,
            Self::Embedding
                | Self::Positions
                | Self::Qkv
                | Self::AttentionOut
                | Self::FfnUp
                | Self::FfnDown
                | Self::Head
        )
    }
}
