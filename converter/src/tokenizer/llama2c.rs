//! llama2.c's `tokenizer.bin`: scores instead of merges.
//!
//! Layout: u32 length of the longest token; then per token an f32 score, an i32 length and the text, in which U+2581 is
//! already a space. The number of tokens is not in the file: it comes from the checkpoint. llama2.c merges any two
//! neighbours whose joined text is a token, best score first, leftmost of equals; here every such pair is listed once, so
//! that the runtime has one mechanism for scores and ranks. Token 1 begins a text and 2 ends it; bytes start at 3.

use super::{Merge, Result, Vocabulary, content, read};
use std::path::Path;
use whit::tokenizer::Kind;
use whit::tokenizer::layout::Flags;

/// First byte token, fixed in llama2.c.
const BYTE_BASE: u32 = 3;

/// Scores at or below this never merge in llama2.c.
const LOWEST_SCORE: f32 = -1e10;

/// Reads `tokenizer.bin` with `vocab_size` tokens.
///
/// # Errors
/// If the file cannot be read, holds another number of tokens, or its byte tokens are not where llama2.c has them.
pub fn open(file: &Path, vocab_size: usize) -> Result<Vocabulary> {
    parse(&read(file)?, vocab_size, file)
}

/// As [`open`], from bytes; `file` is for messages.
///
/// # Errors
/// As [`open`].
pub fn parse(bytes: &[u8], vocab_size: usize, file: &Path) -> Result<Vocabulary> {
    let (mut tokens, scores) = tokens_and_scores(bytes, vocab_size, file)?;
    for byte in 0..=255u8 {
        let id = BYTE_BASE as usize + usize::from(byte);
        let name = format!("<0x{byte:02X}>");
        match tokens.get_mut(id) {
            Some(token) if *token == name.as_bytes() => *token = Vec::new(),
            token => {
                let found =
                    token.map_or("no token".into(), |token| format!("{:?}", String::from_utf8_lossy(token)));
                let remedy = "give the tokenizer.bin and the vocabulary size of this checkpoint";
                return Err(content(file, format!("token {id}"), name, found, remedy));
            }
        }
    }
    let mut vocabulary = Vocabulary::empty(file.to_owned(), Kind::SentencePieceBpe);
    vocabulary.tokens = tokens;
    // Byte tokens have no text while pairs are sought: their names are no text that input could spell.
    vocabulary.merges = scored_merges(&vocabulary, &scores);
    vocabulary.index = (0..vocab_size as u32)
        .filter(|&id| super::vocabulary::is_one_character(&vocabulary.tokens[id as usize]))
        .collect();
    for byte in 0..=255u8 {
        vocabulary.put(BYTE_BASE + u32::from(byte), vec![byte]);
    }
    vocabulary.bytes = (BYTE_BASE..BYTE_BASE + 256).map(Some).collect();
    (vocabulary.unk, vocabulary.bos, vocabulary.eos) = (Some(0), Some(1), Some(2));
    vocabulary.specials = vec![0, 1, 2];
    vocabulary.set(Flags::PREFIX_SPACE.with(Flags::STRIP_AFTER_BOS).with(Flags::ADD_BOS));
    Ok(vocabulary)
}

fn tokens_and_scores(bytes: &[u8], vocab_size: usize, file: &Path) -> Result<(Vec<Vec<u8>>, Vec<f32>)> {
    let remedy = "give the vocabulary size of this checkpoint, and a complete file";
    let mut rest = bytes.get(4..).unwrap_or_default();
    let (mut tokens, mut scores) = (Vec::new(), Vec::new());
    for id in 0..vocab_size {
        let Some((score, text, after)) = record(rest) else {
            let found = format!("{} bytes left of {}", rest.len(), bytes.len());
            return Err(content(
                file,
                format!("token {id}"),
                format!("{vocab_size} whole tokens"),
                found,
                remedy,
            ));
        };
        if score.is_nan() {
            return Err(content(file, format!("score of token {id}"), "a number", "NaN", remedy));
        }
        tokens.push(text.to_vec());
        scores.push(score);
        rest = after;
    }
    if !rest.is_empty() {
        let found = format!("{} more bytes", rest.len());
        return Err(content(file, "end of file", format!("an end after {vocab_size} tokens"), found, remedy));
    }
    Ok((tokens, scores))
}

/// Score and text of the first token, and the bytes after it.
fn record(bytes: &[u8]) -> Option<(f32, &[u8], &[u8])> {
    let (&score, rest) = bytes.split_first_chunk()?;
    let (&len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(i32::from_le_bytes(len)).ok()?;
    let (text, rest) = rest.split_at_checked(len)?;
    Some((f32::from_le_bytes(score), text, rest))
}

/// Every pair of tokens whose joined text is a token, with the rank of that token's score.
fn scored_merges(vocabulary: &Vocabulary, scores: &[f32]) -> Vec<Merge> {
    let ids = vocabulary.ids_by_text();
    // Adding zero makes −0.0 and 0.0 one score.
    let mut ranks: Vec<f32> = scores.iter().map(|&score| score + 0.0).collect();
    ranks.sort_unstable_by(|a, b| b.total_cmp(a));
    ranks.dedup();
    let mut merges = Vec::new();
    for (&text, &result) in &ids {
        let score = scores[result as usize];
        if score <= LOWEST_SCORE {
            continue;
        }
        let priority = ranks.partition_point(|&rank| rank > score) as u32;
        for cut in 1..text.len() {
            if let (Some(&left), Some(&right)) = (ids.get(&text[..cut]), ids.get(&text[cut..])) {
                merges.push(Merge { left, right, result, priority });
            }
        }
    }
    merges.sort_unstable();
    merges
}
