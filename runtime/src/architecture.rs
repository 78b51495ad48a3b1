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
