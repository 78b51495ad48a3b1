//! How to sample where the user does not say: a settings record, stop tokens and stop strings.

use super::read_u32;
use crate::error::Error;
use crate::tokenizer::Token;

/// Layout: the settings record (32 bytes), u32 number of stop tokens, their ids, u32 number of stop strings, each a
/// u32 length and its UTF-8 bytes, without padding.
#[derive(Clone, Copy, Debug)]
pub struct SamplingDefaults<'a> {
    record: &'a [u8; 32],
    tokens: &'a [u8],
    strings: &'a [u8],
}

impl<'a> SamplingDefaults<'a> {
    /// Bytes of the settings record.
    pub const RECORD_LEN: usize = 32;

    /// Proves the lengths, that ids are in the vocabulary and that strings are UTF-8.
    ///
    /// # Errors
    /// [`Error::Section`] saying what is wrong.
    pub fn parse(bytes: &'a [u8], vocabulary: u32) -> Result<Self, Error> {
        let fail = |problem| Error::Section { section: "sampling", problem };
        let cut = fail("it is cut short");
        let (record, rest) = bytes.split_first_chunk().ok_or(cut)?;
        let (count, rest) = rest.split_at_checked(4).ok_or(cut)?;
        let len = (read_u32(count, 0) as usize).checked_mul(4).ok_or(cut)?;
        let (tokens, rest) = rest.split_at_checked(len).ok_or(cut)?;
        let (count, strings) = rest.split_at_checked(4).ok_or(cut)?;
        let this = Self { record, tokens, strings };
        if this.stop_tokens().any(|token| token.0 >= vocabulary) {
            return Err(fail("a stop token is not in the vocabulary"));
        }
        let mut rest = strings;
        for _ in 0..read_u32(count, 0) {
            (_, rest) = split(rest).ok_or(fail("a stop string is cut short or not UTF-8"))?;
        }
        if !rest.is_empty() {
            return Err(fail("there are bytes after the last stop string"));
        }
        Ok(this)
    }

    /// The settings record.
    pub fn record(&self) -> &'a [u8; 32] {
        self.record
    }

    /// Tokens that end a text.
    pub fn stop_tokens(&self) -> impl ExactSizeIterator<Item = Token> + use<'a> {
        self.tokens.chunks_exact(4).map(|id| Token(read_u32(id, 0)))
    }

    /// Strings that end a text.
    pub fn stop_strings(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.strings;
        core::iter::from_fn(move || {
            let (string, next) = split(rest)?;
            rest = next;
            Some(string)
        })
    }
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_at_checked(4)?;
    let (string, rest) = rest.split_at_checked(read_u32(len, 0) as usize)?;
    Some((core::str::from_utf8(string).ok()?, rest))
}
