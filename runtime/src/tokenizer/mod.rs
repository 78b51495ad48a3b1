//! Text to tokens and back, over the tokenizer section of a model file where it lies.
//!
//! A [`Tokenizer`] is a borrowed view: [`Tokenizer::parse`] proves in constant time that every table lies in the section,
//! and afterwards every method is total, whatever the tables hold: an id or offset that points nowhere reads as absent
//! or empty. [`Tokenizer::verify`] checks that the tables also make sense. Sections are assembled by the converter;
//! this module owns their layout (`FORMAT.md`).
//!
//! ```
//! # fn show(section: &[u8]) -> Result<(), whit::tokenizer::TokenizerError> {
//! use whit::tokenizer::{Token, Tokenizer, Utf8Stream};
//! let tokenizer = Tokenizer::parse(section)?;
//! let mut tokens = [Token(0); 64];
//! let count = tokenizer.encode("Once upon a time".as_bytes(), tokenizer.default_options(), &mut tokens)?;
//! let mut decoder = tokenizer.decoder();
//! let mut text = Utf8Stream::default();
//! for &token in &tokens[..count] {
//!     text.push(decoder.push(token), |piece| { /* print it */ });
//! }
//! text.finish(|piece| { /* print it */ });
//! # Ok(())
//! # }
//! ```

mod bpe;
mod classes;
mod decode;
mod encode;
mod error;
mod kind;
pub mod layout;
mod pieces;
mod stream;
#[cfg(test)]
mod tests;
mod verify;

pub use classes::CharClass;
pub use decode::Decoder;
pub use encode::{EncodeOptions, SpecialText, encode_bound};
pub use error::TokenizerError;
pub use kind::{Kind, PreTokenizer, Split};
pub use pieces::Pieces;
pub use stream::Utf8Stream;

use crate::error::proven;
use crate::format::part;
use crate::parts::WORDS;
use core::ops::Range;
use layout::{Flags, Header, MAX_MERGES, NONE};

/// The id of a vocabulary entry.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u32);

// SAFETY: `Token` is `repr(transparent)` over u32 and every u32 is a token id.
#[allow(unsafe_code, reason = "buffers of ids serve as buffers of tokens")]
unsafe impl bytemuck::TransparentWrapper<u32> for Token {}

/// A tokenizer section, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'a> {
    header: Header,
    /// Start of each stored token in `text`, and the end of the last: `[stored + 1]`.
    offsets: Words<'a>,
    text: &'a [u8],
    /// Token of each byte: `[256]` or empty.
    bytes: Words<'a>,
    /// Tokens that input is looked up in, ascending by text: `[index_len]`.
    index: Words<'a>,
    /// First merge of each left token, and the end of the last: `[vocab + 1]`, empty without merges.
    first: Words<'a>,
    /// Right token of each merge, ascending within one left token: `[merges]`.
    rights: Words<'a>,
    results: Words<'a>,
    priorities: Words<'a>,
    /// Special tokens ascending by text, then other added tokens ascending by text: `[added]`.
    added: Words<'a>,
}

/// What two neighbours merge into, and how soon; a smaller priority goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Merge {
    priority: u32,
    result: Token,
}

impl Merge {
    /// No merge: later than every real one.
    const NONE: Self = Self { priority: MAX_MERGES - 1, result: Token(NONE) };

    fn exists(self) -> bool {
        self.priority < Self::NONE.priority
    }
}

impl<'a> Tokenizer<'a> {
    /// A view over the bytes of a tokenizer section.
    ///
    /// Takes constant time: the header is checked, and that the tables it announces cover `section` exactly.
    ///
    /// # Errors
    /// [`TokenizerError::Length`], [`TokenizerError::Field`] or [`TokenizerError::LeftOut`].
    pub const fn parse(section: &'a [u8]) -> Result<Self, TokenizerError> {
        let header = proven!(Header::parse(section));
        if !WORDS.is_there && !matches!(header.pre_tokenizer, PreTokenizer::None) {
            return Err(TokenizerError::LeftOut { part: WORDS.name });
        }
        let found = section.len();
        let Some(places) = header.places() else {
            return Err(TokenizerError::Length { expected: u64::MAX, found });
        };
        if found != places.added.end {
            return Err(TokenizerError::Length { expected: places.added.end as u64, found });
        }
        let wide = header.flags.has(Flags::WIDE_IDS);
        Ok(Self {
            header,
            offsets: Words::of(section, &places.offsets, header.flags.has(Flags::WIDE_OFFSETS)),
            text: part(section, places.text.start, places.text.end),
            bytes: Words::of(section, &places.bytes, wide),
            index: Words::of(section, &places.index, wide),
            first: Words::of(section, &places.first, wide),
            rights: Words::of(section, &places.rights, wide),
            results: Words::of(section, &places.results, wide),
            priorities: Words::of(section, &places.priorities, wide),
            added: Words::of(section, &places.added, wide),
        })
    }

