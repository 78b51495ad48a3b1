//! The text as training sees it: documents, parts that are kept apart, tokens, batches.

mod batches;
mod parts;

pub use batches::{Order, Rows, Windows};
pub use parts::{Parts, Shares};

use super::tokenizer::TextTokenizer;

/// A part of the text in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Where there is a token for the end of a text, it stands before, between and after the documents.
    pub ids: Vec<u32>,
    /// Bytes of the text.
    pub bytes: usize,
}

impl Tokens {
    /// The tokens of `documents`.
    ///
    /// # Errors
    /// A message: the tokenizer cannot spell a document.
    pub fn new(documents: &[&[u8]], tokenizer: &TextTokenizer) -> Result<Self, String> {
        let end = tokenizer.end_of_text();
        let mut this = Self::default();
        if !documents.is_empty() {
            this.ids.extend(end);
        }
        for document in documents {
            this.ids.extend(tokenizer.encode(document)?);
            this.ids.extend(end);
            this.bytes += document.len();
        }
        Ok(this)
    }

    /// Tokens that can be predicted: all but the first.
    pub fn predicted(&self) -> usize {
        self.ids.len().saturating_sub(1)
    }
}
