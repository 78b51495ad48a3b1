//! The golden transcript: a prompt and the tokens that greedy decoding must give on every core.

use super::{Architecture, are_tokens, part, read_u32};
use crate::error::Error;
use crate::tokenizer::Token;

/// A prompt, its greedy continuation, and the checksum of all logits on the way.
///
/// Layout: u32 KV cache kind (0 f32, 1 int8), u32 prompt length, u32 output length, u32 CRC-32 of the logits, then
/// the prompt's and the output's ids, u32 each. An empty section means that the file has no transcript.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    bytes: &'a [u8],
}

impl<'a> Golden<'a> {
    /// Bytes before the ids.
    pub const HEADER_LEN: usize = 16;

    /// Proves the lengths, and that every id is in the vocabulary.
    ///
    /// # Errors
    /// [`Error::Section`] saying what is wrong.
    pub const fn parse(bytes: &'a [u8], architecture: &Architecture) -> Result<Self, Error> {
        match Self::check(bytes, architecture) {
            Ok(()) => Ok(Self { bytes }),
            Err(problem) => Err(Error::Section { section: "golden transcript", problem }),
        }
    }

    const fn check(bytes: &[u8], architecture: &Architecture) -> Result<(), &'static str> {
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() < Self::HEADER_LEN {
            return Err("it is cut short");
        }
        let (prompt, output) = (read_u32(bytes, 4) as u64, read_u32(bytes, 8) as u64);
        if bytes.len() as u64 != Self::HEADER_LEN as u64 + 4 * (prompt + output) {
            return Err("its length does not follow from its counts");
        }
        if read_u32(bytes, 0) > 1 {
            return Err("the kind of KV cache is not known");
        }
        if !architecture.is_language_model() {
            return Err("the model does not continue a text");
        }
        let most = match architecture.context() {
            Some(context) => context,
            None => u32::MAX,
        };
        if prompt == 0 || output == 0 || prompt + output > most as u64 {
            return Err("it is empty or longer than the context");
        }
        if !are_tokens(part(bytes, Self::HEADER_LEN, bytes.len()), architecture.vocabulary()) {
            return Err("a token is not in the vocabulary");
        }
        Ok(())
    }

    /// The part of the section before the ids.
    pub fn header(int8_cache: bool, prompt: u32, output: u32, logits_crc: u32) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (bytes, word) in
            bytes.chunks_exact_mut(4).zip([u32::from(int8_cache), prompt, output, logits_crc])
        {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Whether the file has no transcript.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the transcript was made with an int8 KV cache.
    pub fn int8_cache(&self) -> bool {
        !self.is_empty() && read_u32(self.bytes, 0) == 1
    }

    /// CRC-32 of the logits (f32, little-endian) after the prompt and after every output token but the last.
    pub fn logits_crc(&self) -> u32 {
        if self.is_empty() { 0 } else { read_u32(self.bytes, 12) }
    }

    /// The prompt.
    pub fn prompt(&self) -> impl ExactSizeIterator<Item = Token> + use<'a> {
        self.ids(0)
    }

    /// The tokens that follow.
    pub fn output(&self) -> impl ExactSizeIterator<Item = Token> + use<'a> {
        self.ids(1)
    }

    fn ids(&self, part: usize) -> impl ExactSizeIterator<Item = Token> + use<'a> {
        let ids = self.bytes.get(Self::HEADER_LEN..).unwrap_or(&[]);
        let split = if self.is_empty() { 0 } else { read_u32(self.bytes, 4) as usize * 4 };
        let (prompt, output) = ids.split_at(split.min(ids.len()));
        [prompt, output][part].chunks_exact(4).map(|id| Token(read_u32(id, 0)))
    }
}
