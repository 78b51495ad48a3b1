//! Why a run cannot begin or go on.

use crate::import::ImportError;
use crate::tokenizer::TokenizerFileError;
use crate::train::error::TrainError;
use std::io;
use std::path::Path;

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was asked for does not fit what is there.
    #[error("{0}")]
    Asked(String),
    /// The weights grew until they were no numbers.
    #[error("step {step}: expected a loss, found no number; lower --learning-rate, or give --clip")]
    Diverged {
        /// The step, counted from 1.
        step: u64,
    },
    /// The model cannot be made or trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The model to begin from cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Its tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerFileError),
}

impl RunError {
    /// A system error about `path`.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let file = path.display().to_string();
        move |source| Self::Io { file: file.clone(), source }
    }
}
