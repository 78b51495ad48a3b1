//! The byte layout of the tokenizer section: header and table places, read and written from one description.
//!
//! Knows positions and widths, not meanings; `FORMAT.md` is the normative text. Reading a table happens in
//! [`Tokenizer`](super::Tokenizer), filling tables in the converter.

use super::TokenizerError;
use super::kind::{Kind, PreTokenizer, Split};
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
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let short = TokenizerError::Length { expected: HEADER_LEN as u64, found: bytes.len() };
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(short)?;
        let word = |i: usize| {
            let at = 4 + 4 * i;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let header = Self {
            kind: Kind::from_byte(bytes[0])?,
            pre_tokenizer: PreTokenizer::from_byte(bytes[1])?,
            split: Split::from_byte(bytes[2])?,
            flags: Flags(word(0)),
            vocab: word(1),
            bos: word(2),
            eos: word(3),
            unk: word(4),
            pad: word(5),
            max_token_len: word(6),
            byte_base: word(7),
            text_len: word(8),
            index_len: word(9),
            merges: word(10),
            specials: word(11),
            added: word(12),
        };
        require(bytes[3] == 0, "reserved", u32::from(bytes[3]))?;
        require(word(13) == 0, "reserved", word(13))?;
        require(word(14) == 0, "reserved", word(14))?;
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), TokenizerError> {
        require(self.flags.0 & !Flags::ALL == 0, "flags", self.flags.0)?;
        require(self.vocab <= MAX_VOCAB, "vocab", self.vocab)?;
        for (field, id) in [("bos", self.bos), ("eos", self.eos), ("unk", self.unk), ("pad", self.pad)] {
            require(id == NONE || id < self.vocab, field, id)?;
        }
        let based =
            self.byte_base == NONE || (self.byte_base < self.vocab && self.vocab - self.byte_base >= 256);
        require(based, "byte_base", self.byte_base)?;
        let longest = u32::from(self.byte_base != NONE);
        require(self.max_token_len >= longest, "max_token_len", self.max_token_len)?;
        require(self.kind != Kind::Bytes || self.byte_base != NONE, "byte_base", self.byte_base)?;
        require(self.index_len <= self.vocab, "index_len", self.index_len)?;
        require(self.merges < MAX_MERGES, "merges", self.merges)?;
        require(self.specials <= self.added, "specials", self.specials)?;
        require(self.added <= self.vocab, "added", self.added)
    }

    /// Tokens whose text is stored: all but the 256 of a byte base, whose text is the byte.
    pub fn stored(&self) -> u32 {
        if self.byte_base == NONE { self.vocab } else { self.vocab - 256 }
    }

    /// Where each table lies in the section, or `None` if that does not fit this machine's address space.
    pub fn places(&self) -> Option<Places> {
        let ids = if self.flags.has(Flags::WIDE_IDS) { 4 } else { 2 };
        let offsets = if self.flags.has(Flags::WIDE_OFFSETS) { 4 } else { 2 };
        let bytes = if self.flags.has(Flags::BYTE_TABLE) { 256 } else { 0 };
        let priorities = if self.flags.has(Flags::PRIORITY_IS_RESULT) { 0 } else { self.merges };
        let first = if self.merges == 0 { 0 } else { self.vocab + 1 };
        let mut end = HEADER_LEN;
        Some(Places {
            offsets: place(&mut end, self.stored() + 1, offsets)?,
            text: place(&mut end, self.text_len, 1)?,
            bytes: place(&mut end, bytes, ids)?,
            index: place(&mut end, self.index_len, ids)?,
            first: place(&mut end, first, ids)?,
            rights: place(&mut end, self.merges, ids)?,
            results: place(&mut end, self.merges, ids)?,
            priorities: place(&mut end, priorities, ids)?,
            added: place(&mut end, self.added, ids)?,
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

/// A table of `count` entries of `width` bytes at the next multiple of four.
fn place(end: &mut usize, count: u32, width: usize) -> Option<Range<usize>> {
    let start = end.checked_next_multiple_of(4)?;
    *end = start.checked_add(usize::try_from(count).ok()?.checked_mul(width)?)?;
    Some(start..*end)
}

fn require(holds: bool, field: &'static str, found: u32) -> Result<(), TokenizerError> {
    if holds { Ok(()) } else { Err(TokenizerError::Field { field, found }) }
}
