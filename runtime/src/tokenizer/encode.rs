//! Text to tokens: special tokens cut out, the rest by the kind's rule.
//!
//! Everything happens in the caller's buffer; merging itself is in `bpe.rs`, cutting in `pieces.rs`.

use super::layout::Flags;
use super::{Kind, Split, Token, Tokenizer, TokenizerError, bpe, pieces};

/// U+2581, SentencePiece's visible space.
const METASPACE: &[u8] = "\u{2581}".as_bytes();

/// Special tokens with a longer text are not recognised in input; it bounds the work per input byte.
const MAX_SPECIAL_LEN: usize = 255;

/// Whether the literal text of special and added tokens, such as `<|endoftext|>`, means those tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialText {
    /// It is text like any other. The safe choice for what a user typed.
    #[default]
    Plain,
    /// It becomes the token; the longest of several that start at one place.
    Recognised,
}

/// What encoding adds to the bare text, and how it reads special tokens' text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Put the beginning-of-text token first, if there is one.
    pub bos: bool,
    /// Put the end-of-text token last, if there is one.
    pub eos: bool,
    /// How special tokens' literal text is read.
    pub specials: SpecialText,
}

/// A buffer length that suffices to encode any text of `text_len` bytes: an eighth more, and 16.
pub const fn encode_bound(text_len: usize) -> usize {
    text_len.saturating_add(text_len / 8).saturating_add(16)
}

impl<'a> Tokenizer<'a> {
    /// What the file asks for: which of the beginning and end tokens are added; special text is plain.
    pub fn default_options(&self) -> EncodeOptions {
        EncodeOptions {
            bos: self.header.flags.has(Flags::ADD_BOS),
            eos: self.header.flags.has(Flags::ADD_EOS),
            specials: SpecialText::Plain,
        }
    }

    /// Writes the tokens of `text` to the front of `out` and says how many they are.
    ///
    /// `text` need not be UTF-8: stray bytes are bytes to the byte kinds and unknown characters to the others. `out` is
    /// also the workspace: it must hold the bytes of each piece after the tokens before it, which `text.len() + 2` tokens
    /// always do unless a piece is longer than 64 bytes; [`encode_bound`] always suffices. What lies behind the returned
    /// count is overwritten. Takes O(n log n) for n bytes whatever the text and the tables hold.
    ///
    /// # Errors
    /// [`TokenizerError::BufferTooSmall`], which says a length that suffices; [`TokenizerError::UnknownInput`] if the
    /// vocabulary cannot spell the text.
    pub fn encode(
        &self,
        text: &[u8],
        options: EncodeOptions,
        out: &mut [Token],
    ) -> Result<usize, TokenizerError> {
        let mut encoder = Encoder { tokenizer: self, out, len: 0, needed: encode_bound(text.len()) };
        if let (true, Some(bos)) = (options.bos, self.bos()) {
            encoder.push(bos)?;
        }
        match options.specials {
            SpecialText::Plain => encoder.stretch(text, 0)?,
            SpecialText::Recognised => encoder.stretches(text)?,
        }
        if let (true, Some(eos)) = (options.eos, self.eos()) {
            encoder.push(eos)?;
        }
        Ok(encoder.len)
    }

    /// The longest special or added token that `text` starts with.
    fn special_at(&self, text: &[u8]) -> Option<(Token, usize)> {
        let (specials, added) = (self.header.specials as usize, self.header.added as usize);
        let special = self.longest_prefix(0..specials, text);
        let other = self.longest_prefix(specials..added, text);
        match (special, other) {
            (Some(special), Some(other)) => Some(if other.1 > special.1 { other } else { special }),
            (special, other) => special.or(other),
        }
    }

