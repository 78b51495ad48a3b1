//! The words that byte pairs are learned from: GPT-2's pieces of the text, each different one once with its count.

use super::merges::{Learned, Ties, learn};
use std::collections::HashMap;
use whit::tokenizer::PreTokenizer;

/// Learns byte pairs from `documents`: token `b` is byte `b`, those from 256 on are merges, at most `limit` in all. Pieces
/// are cut as GPT-2 cuts them, none reaches over the end of a document, and of equally frequent pairs the
/// lexicographically greatest merges.
pub fn byte_pairs(documents: &[&[u8]], limit: usize) -> Learned {
    let bytes = (0..=255u8).map(|byte| vec![byte]).collect();
    learn(bytes, &words(documents), limit, Ties::default())
}

/// The pieces in the order in which they first occur, as bytes.
fn words(documents: &[&[u8]]) -> Vec<(Vec<u32>, u64)> {
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut words: Vec<(&[u8], u64)> = Vec::new();
    for piece in documents.iter().flat_map(|document| PreTokenizer::Gpt2.pieces(document)) {
        let place = *places.entry(piece).or_insert(words.len());
        match words.get_mut(place) {
            Some(word) => word.1 += 1,
            None => words.push((piece, 1)),
        }
    }
    words.into_iter().map(|(piece, count)| (piece.iter().map(|&byte| byte.into()).collect(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_counted_where_they_first_stand() {
        let found = words(&[b"the cat the", b" the"]);
        let text = |word: &[u32]| word.iter().map(|&byte| char::from(byte as u8)).collect::<String>();
        let found: Vec<_> = found.iter().map(|(word, count)| (text(word), *count)).collect();
        assert_eq!(found, [("the".into(), 1), (" cat".into(), 1), (" the".into(), 2)]);
    }

    #[test]
    fn no_pair_reaches_into_the_next_document() {
        let apart = byte_pairs(&[b"x", b"y", b"x", b"y"], 300);
        assert_eq!(apart.merges, []);
        assert_eq!(byte_pairs(&[b"xy xy"], 300).tokens.last(), Some(&b"xy".to_vec()));
    }
}
