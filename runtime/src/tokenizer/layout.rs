//! The byte layout of the tokenizer section: header and table places, read and written from one description.
//!
//! Knows positions and widths, not meanings; `FORMAT.md` is the normative text. Reading a table happens in
//! [`Tokenizer`](super::Tokenizer), filling tables in the converter.

use super::TokenizerError;
use super::kind::{Kind, PreTokenizer, Split};
use crate::error::proven;
use crate::format::read_u32;
use core::ops::Range;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 64;

/// The value of an absent special id or byte base.
pub const NONE: u32 = u32::MAX;

/// Upper bound, exclusive, of merge counts and priorities: the merger packs a priority and four more bits in a word.
pub const MAX_MERGES: u32 = 1 << 28;

/// Upper bound of the vocabulary size: a token id leaves the top bit of a word free.
pub const MAX_VOCAB: u32 = 1 << 24;

/// Header flags, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// Token offsets are u32, else u16.
    pub const WIDE_OFFSETS: Self = Self(1);
    /// All other table entries are u32, else u16.
    pub const WIDE_IDS: Self = Self(1 << 1);
    /// A byte table of 256 ids is present.
    pub const BYTE_TABLE: Self = Self(1 << 2);
    /// A merge's priority is its result's id, and the priority table is absent.
    pub const PRIORITY_IS_RESULT: Self = Self(1 << 3);
    /// A piece that is itself an indexed token becomes that token, whatever the merges say.
    pub const WHOLE_PIECE: Self = Self(1 << 4);
    /// Neighbouring unknown characters give one unknown token.
    pub const FUSE_UNKNOWN: Self = Self(1 << 5);
    /// Unknown characters without an unknown token are dropped instead of being an error.
    pub const SKIP_UNKNOWN: Self = Self(1 << 6);
    /// A space is put before the text.
    pub const PREFIX_SPACE: Self = Self(1 << 7);
    /// … unless the text starts with one.
    pub const PREFIX_UNLESS_SPACE: Self = Self(1 << 8);
    /// … and before every stretch of text that follows a special token.
    pub const PREFIX_EVERY_STRETCH: Self = Self(1 << 9);
    /// U+2581 in the input means a space.
    pub const METASPACE: Self = Self(1 << 10);
    /// Decoding drops one space at the start of the text.
    pub const STRIP_AT_START: Self = Self(1 << 11);
    /// Decoding drops one space after the beginning-of-text token.
    pub const STRIP_AFTER_BOS: Self = Self(1 << 12);
    /// By default encoding puts the beginning-of-text token first.
    pub const ADD_BOS: Self = Self(1 << 13);
    /// By default encoding puts the end-of-text token last.
    pub const ADD_EOS: Self = Self(1 << 14);
    const ALL: u32 = (1 << 15) - 1;

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The union of both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The section's header. Ids are [`NONE`] where absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the fields of FORMAT.md")]
pub struct Header {
    pub kind: Kind,
    pub pre_tokenizer: PreTokenizer,
    pub split: Split,
    pub flags: Flags,
    pub vocab: u32,
    pub bos: u32,
    pub eos: u32,
    pub unk: u32,
    pub pad: u32,
    pub max_token_len: u32,
    pub byte_base: u32,
    pub text_len: u32,
    pub index_len: u32,
    pub merges: u32,
    pub specials: u32,
    pub added: u32,
}

