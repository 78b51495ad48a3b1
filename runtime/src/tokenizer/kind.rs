//! The choices that tell one tokenizer family from another, as the header stores them.
//!
//! What they do is in `encode.rs` and `pieces.rs`.

use super::TokenizerError;

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One token per Unicode scalar of a given set.
    Characters = 0,
    /// One token per byte.
    Bytes = 1,
    /// Byte-level byte-pair encoding behind a [`PreTokenizer`] (GPT-2, Llama 3).
    ByteLevelBpe = 2,
    /// Byte-pair encoding over characters with optional byte fallback (SentencePiece, llama2.c, Llama 1 and 2).
    SentencePieceBpe = 3,
}

/// The rule that cuts text into pieces before byte-level merging; no merge crosses a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreTokenizer {
    /// The whole text is one piece.
    None = 0,
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2 = 1,
    /// Every `\p{N}` is a piece; [`Gpt2`](Self::Gpt2) cuts the stretches between them, each on its own.
    Gpt2Digits = 2,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Llama3 = 3,
}

/// Where SentencePiece-style text is cut before merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Nowhere.
    Whole = 0,
    /// Before a space that follows a non-space. Set where no merge result has a space after a non-space, so that the
    /// cut provably changes nothing but the time.
    Words = 1,
    /// Before every space.
    EverySpace = 2,
}

impl Kind {
    /// Reads the header's byte.
    pub(super) const fn from_byte(byte: u8) -> Result<Self, TokenizerError> {
        match byte {
            0 => Ok(Self::Characters),
            1 => Ok(Self::Bytes),
            2 => Ok(Self::ByteLevelBpe),
            3 => Ok(Self::SentencePieceBpe),
            _ => Err(TokenizerError::Field { field: "kind", found: byte as u32 }),
        }
    }
}

impl PreTokenizer {
    /// Reads the header's byte.
    pub(super) const fn from_byte(byte: u8) -> Result<Self, TokenizerError> {
        match byte {
            0 => Ok(Self::None),
            1 => Ok(Self::Gpt2),
            2 => Ok(Self::Gpt2Digits),
            3 => Ok(Self::Llama3),
            _ => Err(TokenizerError::Field { field: "pre_tokenizer", found: byte as u32 }),
        }
    }
}

impl Split {
    /// Reads the header's byte.
    pub(super) const fn from_byte(byte: u8) -> Result<Self, TokenizerError> {
        match byte {
            0 => Ok(Self::Whole),
            1 => Ok(Self::Words),
            2 => Ok(Self::EverySpace),
            _ => Err(TokenizerError::Field { field: "split", found: byte as u32 }),
        }
    }
}
