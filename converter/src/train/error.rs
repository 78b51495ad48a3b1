//! What can be wrong with what a user wants to train.

use thiserror::Error;

/// Why a model cannot be made, filled or trained.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TrainError {
    /// A field of the configuration.
    #[error("{field} is {found}, but must be {expected}")]
    Config {
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A tensor that the model has no place for.
    #[error("the model has no tensor `{tensor}`; was the checkpoint made with another configuration?")]
    NoSuchTensor {
        /// Its name.
        tensor: String,
    },
    /// A tensor of another shape.
    #[error("tensor `{tensor}` has the shape {found:?}, but the model's is {expected:?}")]
    Shape {
        /// Its name.
        tensor: String,
        /// The model's.
        expected: Vec<usize>,
        /// The given one.
        found: Vec<usize>,
    },
    /// A batch that does not fit the model.
    #[error("{what}: expected {expected}, found {found}")]
    Batch {
        /// What of it.
        what: &'static str,
        /// What fits.
        expected: String,
        /// What was given.
        found: String,
    },
}
