//! Vocabularies without a file: sets of characters, and bytes.

use super::Vocabulary;
use std::path::PathBuf;
use whit::tokenizer::Kind;
use whit::tokenizer::layout::Flags;

impl Vocabulary {
    /// One token per character: ids in ascending order of the scalars, whatever the order in which they are given.
    ///
    /// Characters outside the set are dropped in encoding if `skip_unknown`, else they are an error; set
    /// [`unk`](Self::unk) to a token of the set to have that instead.
    pub fn characters(set: impl IntoIterator<Item = char>, skip_unknown: bool) -> Self {
        let set: std::collections::BTreeSet<char> = set.into_iter().collect();
        let mut vocabulary = Self::empty(PathBuf::from("character set"), Kind::Characters);
        vocabulary.tokens = set.iter().map(|c| c.to_string().into_bytes()).collect();
        vocabulary.index = (0..set.len() as u32).collect();
        if skip_unknown {
            vocabulary.set(Flags::SKIP_UNKNOWN);
        }
        vocabulary
    }

    /// One token per byte: id = byte, followed by `specials` from id 256 on.
    pub fn bytes(specials: &[&str]) -> Self {
        let mut vocabulary = Self::empty(PathBuf::from("bytes"), Kind::Bytes);
        vocabulary.tokens = (0..=255u8).map(|byte| vec![byte]).collect();
        vocabulary.tokens.extend(specials.iter().map(|text| text.as_bytes().to_vec()));
        vocabulary.bytes = (0..256).map(Some).collect();
        vocabulary.specials = (256..vocabulary.tokens.len() as u32).collect();
        vocabulary
    }
}
