//! The deep check of a tokenizer section: every table walked, every rule of `FORMAT.md` held.
//!
//! Nothing relies on it for safety; it finds damage and mistakes of a writer.

use super::layout::{Flags, NONE};
use super::{Kind, Split, Token, Tokenizer, TokenizerError, Words};

impl Tokenizer<'_> {
    /// Walks all tables.
    ///
    /// # Errors
    /// [`TokenizerError::Inconsistent`] with the first table and entry that break a rule.
    pub fn verify(&self) -> Result<(), TokenizerError> {
        self.verify_offsets()?;
        self.verify_bytes()?;
        self.verify_index()?;
        self.verify_first()?;
        self.verify_merges()?;
        self.verify_added()
    }

    /// Offsets ascend from 0 to the end of the text, and the longest token is the one that the header states.
    fn verify_offsets(&self) -> Result<(), TokenizerError> {
        let mut previous = 0;
        let mut longest = u32::from(self.header.byte_base != NONE);
        for i in 0..self.offsets.len() {
            let offset = self.offsets.get(i).unwrap_or_default();
            expect(offset >= previous && (i > 0 || offset == 0), "offsets", i)?;
            longest = longest.max(offset - previous);
            previous = offset;
        }
        expect(previous == self.header.text_len, "offsets", self.offsets.len())?;
        expect(longest == self.header.max_token_len, "max_token_len", longest as usize)
    }

    /// Each byte's token, where there is one, is that byte.
    fn verify_bytes(&self) -> Result<(), TokenizerError> {
        for i in 0..self.bytes.len() {
            let token = self.in_vocab(self.bytes.get(i));
            let right = token.is_none_or(|token| self.token_bytes(token) == [i as u8]);
            expect(right, "bytes", i)?;
        }
        Ok(())
    }

    /// Indexed tokens exist, have text and strictly ascend by it.
    fn verify_index(&self) -> Result<(), TokenizerError> {
        self.verify_ascending(&self.index, 0..self.index.len(), "index")
    }

    fn verify_ascending(
        &self,
        ids: &Words<'_>,
        rows: core::ops::Range<usize>,
        table: &'static str,
    ) -> Result<(), TokenizerError> {
        let mut previous: &[u8] = &[];
        for i in rows {
            let text = self.in_vocab(ids.get(i)).map_or(&[][..], |token| self.token_bytes(token));
            expect(text > previous, table, i)?;
            previous = text;
        }
        Ok(())
    }

    /// The merges of each left token follow those of the one before.
    fn verify_first(&self) -> Result<(), TokenizerError> {
        let mut previous = 0;
        for i in 0..self.first.len() {
            let start = self.first.get(i).unwrap_or(NONE);
            expect(start >= previous && start <= self.header.merges && (i > 0 || start == 0), "first", i)?;
            previous = start;
        }
        expect(previous == self.header.merges, "first", self.first.len())
    }

    /// Rights strictly ascend within one left token, each result is its parts joined, priorities are below the limit,
    /// and no merge crosses a cut.
    fn verify_merges(&self) -> Result<(), TokenizerError> {
        let merging = matches!(self.header.kind, Kind::ByteLevelBpe | Kind::SentencePieceBpe);
        expect(merging || self.header.merges == 0, "rights", 0)?;
        for left in 0..self.first.len().saturating_sub(1) {
            let rows = self.first.get(left).unwrap_or(0)..self.first.get(left + 1).unwrap_or(0);
            let mut previous = None;
            for row in rows {
                let right = self.rights.get(row as usize);
                expect(self.in_vocab(right).is_some() && right > previous, "rights", row as usize)?;
                previous = right;
                self.verify_merge(Token(left as u32), Token(right.unwrap_or(NONE)), row as usize)?;
            }
        }
        Ok(())
    }

    fn verify_merge(&self, left: Token, right: Token, row: usize) -> Result<(), TokenizerError> {
        let (head, tail) = (self.token_bytes(left), self.token_bytes(right));
        let joined = self.in_vocab(self.results.get(row)).map_or(&[][..], |result| self.token_bytes(result));
        let whole =
            joined.len() == head.len() + tail.len() && joined.starts_with(head) && joined.ends_with(tail);
        expect(whole && !joined.is_empty(), "results", row)?;
        expect(self.find_merge(left, right).is_some_and(super::Merge::exists), "priorities", row)?;
        let crosses = self.header.split == Split::Words && !head.ends_with(b" ") && tail.starts_with(b" ");
        expect(!crosses, "split", row)
    }

    /// Special tokens and other added tokens each ascend by text. Where every stretch between them gets a space, none is
    /// a single byte, or the tokens of a text could outgrow [`encode_bound`](super::encode_bound).
    fn verify_added(&self) -> Result<(), TokenizerError> {
        let (specials, added) = (self.header.specials as usize, self.header.added as usize);
        self.verify_ascending(&self.added, 0..specials, "added")?;
        self.verify_ascending(&self.added, specials..added, "added")?;
        let every_stretch = self.header.flags.has(Flags::PREFIX_EVERY_STRETCH);
        for i in 0..added {
            let len = self.added.get(i).map_or(0, |id| self.token_bytes(Token(id)).len());
            expect(len > 1 || !every_stretch, "added", i)?;
        }
        Ok(())
    }
}

fn expect(holds: bool, table: &'static str, index: usize) -> Result<(), TokenizerError> {
    if holds {
        Ok(())
    } else {
        Err(TokenizerError::Inconsistent { table, index: u32::try_from(index).unwrap_or(NONE) })
    }
}