    /// The longest token among `rows` of the table `added`, which ascend by text, that `text` starts with.
    fn longest_prefix(&self, rows: core::ops::Range<usize>, text: &[u8]) -> Option<(Token, usize)> {
        let mut text = &text[..text.len().min(MAX_SPECIAL_LEN)];
        // The greatest entry not above the text either is a prefix of it, and then the longest one, or it differs from it
        // after `common` bytes, and a prefix can be no longer than that.
        while !text.is_empty() {
            let (mut low, mut high) = (rows.start, rows.end);
            while low < high {
                let middle = low + (high - low) / 2;
                let not_above = self.token_bytes(Token(self.added.get(middle)?)) <= text;
                (low, high) = if not_above { (middle + 1, high) } else { (low, middle) };
            }
            let token = Token(self.added.get(low.checked_sub(1).filter(|&row| row >= rows.start)?)?);
            let entry = self.token_bytes(token);
            let common = entry.iter().zip(text).take_while(|(a, b)| a == b).count();
            if common == entry.len() {
                return (common > 0).then_some((token, common));
            }
            // Strictly shorter each time, also where damaged tables are not in order.
            text = &text[..common.min(text.len() - 1)];
        }
        None
    }
}

/// Tokens under way: `out[..len]` are final, or the symbols of the piece being merged.
struct Encoder<'t, 'o> {
    tokenizer: &'t Tokenizer<'t>,
    out: &'o mut [Token],
    len: usize,
    needed: usize,
}

impl Encoder<'_, '_> {
    /// Text in which special tokens are recognised.
    fn stretches(&mut self, text: &[u8]) -> Result<(), TokenizerError> {
        let mut starts = [false; 256];
        for i in 0..self.tokenizer.header.added as usize {
            let token = Token(self.tokenizer.added.get(i).unwrap_or_default());
            if let Some(&first) = self.tokenizer.token_bytes(token).first() {
                starts[usize::from(first)] = true;
            }
        }
        let (mut done, mut at) = (0, 0);
        while at < text.len() {
            let special =
                if starts[usize::from(text[at])] { self.tokenizer.special_at(&text[at..]) } else { None };
            let Some((token, len)) = special else {
                at += 1;
                continue;
            };
            self.stretch(&text[done..at], done)?;
            self.push(token)?;
            at += len;
            done = at;
        }
        self.stretch(&text[done..], done)
    }

    /// Text without special tokens, which starts at byte `offset` of the whole.
    fn stretch(&mut self, text: &[u8], offset: usize) -> Result<(), TokenizerError> {
        match self.tokenizer.header.kind {
            _ if text.is_empty() => Ok(()),
            Kind::Characters => self.characters(text, offset),
            Kind::Bytes => self.bytes(text, offset),
            Kind::ByteLevelBpe => self.byte_level(text, offset),
            Kind::SentencePieceBpe => self.sentence_piece(text, offset),
        }
    }

    fn characters(&mut self, text: &[u8], offset: usize) -> Result<(), TokenizerError> {
        let (mut at, mut unknown) = (0, false);
        while at < text.len() {
            let len = pieces::scalar(&text[at..]).map_or(1, char::len_utf8);
            match self.tokenizer.lookup(&text[at..at + len]) {
                Some(token) => (unknown, _) = (false, self.push(token)?),
                None => self.push_unknown(offset + at, &mut unknown)?,
            }
            at += len;
        }
        Ok(())
    }

    fn bytes(&mut self, text: &[u8], offset: usize) -> Result<(), TokenizerError> {
        let mut unknown = false;
        for (at, &byte) in text.iter().enumerate() {
            match self.tokenizer.byte_token(byte) {
                Some(token) => (unknown, _) = (false, self.push(token)?),
                None => self.push_unknown(offset + at, &mut unknown)?,
            }
        }
        Ok(())
    }

    fn byte_level(&mut self, text: &[u8], offset: usize) -> Result<(), TokenizerError> {
        let mut at = offset;
        for piece in self.tokenizer.header.pre_tokenizer.pieces(text) {
            let whole = self.tokenizer.header.flags.has(Flags::WHOLE_PIECE);
            match whole.then(|| self.tokenizer.lookup(piece)).flatten() {
                Some(token) => self.push(token)?,
                None => {
                    let start = self.len;
                    self.bytes(piece, at)?;
                    self.merge_from(start)?;
                }
            }
            at += piece.len();
        }
        Ok(())
    }