    /// The header's fields.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many tokens there are; ids are below this.
    pub fn vocab_size(&self) -> usize {
        self.header.vocab as usize
    }

    /// The beginning-of-text token.
    pub fn bos(&self) -> Option<Token> {
        special(self.header.bos)
    }

    /// The end-of-text token.
    pub fn eos(&self) -> Option<Token> {
        special(self.header.eos)
    }

    /// The token for input that the vocabulary cannot spell.
    pub fn unk(&self) -> Option<Token> {
        special(self.header.unk)
    }

    /// The padding token.
    pub fn pad(&self) -> Option<Token> {
        special(self.header.pad)
    }

    /// No token's text is longer than this many bytes.
    pub fn max_token_len(&self) -> usize {
        self.header.max_token_len as usize
    }

    /// The text of `token` as stored: raw bytes, which need not be UTF-8, and `' '` where SentencePiece writes U+2581.
    /// Empty for an id that is not in the vocabulary.
    pub fn token_bytes(&self, token: Token) -> &'a [u8] {
        let base = self.header.byte_base;
        let row = match token.0 {
            id if id >= self.header.vocab => return &[],
            id if base == NONE || id < base => id as usize,
            id if id - base < 256 => {
                let byte = (id - base) as usize;
                return EVERY_BYTE.get(byte..=byte).unwrap_or_default();
            }
            id => (id - 256) as usize,
        };
        let (Some(start), Some(end)) = (self.offsets.get(row), self.offsets.get(row + 1)) else { return &[] };
        match self.text.get(start as usize..end as usize) {
            Some(text) if text.len() <= self.max_token_len() => text,
            _ => &[],
        }
    }

    /// Whether `token` is control rather than text (beginning, end, padding, …). Decoding leaves it out.
    pub fn is_special(&self, token: Token) -> bool {
        (0..self.header.specials as usize).any(|i| self.added.get(i) == Some(token.0))
    }

    /// The token that stands for a single byte, by byte base or byte table.
    fn byte_token(&self, byte: u8) -> Option<Token> {
        if self.header.byte_base != NONE {
            return Some(Token(self.header.byte_base + u32::from(byte)));
        }
        self.in_vocab(self.bytes.get(usize::from(byte)))
    }

    /// The indexed token with exactly this text.
    fn lookup(&self, text: &[u8]) -> Option<Token> {
        let (mut low, mut high) = (0, self.header.index_len as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            let token = Token(self.index.get(middle)?);
            match self.token_bytes(token).cmp(text) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => return self.in_vocab(Some(token.0)),
            }
        }
        None
    }

    /// What `left` followed by `right` merges into, or [`Merge::NONE`].
    #[inline]
    fn merge(&self, left: Token, right: Token) -> Merge {
        self.find_merge(left, right).unwrap_or(Merge::NONE)
    }

    #[inline]
    fn find_merge(&self, left: Token, right: Token) -> Option<Merge> {
        let row = left.0 as usize;
        let mut low = self.first.get(row)? as usize;
        let mut high = self.first.get(row + 1)? as usize;
        // Branch-free halving: which side is taken is unpredictable.
        while high > low + 1 {
            let middle = low + (high - low) / 2;
            let go_right = self.rights.get(middle)? <= right.0;
            low = if go_right { middle } else { low };
            high = if go_right { high } else { middle };
        }
        if low >= high || self.rights.get(low)? != right.0 {
            return None;
        }
        let result = self.in_vocab(self.results.get(low))?;
        let priority = if self.header.flags.has(Flags::PRIORITY_IS_RESULT) {
            result.0
        } else {
            self.priorities.get(low)?
        };
        Some(Merge { priority: priority.min(Merge::NONE.priority), result })
    }

    fn in_vocab(&self, id: Option<u32>) -> Option<Token> {
        id.filter(|&id| id < self.header.vocab).map(Token)
    }
}

fn special(id: u32) -> Option<Token> {
    (id != NONE).then_some(Token(id))
}

/// Every byte once, in order: the text of the tokens of a byte base.
static EVERY_BYTE: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut i = 0;
    while i < 256 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

/// A table of little-endian u16 or u32, read byte by byte so that no alignment is asked for.
#[derive(Clone, Copy, Debug)]
struct Words<'a> {
    bytes: &'a [u8],
    wide: bool,
}

impl<'a> Words<'a> {
    const fn of(section: &'a [u8], place: &Range<usize>, wide: bool) -> Self {
        Self { bytes: part(section, place.start, place.end), wide }
    }

    #[inline]
    fn get(&self, i: usize) -> Option<u32> {
        if self.wide {
            let at = i.checked_mul(4)?;
            self.bytes.get(at..)?.first_chunk().map(|&word| u32::from_le_bytes(word))
        } else {
            let at = i.checked_mul(2)?;
            self.bytes.get(at..)?.first_chunk().map(|&word| u32::from(u16::from_le_bytes(word)))
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() / if self.wide { 4 } else { 2 }
    }
}
