//! How to sample where the user does not say: a settings record, stop tokens and stop strings.

use super::{are_tokens, read_u32};
use crate::error::{Error, proven};
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
    pub const fn parse(bytes: &'a [u8], vocabulary: u32) -> Result<Self, Error> {
        match Self::prove(bytes, vocabulary) {
            Ok(this) => Ok(this),
            Err(problem) => Err(Error::Section { section: "sampling", problem }),
        }
    }

    const fn prove(bytes: &'a [u8], vocabulary: u32) -> Result<Self, &'static str> {
        let cut = "it is cut short";
        let (record, rest) = proven!(or(bytes.split_first_chunk(), cut));
        let (count, rest) = proven!(or(rest.split_at_checked(4), cut));
        let len = proven!(or((read_u32(count, 0) as usize).checked_mul(4), cut));
        let (tokens, rest) = proven!(or(rest.split_at_checked(len), cut));
        let (count, strings) = proven!(or(rest.split_at_checked(4), cut));
        if !are_tokens(tokens, vocabulary) {
            return Err("a stop token is not in the vocabulary");
        }
        let (mut rest, mut left) = (strings, read_u32(count, 0));
        while left > 0 {
            (_, rest) = proven!(or(split(rest), "a stop string is cut short or not UTF-8"));
            left -= 1;
        }
        if !rest.is_empty() {
            return Err("there are bytes after the last stop string");
        }
        Ok(Self { record, tokens, strings })
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

const fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    if let Some((len, rest)) = bytes.split_at_checked(4)
        && let Some((string, rest)) = rest.split_at_checked(read_u32(len, 0) as usize)
        && let Ok(string) = core::str::from_utf8(string)
    {
        return Some((string, rest));
    }
    None
}

/// [`Option::ok_or`], which constants cannot have yet.
const fn or<T: Copy>(value: Option<T>, problem: &'static str) -> Result<T, &'static str> {
    match value {
        Some(value) => Ok(value),
        None => Err(problem),
    }
}
