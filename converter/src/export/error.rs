//! Why a checkpoint cannot be written: which tensor or file, what was expected, what was found, what to do.

use std::{fmt, io, path::Path};

/// Why a `.whit` file was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The file or its folder cannot be written.
    #[error("{file}: cannot be written: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The checkpoint's tensors are not those that its description asks for.
    #[error("tensor `{tensor}`: expected {expected}, found {found}")]
    Tensor {
        /// The tensor, as the source names it.
        tensor: String,
        /// What the description asks for.
        expected: String,
        /// What the checkpoint has.
        found: String,
    },
    /// The options name a matrix that the model has not.
    #[error("the model has no tensor `{tensor}`; its layers are 0 to {}", layers - 1)]
    NoSuchTensor {
        /// The name asked for.
        tensor: String,
        /// Layers of the model.
        layers: u32,
    },
    /// The options ask for 16-bit activations of a matrix that quantizes none.
    #[error("tensor `{tensor}` cannot take 16-bit activations: {problem}")]
    Activations {
        /// The name asked for.
        tensor: String,
        /// Why, and what to do.
        problem: &'static str,
    },
    /// The model is not one that can be calibrated.
    #[error(
        "only transformers are calibrated; leave the calibration out, or train with rounding in the loop"
    )]
    NoCalibration,
    /// A matrix is wider than its encoding allows.
    #[error("tensor `{tensor}`: {encoding} allows {most} columns, found {found}{}", wider(encoding))]
    TooWide {
        /// The tensor, as the source names it.
        tensor: String,
        /// The encoding chosen for it.
        encoding: &'static str,
        /// Most columns.
        most: usize,
        /// Columns of the matrix.
        found: usize,
    },
    /// Weights that are not numbers, or too large for their encoding.
    #[error("{}", joined(.0))]
    Weights(Vec<BadWeights>),
    /// Whoever watched the progress broke off.
    #[error("interrupted; nothing was written")]
    Stopped,
    /// A part of the file contradicts the format.
    #[error(transparent)]
    Format(#[from] whit::Error),
}

impl ExportError {
    /// A system error about `path`.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { file: path.display().to_string(), source }
    }
}

/// The weights of one tensor that its encoding cannot hold.
#[derive(Clone, Debug, PartialEq)]
pub struct BadWeights {
    /// The tensor, as the source names it.
    pub tensor: String,
    /// The encoding chosen for it.
    pub encoding: &'static str,
    /// How many there are.
    pub count: u64,
    /// Row and column of the first, in the tensor as whit lays it out.
    pub first: [usize; 2],
    /// Its value.
    pub value: f32,
}

impl fmt::Display for BadWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, encoding, count, first: [row, col], value } = self;
        write!(
            f,
            "tensor `{tensor}`: {count} weights that {encoding} cannot hold, the first {value} in row {row}, column {col}"
        )
    }
}

/// What to do about a matrix that is too wide for `encoding`.
fn wider(encoding: &str) -> &'static str {
    if encoding == "int4" { "; choose int8" } else { "" }
}

fn joined(tensors: &[BadWeights]) -> String {
    let advice = if tensors.iter().all(|tensor| tensor.value.is_finite()) {
        "choose f32"
    } else {
        "the checkpoint is damaged or its training diverged"
    };
    match tensors {
        [one] => format!("{one}; {advice}"),
        many => {
            let lines: String = many.iter().map(|tensor| format!("\n  {tensor}")).collect();
            format!("{} tensors have weights that are out of range; {advice}:{lines}", many.len())
        }
    }
}
