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
    /// Input projections of a recurrent layer, `[directions × gates × hidden, input]`.
    RecurrentInput = 20,
    /// Their bias, those of the products with the state added in.
    RecurrentInputBias = 21,
    /// Product with the state, `[gates × hidden, state]`; forward, or the only direction.
    RecurrentHidden = 22,
    /// The same of the reverse direction.
    RecurrentHiddenReverse = 23,
    /// Product of a GRU's candidate with the reset state, `[hidden, state]`.
    RecurrentCandidate = 24,
    /// The same of the reverse direction.
    RecurrentCandidateReverse = 25,
    /// Bias of the product of a GRU's candidate with the state, `[directions × hidden]`.
    RecurrentCandidateBias = 26,
    /// Projection of the state, `[projection, hidden]`.
    RecurrentProjection = 27,
    /// The same of the reverse direction.
    RecurrentProjectionReverse = 28,
}

/// Where a role's tensors stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    Layer,
    After,
}

impl Role {
    /// All roles in the order of a file; those that are [`Role::per_layer`] repeat for every layer.
    pub const ALL: [Self; 28] = [
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
        Self::RecurrentInput,
        Self::RecurrentInputBias,
        Self::RecurrentHidden,
        Self::RecurrentHiddenReverse,
        Self::RecurrentCandidate,
        Self::RecurrentCandidateReverse,
        Self::RecurrentCandidateBias,
        Self::RecurrentProjection,
        Self::RecurrentProjectionReverse,
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
            Self::RecurrentInput => "recurrent.input",
            Self::RecurrentInputBias => "recurrent.input.bias",
            Self::RecurrentHidden => "recurrent.hidden",
            Self::RecurrentHiddenReverse => "recurrent.hidden.reverse",
            Self::RecurrentCandidate => "recurrent.candidate",
            Self::RecurrentCandidateReverse => "recurrent.candidate.reverse",
            Self::RecurrentCandidateBias => "recurrent.candidate.bias",
            Self::RecurrentProjection => "recurrent.projection",
            Self::RecurrentProjectionReverse => "recurrent.projection.reverse",
        }
    }

    /// Whether every layer has one.
    pub const fn per_layer(self) -> bool {
        matches!(self.place(), Place::Layer)
    }

    /// Whether it stands before the layers, among those of each, or behind them.
    pub(super) const fn place(self) -> Place {
        match self {
            Self::Embedding | Self::Positions | Self::RotaryFrequencies => Place::Before,
            Self::FinalNorm | Self::FinalNormBias | Self::Head | Self::HeadBias => Place::After,
            _ => Place::Layer,
        }
    }

    /// Whether it is a tensor of recurrent models alone.
    pub const fn is_recurrent(self) -> bool {
        self as u16 >= Self::RecurrentInput as u16
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
                | Self::RecurrentInput
                | Self::RecurrentHidden
                | Self::RecurrentHiddenReverse
                | Self::RecurrentCandidate
                | Self::RecurrentCandidateReverse
                | Self::RecurrentProjection
                | Self::RecurrentProjectionReverse
        )
    }
}
