//! A tokenizer as plain lists, whatever file it came from.

use std::collections::HashMap;
use std::path::PathBuf;
use whit::tokenizer::layout::Flags;
use whit::tokenizer::{Kind, PreTokenizer, Split};

/// Two neighbouring tokens that become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merge {
    /// Token before.
    pub left: u32,
    /// Token after.
    pub right: u32,
    /// Token whose text is both.
    pub result: u32,
    /// Smaller goes first.
    pub priority: u32,
}

/// Everything that decides how text becomes tokens and back.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Where it came from, for messages.
    pub source: PathBuf,
    /// The rule family.
    pub kind: Kind,
    /// For [`Kind::ByteLevelBpe`].
    pub pre_tokenizer: PreTokenizer,
    /// For [`Kind::SentencePieceBpe`].
    pub split: Split,
    /// Behaviour only; widths and table presence are chosen by [`to_section`](Self::to_section).
    pub flags: Flags,
    /// Text of every token, by id: raw bytes, a space where the source writes U+2581.
    pub tokens: Vec<Vec<u8>>,
    /// Token of each byte: 256 entries, or none.
    pub bytes: Vec<Option<u32>>,
    /// Tokens that input is looked up in. If two have one text, the smaller id counts.
    pub index: Vec<u32>,
    /// If a pair is listed twice, the later entry counts.
    pub merges: Vec<Merge>,
    /// Control tokens: silent in decoding.
    pub specials: Vec<u32>,
    /// Other tokens whose literal text may be recognised in input.
    pub added: Vec<u32>,
    /// Beginning of text.
    pub bos: Option<u32>,
    /// End of text.
    pub eos: Option<u32>,
    /// For input that cannot be spelled.
    pub unk: Option<u32>,
    /// Padding.
    pub pad: Option<u32>,
}

impl Vocabulary {
    /// No tokens yet.
    pub(super) fn empty(source: PathBuf, kind: Kind) -> Self {
        Self {
            source,
            kind,
            pre_tokenizer: PreTokenizer::None,
            split: Split::Whole,
            flags: Flags(0),
            tokens: Vec::new(),
            bytes: Vec::new(),
            index: Vec::new(),
            merges: Vec::new(),
            specials: Vec::new(),
            added: Vec::new(),
            bos: None,
            eos: None,
            unk: None,
            pad: None,
        }
    }

    /// Adds behaviour.
    pub(super) fn set(&mut self, flag: Flags) {
        self.flags = self.flags.with(flag);
    }

    /// Makes `id` a control token.
    pub(super) fn add_special(&mut self, id: u32) {
        if !self.specials.contains(&id) {
            self.added.retain(|&added| added != id);
            self.specials.push(id);
        }
    }

    /// Stores `text` as token `id`, with empty tokens for ids in between.
    pub(super) fn put(&mut self, id: u32, text: Vec<u8>) {
        let at = id as usize;
        if self.tokens.len() <= at {
            self.tokens.resize(at + 1, Vec::new());
        }
        self.tokens[at] = text;
    }

    /// First token with each text.
    pub(super) fn ids_by_text(&self) -> HashMap<&[u8], u32> {
        let mut ids = HashMap::new();
        for (id, text) in self.tokens.iter().enumerate() {
            ids.entry(text.as_slice()).or_insert(id as u32);
        }
        ids
    }
}

/// Whether `text` is exactly one character.
pub(super) fn is_one_character(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.chars().count() == 1)
}
