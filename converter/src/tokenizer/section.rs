//! Laying a vocabulary out as the bytes of a tokenizer section.
//!
//! Chooses widths, leaves out what is implied, sorts what is searched, and proves that cutting at words is allowed before
//! asking for it. The layout itself is the runtime's.

use super::vocabulary::Vocabulary;
use super::{Merge, Result, content};
use std::collections::BTreeMap;
use whit::tokenizer::layout::{Flags, Header, MAX_MERGES, MAX_VOCAB, NONE, Tables, emit};
use whit::tokenizer::{Kind, Split, Tokenizer};

impl Vocabulary {
    /// The section's bytes, verified by the runtime's own check.
    ///
    /// # Errors
    /// If ids point outside the vocabulary, a limit of the format is exceeded, or a merge does not join its parts.
    pub fn to_section(&self) -> Result<Vec<u8>> {
        self.check_limits()?;
        let mut tables = OwnedTables::new(self);
        let merges = self.distinct_merges();
        let implied = priority_is_result(&merges);
        tables.set_merges(self, &merges, implied);
        let header = self.header(&tables, implied);
        let len = header.places().map_or(0, |places| places.added.end);
        let mut section = vec![0; len];
        let checked = emit(&header, &tables.borrowed(), &mut section)
            .and_then(|()| Tokenizer::parse(&section))
            .and_then(|tokenizer| tokenizer.verify());
        match checked {
            Ok(()) => Ok(section),
            Err(error) => Err(self.wrong("vocabulary", "consistent tables", &error.to_string())),
        }
    }

    fn header(&self, tables: &OwnedTables, implied: bool) -> Header {
        let wide_ids = tables.widest_id(self) > u32::from(u16::MAX);
        let wide_offsets = tables.text.len() > usize::from(u16::MAX);
        let mut flags = self.flags;
        for (holds, flag) in [
            (wide_ids, Flags::WIDE_IDS),
            (wide_offsets, Flags::WIDE_OFFSETS),
            (!tables.bytes.is_empty(), Flags::BYTE_TABLE),
            (implied, Flags::PRIORITY_IS_RESULT),
        ] {
            flags = if holds { flags.with(flag) } else { flags };
        }
        Header {
            kind: self.kind,
            pre_tokenizer: self.pre_tokenizer,
            split: if self.may_cut_at_words() { Split::Words } else { self.split },
            flags,
            vocab: self.tokens.len() as u32,
            bos: self.bos.unwrap_or(NONE),
            eos: self.eos.unwrap_or(NONE),
            unk: self.unk.unwrap_or(NONE),
            pad: self.pad.unwrap_or(NONE),
            max_token_len: tables.offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(1),
            byte_base: tables.byte_base.unwrap_or(NONE),
            text_len: tables.text.len() as u32,
            index_len: tables.index.len() as u32,
            merges: tables.rights.len() as u32,
            specials: tables.specials,
            added: tables.added.len() as u32,
        }
    }

    fn check_limits(&self) -> Result<()> {
        let count = self.tokens.len();
        if count == 0 || count > MAX_VOCAB as usize {
            return Err(self.wrong(
                "vocabulary",
                &format!("1 to {MAX_VOCAB} tokens"),
                &format!("{count} tokens"),
            ));
        }
        if self.merges.len() >= MAX_MERGES as usize {
            return Err(self.wrong("merges", &format!("below {MAX_MERGES}"), &self.merges.len().to_string()));
        }
        let merged = self.merges.iter().flat_map(|merge| [merge.left, merge.right, merge.result]);
        let special = [self.bos, self.eos, self.unk, self.pad].into_iter().flatten();
        let listed = self.specials.iter().chain(&self.added).chain(&self.index).copied();
        let byte = self.bytes.iter().flatten().copied();
        match merged.chain(special).chain(listed).chain(byte).find(|&id| id as usize >= count) {
            Some(id) => Err(self.wrong("token id", &format!("an id below {count}"), &id.to_string())),
            None => Ok(()),
        }
    }

    fn wrong(&self, field: &str, expected: &str, found: &str) -> super::TokenizerFileError {
        content(
            &self.source,
            field,
            expected,
            found,
            "check that the file is complete and belongs to this model",
        )
    }

    /// Merges sorted by left and right, the last of each pair.
    fn distinct_merges(&self) -> Vec<Merge> {
        let by_pair: BTreeMap<(u32, u32), Merge> =
            self.merges.iter().map(|&merge| ((merge.left, merge.right), merge)).collect();
        by_pair.into_values().collect()
    }

