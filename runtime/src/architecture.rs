//! The choices that make one transformer differ from another: stated by `format`, performed by `kernels`, which do
//! not know each other.

/// The element-wise function between the two halves of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(x) (Hendrycks and Gimpel 2016; Ramachandran et al. 2017).
    Silu,
    /// x · Φ(x), the exact form by erf.
    GeluErf,
    /// x · Φ(x), the form by tanh that GPT-2 uses.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// Which two elements of a head a rotary embedding rotates together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Elements 2 i and 2 i + 1 (Su et al. 2021, llama2.c).
    Interleaved,
    /// Elements i and i + n / 2 (Hugging Face checkpoints).
    HalfSplit,
}

/// The normalization in front of (or behind) each half of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// Root mean square (Zhang and Sennrich 2019).
    Rms,
    /// Mean and variance (Ba et al. 2016).
    Layer,
}

/// Where the normalization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlace {
    /// `x + f(norm(x))`.
    Before,
    /// `norm(x + f(x))`.
    After,
}

/// How a position enters the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// Not at all.
    None,
    /// Queries and keys are rotated; the frequencies are a tensor.
    Rotary(Pairing),
    /// A learned vector is added to the embedding.
    Learned,
}

/// What one step of a recurrent layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000), gates in the order i, f, g, o.
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014), gates z, r, n, with r applied after the product with h, which then has a
    /// bias of its own (cuDNN, PyTorch).
    GruResetAfter,
    /// The same with r applied to h before the product.
    GruResetBefore,
    /// One tanh (Elman 1990).
    Tanh,
    /// max(x, 0) instead.
    Relu,
}

impl Cell {
    /// Every cell, by its number in the file.
    pub const ALL: [Self; 5] =
        [Self::Lstm, Self::GruResetAfter, Self::GruResetBefore, Self::Tanh, Self::Relu];

    /// Products with the input for each element of the state.
    pub const fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::GruResetAfter | Self::GruResetBefore => 3,
            Self::Tanh | Self::Relu => 1,
        }
    }

    /// Those of them that are joined with a product with the state as it was; the others take a later one.
    pub const fn early_gates(self) -> usize {
        match self {
            Self::GruResetBefore => 2,
            cell => cell.gates(),
        }
    }
}

/// In which order recurrent layers read a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From its beginning.
    Forward,
    /// From its end.
    Reverse,
    /// Both; a layer's output is the forward one, then the reverse one.
    Both,
}

/// What a recurrent model makes of its output vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    /// Nothing.
    None,
    /// Probabilities that sum to one.
    Softmax,
    /// A probability each.
    Sigmoid,
}