    fn sentence_piece(&mut self, text: &[u8], offset: usize) -> Result<(), TokenizerError> {
        let Tokenizer { header, .. } = self.tokenizer;
        let metaspace = header.flags.has(Flags::METASPACE);
        let mut start = self.len;
        let (mut at, mut unknown, mut after_space) = (0, false, false);
        if self.wants_prefix(text, offset) {
            self.push_unit(b" ", offset, &mut unknown)?;
            after_space = true;
        }
        while at < text.len() {
            let len = unit_len(&text[at..]);
            let unit = match &text[at..at + len] {
                METASPACE if metaspace => b" ",
                unit => unit,
            };
            let space = unit == b" ";
            let cut = match header.split {
                Split::Whole => false,
                Split::Words => space && !after_space,
                Split::EverySpace => space,
            };
            if cut {
                start = self.merge_from(start)?;
                unknown = false;
            }
            self.push_unit(unit, offset + at, &mut unknown)?;
            after_space = space;
            at += len;
        }
        self.merge_from(start).map(drop)
    }

    /// Whether a space goes before this stretch of text.
    fn wants_prefix(&self, text: &[u8], offset: usize) -> bool {
        let flags = self.tokenizer.header.flags;
        let spaced = text.starts_with(b" ") || (flags.has(Flags::METASPACE) && text.starts_with(METASPACE));
        flags.has(Flags::PREFIX_SPACE)
            && (offset == 0 || flags.has(Flags::PREFIX_EVERY_STRETCH))
            && !(spaced && flags.has(Flags::PREFIX_UNLESS_SPACE))
    }

    /// The symbols of one character: its own token, else one per byte, else the unknown token.
    fn push_unit(&mut self, unit: &[u8], at: usize, unknown: &mut bool) -> Result<(), TokenizerError> {
        if let Some(token) = self.tokenizer.lookup(unit) {
            *unknown = false;
            return self.push(token);
        }
        if unit.iter().all(|&byte| self.tokenizer.byte_token(byte).is_some()) {
            *unknown = false;
            return self.bytes(unit, at);
        }
        self.push_unknown(at, unknown)
    }

    /// The unknown token, once per run if the file says so; else nothing, or an error.
    fn push_unknown(&mut self, offset: usize, unknown: &mut bool) -> Result<(), TokenizerError> {
        let flags = self.tokenizer.header.flags;
        let fused = core::mem::replace(unknown, true) && flags.has(Flags::FUSE_UNKNOWN);
        match self.tokenizer.unk() {
            Some(_) if fused => Ok(()),
            Some(unk) => self.push(unk),
            None if flags.has(Flags::SKIP_UNKNOWN) => Ok(()),
            None => Err(TokenizerError::UnknownInput { offset }),
        }
    }

    /// Merges `out[start..len]` and says where the next piece starts.
    fn merge_from(&mut self, start: usize) -> Result<usize, TokenizerError> {
        let merged = bpe::merge_piece(self.tokenizer, &mut self.out[start..], self.len - start);
        self.len = start + merged.ok_or(self.too_small())?;
        Ok(self.len)
    }

    #[inline]
    fn push(&mut self, token: Token) -> Result<(), TokenizerError> {
        let too_small = self.too_small();
        *self.out.get_mut(self.len).ok_or(too_small)? = token;
        self.len += 1;
        Ok(())
    }

    fn too_small(&self) -> TokenizerError {
        TokenizerError::BufferTooSmall { needed: self.needed, found: self.out.len() }
    }
}

/// Length of the unit at the start of `text`: a byte and the UTF-8 continuation bytes after it, four at most. For valid
/// UTF-8 that is a character; for damaged text it is how llama2.c cuts.
fn unit_len(text: &[u8]) -> usize {
    let continued = text[1..].iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80);
    1 + continued.count()
}