impl Header {
    /// The header as the section's first bytes.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = self.kind as u8;
        bytes[1] = self.pre_tokenizer as u8;
        bytes[2] = self.split as u8;
        let words = [
            self.flags.0,
            self.vocab,
            self.bos,
            self.eos,
            self.unk,
            self.pad,
            self.max_token_len,
            self.byte_base,
            self.text_len,
            self.index_len,
            self.merges,
            self.specials,
            self.added,
        ];
        for (place, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads and checks the header alone.
    ///
    /// # Errors
    /// [`TokenizerError::Length`] if `bytes` is too short, [`TokenizerError::Field`] for an undefined value.
    pub const fn parse(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(TokenizerError::Length { expected: HEADER_LEN as u64, found: bytes.len() });
        };
        let header = Self {
            kind: proven!(Kind::from_byte(bytes[0])),
            pre_tokenizer: proven!(PreTokenizer::from_byte(bytes[1])),
            split: proven!(Split::from_byte(bytes[2])),
            flags: Flags(word(bytes, 0)),
            vocab: word(bytes, 1),
            bos: word(bytes, 2),
            eos: word(bytes, 3),
            unk: word(bytes, 4),
            pad: word(bytes, 5),
            max_token_len: word(bytes, 6),
            byte_base: word(bytes, 7),
            text_len: word(bytes, 8),
            index_len: word(bytes, 9),
            merges: word(bytes, 10),
            specials: word(bytes, 11),
            added: word(bytes, 12),
        };
        proven!(require(bytes[3] == 0, "reserved", bytes[3] as u32));
        proven!(require(word(bytes, 13) == 0, "reserved", word(bytes, 13)));
        proven!(require(word(bytes, 14) == 0, "reserved", word(bytes, 14)));
        proven!(header.check());
        Ok(header)
    }

    const fn check(&self) -> Result<(), TokenizerError> {
        proven!(require(self.flags.0 & !Flags::ALL == 0, "flags", self.flags.0));
        proven!(require(self.vocab <= MAX_VOCAB, "vocab", self.vocab));
        proven!(self.check_id("bos", self.bos));
        proven!(self.check_id("eos", self.eos));
        proven!(self.check_id("unk", self.unk));
        proven!(self.check_id("pad", self.pad));
        let based =
            self.byte_base == NONE || (self.byte_base < self.vocab && self.vocab - self.byte_base >= 256);
        proven!(require(based, "byte_base", self.byte_base));
        let longest = (self.byte_base != NONE) as u32;
        proven!(require(self.max_token_len >= longest, "max_token_len", self.max_token_len));
        let spelled = !matches!(self.kind, Kind::Bytes) || self.byte_base != NONE;
        proven!(require(spelled, "byte_base", self.byte_base));
        proven!(require(self.index_len <= self.vocab, "index_len", self.index_len));
        proven!(require(self.merges < MAX_MERGES, "merges", self.merges));
        proven!(require(self.specials <= self.added, "specials", self.specials));
        require(self.added <= self.vocab, "added", self.added)
    }

    const fn check_id(&self, field: &'static str, id: u32) -> Result<(), TokenizerError> {
        require(id == NONE || id < self.vocab, field, id)
    }

    /// Tokens whose text is stored: all but the 256 of a byte base, whose text is the byte.
    pub const fn stored(&self) -> u32 {
        if self.byte_base == NONE { self.vocab } else { self.vocab - 256 }
    }

    /// Where each table lies in the section, or `None` if that does not fit this machine's address space.
    pub const fn places(&self) -> Option<Places> {
        let ids = if self.flags.has(Flags::WIDE_IDS) { 4 } else { 2 };
        let offsets = if self.flags.has(Flags::WIDE_OFFSETS) { 4 } else { 2 };
        let bytes = if self.flags.has(Flags::BYTE_TABLE) { 256 } else { 0 };
        let priorities = if self.flags.has(Flags::PRIORITY_IS_RESULT) { 0 } else { self.merges };
        let first = if self.merges == 0 { 0 } else { self.vocab + 1 };
        let tables = [
            (self.stored() + 1, offsets),
            (self.text_len, 1),
            (bytes, ids),
            (self.index_len, ids),
            (first, ids),
            (self.merges, ids),
            (self.merges, ids),
            (priorities, ids),
            (self.added, ids),
        ];
        let (mut places, mut end, mut i) = ([(0, 0); 9], HEADER_LEN, 0);
        while i < tables.len() {
            let (count, width) = tables[i];
            let Some(place) = place(end, count, width) else { return None };
            (places[i], end, i) = (place, place.1, i + 1);
        }
        let [offsets, text, bytes, index, first, rights, results, priorities, added] = places;
        Some(Places {
            offsets: offsets.0..offsets.1,
            text: text.0..text.1,
            bytes: bytes.0..bytes.1,
            index: index.0..index.1,
            first: first.0..first.1,
            rights: rights.0..rights.1,
            results: results.0..results.1,
            priorities: priorities.0..priorities.1,
            added: added.0..added.1,
        })
    }
}

