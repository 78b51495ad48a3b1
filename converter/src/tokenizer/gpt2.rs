//! GPT-2's `vocab.json` and `merges.txt`, and the printable stand-ins that both write bytes in.

use super::{Merge, Result, Vocabulary, content, read};
use std::collections::HashMap;
use std::path::Path;
use whit::tokenizer::layout::MAX_VOCAB;
use whit::tokenizer::{Kind, PreTokenizer};

/// Reads `vocab.json` and `merges.txt`.
///
/// `<|endoftext|>`, if it is there, becomes beginning and end of text; further special tokens are not in these files.
///
/// # Errors
/// If a file cannot be read or parsed, or a merge names text that is not in the vocabulary.
pub fn open(vocab: &Path, merges: &Path) -> Result<Vocabulary> {
    let ids: HashMap<String, u32> = serde_json::from_slice(&read(vocab)?).map_err(|error| {
        content(
            vocab,
            "whole file",
            "a JSON object of token texts and ids",
            error.to_string(),
            "give a vocab.json",
        )
    })?;
    let text = String::from_utf8(read(merges)?)
        .map_err(|error| content(merges, "whole file", "UTF-8", error.to_string(), "give a merges.txt"))?;
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match line.split_once(' ') {
            _ if line.is_empty() || (number == 0 && line.starts_with("#version")) => {}
            Some(pair) => pairs.push(pair),
            None => {
                let place = format!("line {}", number + 1);
                return Err(content(
                    merges,
                    place,
                    "two tokens with a space between",
                    format!("{line:?}"),
                    GIVE,
                ));
            }
        }
    }
    let mut vocabulary = byte_level(vocab, &ids)?;
    vocabulary.pre_tokenizer = PreTokenizer::Gpt2;
    vocabulary.merges = ranked_merges(merges, "line", &ids, pairs.into_iter())?;
    if let Some(&id) = ids.get("<|endoftext|>") {
        (vocabulary.bos, vocabulary.eos) = (Some(id), Some(id));
        vocabulary.add_special(id);
    }
    Ok(vocabulary)
}

const GIVE: &str = "give vocabulary and merges of one tokenizer";

/// Tokens and byte table of a byte-level vocabulary.
pub(super) fn byte_level(file: &Path, ids: &HashMap<String, u32>) -> Result<Vocabulary> {
    let mut vocabulary = Vocabulary::empty(file.to_owned(), Kind::ByteLevelBpe);
    check_ids(file, ids)?;
    for (text, &id) in ids {
        vocabulary.put(id, bytes_of(text));
    }
    vocabulary.bytes =
        (0..=255).map(|byte| ids.get(stand_in(byte).encode_utf8(&mut [0; 4])).copied()).collect();
    Ok(vocabulary)
}

/// No two texts share an id, and all ids are plausible.
pub(super) fn check_ids(file: &Path, ids: &HashMap<String, u32>) -> Result<()> {
    let mut seen: HashMap<u32, &str> = HashMap::new();
    for (text, &id) in ids {
        check_id(file, text, id, ids.len())?;
        if let Some(other) = seen.insert(id, text) {
            let found = format!("{text:?} and {other:?}");
            return Err(content(
                file,
                format!("vocab, id {id}"),
                "one text per id",
                found,
                "repair the vocabulary",
            ));
        }
    }
    Ok(())
}

/// Ids may leave gaps, which become empty tokens, but not so far beyond the number of entries that a small file asks for
/// much memory.
pub(super) fn check_id(file: &Path, text: &str, id: u32, entries: usize) -> Result<()> {
    const GAP: usize = 1 << 16;
    let limit = entries.saturating_add(GAP).min(MAX_VOCAB as usize);
    if (id as usize) < limit {
        return Ok(());
    }
    Err(content(file, format!("id of {text:?}"), format!("an id below {limit}"), id.to_string(), GIVE))
}

/// Merges in order of rank; `place` names the list in messages.
pub(super) fn ranked_merges<'m>(
    file: &Path,
    place: &str,
    ids: &HashMap<String, u32>,
    pairs: impl Iterator<Item = (&'m str, &'m str)>,
) -> Result<Vec<Merge>> {
    let id = |rank: usize, text: &str| {
        let place = format!("{place} (merge {rank})");
        let found = format!("{text:?}, which is not in the vocabulary");
        ids.get(text).copied().ok_or_else(|| content(file, place, "tokens of the vocabulary", found, GIVE))
    };
    let mut merges = Vec::new();
    for (rank, (left, right)) in pairs.enumerate() {
        let (left_id, right_id) = (id(rank, left)?, id(rank, right)?);
        let result = id(rank, &format!("{left}{right}"))?;
        merges.push(Merge { left: left_id, right: right_id, result, priority: rank as u32 });
    }
    Ok(merges)
}

/// The bytes that a token's printable text stands for; text with other characters stands for itself.
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(byte_of).collect::<Option<Vec<u8>>>().unwrap_or_else(|| text.as_bytes().to_vec())
}

/// GPT-2's stand-in for a byte: itself where Latin-1 prints it, else the next of the characters from U+0100 on.
pub(crate) fn stand_in(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !printable(byte)).count() as u32;
    char::from_u32(0x100 + before).expect("68 characters from U+0100 are scalars")
}

fn byte_of(c: char) -> Option<u8> {
    static BYTES: std::sync::LazyLock<HashMap<char, u8>> =
        std::sync::LazyLock::new(|| (0..=255).map(|byte| (stand_in(byte), byte)).collect());
    BYTES.get(&c).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_those_of_gpt2() {
        let pairs = [
            (0, 'Ā'),
            (b' ', 'Ġ'),
            (b'\n', 'Ċ'),
            (b'!', '!'),
            (127, 'ġ'),
            (160, 'ł'),
            (173, 'Ń'),
            (255, 'ÿ'),
        ];
        assert!(pairs.iter().all(|&(byte, c)| stand_in(byte) == c));
        assert!((0..=255).all(|byte| byte_of(stand_in(byte)) == Some(byte)));
    }
}
