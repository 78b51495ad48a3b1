//! Tokens to bytes, one token at a time.
//!
//! What comes out is bytes: a character may be spread over several tokens. [`Utf8Stream`](super::Utf8Stream) turns them
//! into text.

use super::layout::Flags;
use super::{Token, Tokenizer};

/// Turns a sequence of tokens into bytes.
///
/// Special tokens give nothing. Where the file asks for it, one space is dropped at the start of the text (the Hugging
/// Face `Strip` rule) or after each beginning-of-text token (the llama2.c rule).
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a> {
    tokenizer: Tokenizer<'a>,
    drop_space: bool,
}

impl<'a> Tokenizer<'a> {
    /// A decoder at the start of a text.
    pub fn decoder(&self) -> Decoder<'a> {
        Decoder { tokenizer: *self, drop_space: self.header.flags.has(Flags::STRIP_AT_START) }
    }

    /// A decoder for tokens that continue a text, such as what a model says after a prompt.
    pub fn decoder_within_text(&self) -> Decoder<'a> {
        Decoder { tokenizer: *self, drop_space: false }
    }
}

impl<'a> Decoder<'a> {
    /// The bytes that `token` adds to the text.
    pub fn push(&mut self, token: Token) -> &'a [u8] {
        if Some(token) == self.tokenizer.bos() && self.tokenizer.header.flags.has(Flags::STRIP_AFTER_BOS) {
            self.drop_space = true;
            return &[];
        }
        if self.tokenizer.is_special(token) {
            return &[];
        }
        let bytes = self.tokenizer.token_bytes(token);
        match bytes.split_first() {
            Some((b' ', rest)) if core::mem::take(&mut self.drop_space) => rest,
            Some(_) => {
                self.drop_space = false;
                bytes
            }
            None => bytes,
        }
    }
}