/// The byte range of each table within the section; the last one ends the section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the tables of FORMAT.md")]
pub struct Places {
    pub offsets: Range<usize>,
    pub text: Range<usize>,
    pub bytes: Range<usize>,
    pub index: Range<usize>,
    pub first: Range<usize>,
    pub rights: Range<usize>,
    pub results: Range<usize>,
    pub priorities: Range<usize>,
    pub added: Range<usize>,
}

/// The tables' contents, for the writer; counts must be those of the header.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are the tables of FORMAT.md")]
pub struct Tables<'t> {
    pub offsets: &'t [u32],
    pub text: &'t [u8],
    pub bytes: &'t [u32],
    pub index: &'t [u32],
    pub first: &'t [u32],
    pub rights: &'t [u32],
    pub results: &'t [u32],
    pub priorities: &'t [u32],
    pub added: &'t [u32],
}

/// Writes header and tables over `out`, whose length must be that of the section (`places().added.end`).
///
/// # Errors
/// [`TokenizerError::Length`] if `out` has another length, [`TokenizerError::Inconsistent`] if a table has not the
/// length that the header states or an entry that does not fit its width.
pub fn emit(header: &Header, tables: &Tables<'_>, out: &mut [u8]) -> Result<(), TokenizerError> {
    let places = header.places().ok_or(TokenizerError::Length { expected: u64::MAX, found: out.len() })?;
    if out.len() != places.added.end {
        return Err(TokenizerError::Length { expected: places.added.end as u64, found: out.len() });
    }
    out.fill(0);
    out[..HEADER_LEN].copy_from_slice(&header.emit());
    if places.text.len() != tables.text.len() {
        return Err(TokenizerError::Inconsistent { table: "text", index: header.text_len });
    }
    out[places.text].copy_from_slice(tables.text);
    let wide_ids = header.flags.has(Flags::WIDE_IDS);
    let wide_offsets = header.flags.has(Flags::WIDE_OFFSETS);
    emit_words("offsets", wide_offsets, tables.offsets, &mut out[places.offsets])?;
    emit_words("bytes", wide_ids, tables.bytes, &mut out[places.bytes])?;
    emit_words("index", wide_ids, tables.index, &mut out[places.index])?;
    emit_words("first", wide_ids, tables.first, &mut out[places.first])?;
    emit_words("rights", wide_ids, tables.rights, &mut out[places.rights])?;
    emit_words("results", wide_ids, tables.results, &mut out[places.results])?;
    emit_words("priorities", wide_ids, tables.priorities, &mut out[places.priorities])?;
    emit_words("added", wide_ids, tables.added, &mut out[places.added])
}

fn emit_words(table: &'static str, wide: bool, words: &[u32], out: &mut [u8]) -> Result<(), TokenizerError> {
    let width = if wide { 4 } else { 2 };
    if out.len() != words.len() * width {
        return Err(TokenizerError::Inconsistent { table, index: words.len() as u32 });
    }
    for (i, (&word, place)) in words.iter().zip(out.chunks_exact_mut(width)).enumerate() {
        if !wide && word > u32::from(u16::MAX) {
            return Err(TokenizerError::Inconsistent { table, index: i as u32 });
        }
        place.copy_from_slice(&word.to_le_bytes()[..width]);
    }
    Ok(())
}

/// Begin and end of a table of `count` entries of `width` bytes, at the next multiple of four.
const fn place(end: usize, count: u32, width: usize) -> Option<(usize, usize)> {
    if let Some(start) = end.checked_next_multiple_of(4)
        && let Some(len) = (count as usize).checked_mul(width)
        && let Some(end) = start.checked_add(len)
    {
        return Some((start, end));
    }
    None
}

/// A word behind the header's first four bytes.
const fn word(bytes: &[u8; HEADER_LEN], i: usize) -> u32 {
    read_u32(bytes, 4 + 4 * i)
}

const fn require(holds: bool, field: &'static str, found: u32) -> Result<(), TokenizerError> {
    if holds { Ok(()) } else { Err(TokenizerError::Field { field, found }) }
}
