//! What is wrong with a tokenizer file: the file, the field, what was expected, what was found, what to do.

use std::path::{Path, PathBuf};

/// Why a tokenizer file was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerFileError {
    /// The file cannot be read.
    #[error("{}: cannot read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file holds something that whit does not take.
    #[error("{}: {field}: expected {expected}, found {found}; {remedy}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// Where in the file, as a path of field names.
        field: String,
        /// What is supported there.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        remedy: String,
    },
}

pub(super) type Result<T> = std::result::Result<T, TokenizerFileError>;

/// A [`TokenizerFileError::Content`].
pub(super) fn content(
    file: &Path,
    field: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
    remedy: impl Into<String>,
) -> TokenizerFileError {
    TokenizerFileError::Content {
        file: file.to_owned(),
        field: field.into(),
        expected: expected.into(),
        found: found.into(),
        remedy: remedy.into(),
    }
}

/// The bytes of a file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|source| TokenizerFileError::Read { file: file.to_owned(), source })
}
