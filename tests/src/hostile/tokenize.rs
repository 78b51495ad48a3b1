//! Everything that a program does with a tokenizer section.

use super::mend_tokenizer;
use whit::tokenizer::{
    EncodeOptions, SpecialText, Token, Tokenizer, TokenizerError, Utf8Stream, encode_bound,
};

/// Encodes and decodes with a section that may be damaged, once it is cut to the length it asks for.
///
/// # Panics
/// If the tokenizer breaks a promise that does not depend on the tables, or one that [`Tokenizer::verify`] makes.
pub fn tokenize(section: &[u8], text: &[u8]) {
    let section = mend_tokenizer(section);
    let Ok(tokenizer) = Tokenizer::parse(&section) else { return };
    let valid = tokenizer.verify().is_ok();
    for len in [encode_bound(text.len()), text.len() / 2] {
        for specials in [SpecialText::Plain, SpecialText::Recognised] {
            let mut tokens = vec![Token(u32::MAX); len];
            let options = EncodeOptions { bos: true, eos: true, specials };
            match tokenizer.encode(text, options, &mut tokens) {
                Ok(count) => decode(&tokenizer, &tokens[..count]),
                Err(TokenizerError::BufferTooSmall { needed, found }) => {
                    assert_eq!((needed, found), (encode_bound(text.len()), len));
                    assert!(!valid || found < needed, "the bound suffices");
                }
                Err(TokenizerError::UnknownInput { offset }) => assert!(offset < text.len()),
                Err(error) => panic!("{error}"),
            }
        }
    }
    // Ids that no encoder gave.
    let ids: Vec<Token> =
        text.chunks(3).map(|id| id.iter().fold(0, |id, &b| id << 8 | u32::from(b))).map(Token).collect();
    let mut decoder = tokenizer.decoder();
    ids.iter().for_each(|&token| assert!(decoder.push(token).len() <= tokenizer.max_token_len()));
}

/// As [`tokenize`], for a section that a builder made.
///
/// # Panics
/// If the section is not valid, or as [`tokenize`].
pub fn tokenize_valid(section: &[u8], text: &[u8]) {
    Tokenizer::parse(section).and_then(|tokenizer| tokenizer.verify()).expect("the builder verified it");
    tokenize(section, text);
}

fn decode(tokenizer: &Tokenizer<'_>, tokens: &[Token]) {
    let (mut decoder, mut stream) = (tokenizer.decoder(), Utf8Stream::default());
    for &token in tokens {
        assert!((token.0 as usize) < tokenizer.vocab_size(), "an encoder gives tokens of the vocabulary");
        stream.push(decoder.push(token), |piece| assert!(!piece.is_empty()));
    }
    stream.finish(|piece| assert_eq!(piece, "\u{fffd}"));
}