    /// Whether text may be cut before a space that follows a non-space without changing a token: the space has a token of
    /// its own, and no merge joins across such a place.
    fn may_cut_at_words(&self) -> bool {
        let text = |id: u32| self.tokens[id as usize].as_slice();
        let crosses =
            |merge: &Merge| !text(merge.left).ends_with(b" ") && text(merge.right).starts_with(b" ");
        self.kind == Kind::SentencePieceBpe
            && self.split == Split::Whole
            && self.index.iter().any(|&id| text(id) == b" ")
            && !self.merges.iter().any(crosses)
    }
}

/// Whether ordering merges by priority is ordering them by result, equals included.
fn priority_is_result(merges: &[Merge]) -> bool {
    let mut order: Vec<(u32, u32)> = merges.iter().map(|merge| (merge.priority, merge.result)).collect();
    order.sort_unstable();
    order.windows(2).all(|pair| (pair[0].0 < pair[1].0) == (pair[0].1 < pair[1].1) && pair[0].1 <= pair[1].1)
}

#[derive(Default)]
struct OwnedTables {
    byte_base: Option<u32>,
    offsets: Vec<u32>,
    text: Vec<u8>,
    bytes: Vec<u32>,
    index: Vec<u32>,
    first: Vec<u32>,
    rights: Vec<u32>,
    results: Vec<u32>,
    priorities: Vec<u32>,
    added: Vec<u32>,
    /// How many of `added` are special.
    specials: u32,
}

impl OwnedTables {
    /// All tables but the merges.
    fn new(vocabulary: &Vocabulary) -> Self {
        let byte_base = byte_base(&vocabulary.bytes);
        let implied = byte_base.map_or(0..0, |base| base as usize..base as usize + 256);
        let mut tables = Self { byte_base, offsets: vec![0], ..Self::default() };
        for (id, text) in vocabulary.tokens.iter().enumerate() {
            if !implied.contains(&id) {
                tables.text.extend_from_slice(text);
                tables.offsets.push(tables.text.len() as u32);
            }
        }
        if byte_base.is_none() {
            let none = vocabulary.tokens.len() as u32;
            tables.bytes = vocabulary.bytes.iter().map(|token| token.unwrap_or(none)).collect();
        }
        tables.index = ascending_by_text(vocabulary, &vocabulary.index);
        tables.added = ascending_by_text(vocabulary, &vocabulary.specials);
        tables.specials = tables.added.len() as u32;
        tables.added.extend(ascending_by_text(vocabulary, &vocabulary.added));
        tables
    }

    fn set_merges(&mut self, vocabulary: &Vocabulary, merges: &[Merge], implied: bool) {
        if merges.is_empty() {
            return;
        }
        let ids = 0..=vocabulary.tokens.len() as u32;
        self.first = ids.map(|id| merges.partition_point(|merge| merge.left < id) as u32).collect();
        self.rights = merges.iter().map(|merge| merge.right).collect();
        self.results = merges.iter().map(|merge| merge.result).collect();
        if !implied {
            self.priorities = merges.iter().map(|merge| merge.priority).collect();
        }
    }

    fn widest_id(&self, vocabulary: &Vocabulary) -> u32 {
        let merges = self.first.last().copied().unwrap_or(0);
        let priority = self.priorities.iter().copied().max().unwrap_or(0);
        // A missing byte is written as the vocabulary's size.
        merges.max(priority).max(vocabulary.tokens.len() as u32)
    }

    fn borrowed(&self) -> Tables<'_> {
        Tables {
            offsets: &self.offsets,
            text: &self.text,
            bytes: &self.bytes,
            index: &self.index,
            first: &self.first,
            rights: &self.rights,
            results: &self.results,
            priorities: &self.priorities,
            added: &self.added,
        }
    }
}

/// The first of 256 ids in a row for the bytes 0 to 255.
fn byte_base(bytes: &[Option<u32>]) -> Option<u32> {
    let base = (*bytes.first()?)?;
    bytes.iter().zip(base..).all(|(&token, id)| token == Some(id)).then_some(base)
}

/// The ids of tokens that have text, by text; of equal texts the smallest id.
fn ascending_by_text(vocabulary: &Vocabulary, ids: &[u32]) -> Vec<u32> {
    let text = |id: u32| vocabulary.tokens[id as usize].as_slice();
    let mut ids: Vec<u32> = ids.iter().copied().filter(|&id| !text(id).is_empty()).collect();
    ids.sort_unstable_by(|&a, &b| text(a).cmp(text(b)).then(a.cmp(&b)));
    ids.dedup_by(|b, a| text(*a) == text(*b));
    ids
}
