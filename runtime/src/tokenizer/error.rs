//! What can be wrong with a tokenizer section, or with a request to encode.
//!
//! Sits below every other tokenizer file; the crate's own error wraps it.

use core::fmt;

/// Why a tokenizer section was refused or a text could not be encoded.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenizerError {
    /// The section is shorter than its header or than the tables that the header announces, or longer.
    Length {
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// A header field holds a value that this version does not define.
    Field {
        /// Name of the field, as in `FORMAT.md`.
        field: &'static str,
        /// The value found.
        found: u32,
    },
    /// The section needs a part of the runtime that this program was built without.
    LeftOut {
        /// Which part, and the feature that brings it.
        part: &'static str,
    },
    /// A table breaks its rule; only [`verify`](super::Tokenizer::verify) looks.
    Inconsistent {
        /// Name of the table, as in `FORMAT.md`.
        table: &'static str,
        /// First offending entry.
        index: u32,
    },
    /// The output buffer is too small; `needed` tokens are enough for any text of this length.
    BufferTooSmall {
        /// A length that always suffices: [`encode_bound`](super::encode_bound) of the text's length.
        needed: usize,
        /// Length of the buffer given.
        found: usize,
    },
    /// The vocabulary has no token for the input at this byte, and neither byte tokens nor an unknown token.
    UnknownInput {
        /// Byte offset in the text.
        offset: usize,
    },
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { expected, found } => {
                write!(f, "tokenizer section: expected {expected} bytes, found {found}")
            }
            Self::Field { field, found } => {
                write!(f, "tokenizer section: field {field} holds {found}, which is not defined")
            }
            Self::LeftOut { part } => write!(f, "this program was {part}"),
            Self::Inconsistent { table, index } => {
                write!(f, "tokenizer section: table {table} is inconsistent at entry {index}")
            }
            Self::BufferTooSmall { needed, found } => {
                write!(f, "token buffer holds {found}; {needed} are enough for this text")
            }
            Self::UnknownInput { offset } => {
                write!(f, "no token for the text at byte {offset}, and the vocabulary has no unknown token")
            }
        }
    }
}

impl core::error::Error for TokenizerError {}
