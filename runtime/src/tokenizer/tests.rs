//! Small tokenizers built by hand, a naive merger to compare with, and damage.

use super::layout::{Flags, HEADER_LEN, Header, NONE, Tables, emit};
use super::*;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// A stated generator (an LCG's high bits), so that failures repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn header(kind: Kind, vocab: usize) -> Header {
    Header {
        kind,
        pre_tokenizer: PreTokenizer::None,
        split: Split::Whole,
        flags: Flags(0),
        vocab: vocab as u32,
        bos: NONE,
        eos: NONE,
        unk: NONE,
        pad: NONE,
        max_token_len: 0,
        byte_base: NONE,
        text_len: 0,
        index_len: 0,
        merges: 0,
        specials: 0,
        added: 0,
    }
}

/// A section from plain lists. Tokens of a byte base are left out of `texts`; merges are (left, right, result, priority).
fn section(
    mut header: Header,
    texts: &[&[u8]],
    index: &[u32],
    merges: &[[u32; 4]],
    added: &[u32],
) -> Vec<u8> {
    let mut offsets = vec![0];
    for text in texts {
        offsets.push(offsets.last().expect("starts with 0") + text.len() as u32);
    }
    let mut merges = merges.to_vec();
    merges.sort_unstable();
    let first: Vec<u32> =
        (0..=header.vocab).map(|left| merges.partition_point(|merge| merge[0] < left) as u32).collect();
    let column = |i: usize| merges.iter().map(|merge| merge[i]).collect::<Vec<u32>>();
    header.max_token_len = texts.iter().map(|text| text.len() as u32).max().unwrap_or(0).max(1);
    header.text_len = *offsets.last().expect("starts with 0");
    header.index_len = index.len() as u32;
    header.merges = merges.len() as u32;
    header.added = added.len() as u32;
    header.specials = header.added;
    let tables = Tables {
        offsets: &offsets,
        text: &texts.concat(),
        bytes: &[],
        index,
        first: if merges.is_empty() { &[] } else { &first },
        rights: &column(1),
        results: &column(2),
        priorities: &column(3),
        added,
    };
    let mut bytes = vec![0; header.places().expect("small").added.end];
    emit(&header, &tables, &mut bytes).expect("consistent counts");
    bytes
}

/// Byte-level BPE over the bytes a, b, c with random merges, some of equal priority.
fn random_bpe(random: &mut Random, extra: usize) -> Vec<u8> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut merges: Vec<[u32; 4]> = Vec::new();
    let text =
        |texts: &[Vec<u8>], id: u32| if id < 256 { vec![id as u8] } else { texts[id as usize - 256].clone() };
    for _ in 0..extra {
        let ids = 3 + texts.len();
        let id = |n: usize| if n < 3 { 97 + n as u32 } else { 256 + n as u32 - 3 };
        let (left, right) = (id(random.below(ids)), id(random.below(ids)));
        if merges.iter().any(|merge| merge[..2] == [left, right]) {
            continue;
        }
        let joined = [text(&texts, left), text(&texts, right)].concat();
        if joined.len() > 300 {
            continue;
        }
        let known = texts.iter().position(|text| *text == joined);
        let result = known.unwrap_or(texts.len());
        if known.is_none() {
            texts.push(joined);
        }
        merges.push([left, right, 256 + result as u32, random.below(2 * extra) as u32]);
    }
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let header = Header { byte_base: 0, ..header(Kind::ByteLevelBpe, 256 + texts.len()) };
    section(header, &texts, &[], &merges, &[])
}

/// The merging rule word for word: scan all pairs, take the leftmost smallest, repeat.
fn merge_naively(tokenizer: &Tokenizer<'_>, mut symbols: Vec<Token>) -> Vec<Token> {
    loop {
        let mut best = (0, Merge::NONE);
        for i in 1..symbols.len() {
            let merge = tokenizer.merge(symbols[i - 1], symbols[i]);
            if merge.priority < best.1.priority {
                best = (i, merge);
            }
        }
        if !best.1.exists() {
            return symbols;
        }
        symbols[best.0 - 1] = best.1.result;
        symbols.remove(best.0);
    }
}

fn encode(
    tokenizer: &Tokenizer<'_>,
    text: &[u8],
    options: EncodeOptions,
) -> Result<Vec<Token>, TokenizerError> {
    let mut out = vec![Token(0); encode_bound(text.len())];
    let count = tokenizer.encode(text, options, &mut out)?;
    out.truncate(count);
    Ok(out)
}

fn decode(tokenizer: &Tokenizer<'_>, tokens: &[Token]) -> Vec<u8> {
    let mut decoder = tokenizer.decoder();
    tokens.iter().flat_map(|&token| decoder.push(token)).copied().collect()
}

#[test]
fn merging_short_and_long_pieces_follows_the_rule_for_any_table() {
    let mut random = Random(7);
    // Around the switch at 64 symbols, around whole blocks of 16, and beyond one node of 16 blocks.
    let lengths = [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 79, 80, 81, 255, 256, 257, 271, 272, 273, 700, 4100];
    for round in 0..60 {
        let extra = 1 + random.below(40);
        let bytes = random_bpe(&mut random, extra);
        let tokenizer = Tokenizer::parse(&bytes).expect("well-formed");
        tokenizer.verify().expect("consistent");
        for &len in if round < 6 { &lengths[..] } else { &lengths[..17] } {
            let letters = 1 + random.below(3);
            let text: Vec<u8> = (0..len).map(|_| b'a' + random.below(letters) as u8).collect();
            let expected = merge_naively(&tokenizer, text.iter().map(|&byte| Token(byte.into())).collect());
            let tokens = encode(&tokenizer, &text, EncodeOptions::default()).expect("byte-complete");
            assert_eq!(tokens, expected, "round {round}, {len} bytes");
            assert_eq!(decode(&tokenizer, &tokens), text);
        }
    }
}

#[test]
fn a_buffer_below_the_need_is_an_error_that_says_what_suffices() {
    let bytes = random_bpe(&mut Random(1), 20);
    let tokenizer = Tokenizer::parse(&bytes).expect("well-formed");
    let text = [b'a'; 200];
    for len in 0..212 {
        let result = tokenizer.encode(&text, EncodeOptions::default(), &mut vec![Token(0); len]);
        assert_eq!(result, Err(TokenizerError::BufferTooSmall { needed: encode_bound(200), found: len }));
    }
    // 200 symbols, 13 blocks of 16 and one key above them.
    assert!(tokenizer.encode(&text, EncodeOptions::default(), &mut [Token(0); 214]).is_ok());
}

#[test]
fn the_bound_covers_the_workspace_of_every_length() {
    for len in (0..10_000).chain((1 << 20) - 3..(1 << 20) + 3) {
        // One space before the text, and the beginning and end tokens.
        assert!(encode_bound(len) >= len + 3 + bpe::workspace(len + 1), "{len}");
    }
}

#[test]
fn bytes_need_no_tables() {
    let header = Header { byte_base: 2, bos: 0, eos: 1, ..header(Kind::Bytes, 258) };
    let bytes = section(header, &[b"<s>", b"</s>"], &[], &[], &[1, 0]);
    assert_eq!(bytes.len(), HEADER_LEN + 6 + 2 + 7 + 1 + 4);
    let tokenizer = Tokenizer::parse(&bytes).expect("well-formed");
    tokenizer.verify().expect("consistent");
    let every: Vec<u8> = (0..=255).collect();
    let options = EncodeOptions { bos: true, eos: true, specials: SpecialText::Plain };
    let tokens = encode(&tokenizer, &every, options).expect("byte-complete");
    assert_eq!((tokens[0], tokens[1], tokens[257]), (Token(0), Token(2), Token(1)));
    assert_eq!(decode(&tokenizer, &tokens), every);
}

#[test]
fn unknown_characters_follow_the_flags() {
    let texts: [&[u8]; 4] = ["€".as_bytes(), b"a", b"b", b"?"];
    let with = |flags: Flags, unk: u32| {
        let header = Header { flags, unk, ..header(Kind::Characters, 4) };
        section(header, &texts, &[1, 2, 0], &[], &[])
    };
    let run = |bytes: &[u8], text: &[u8]| {
        let tokenizer = Tokenizer::parse(bytes).expect("well-formed");
        tokenizer.verify().expect("consistent");
        encode(&tokenizer, text, EncodeOptions::default())
            .map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>())
    };
    let text = "a€xyb\u{1F600}".as_bytes();
    assert_eq!(run(&with(Flags(0), 3), text), Ok(vec![1, 0, 3, 3, 2, 3]));
    assert_eq!(run(&with(Flags::FUSE_UNKNOWN, 3), text), Ok(vec![1, 0, 3, 2, 3]));
    assert_eq!(run(&with(Flags::SKIP_UNKNOWN, NONE), text), Ok(vec![1, 0, 2]));
    assert_eq!(run(&with(Flags(0), NONE), text), Err(TokenizerError::UnknownInput { offset: 4 }));
    assert_eq!(run(&with(Flags(0), 3), b"a\xe2\x82"), Ok(vec![1, 3, 3]));
}

/// Spaces, letters, a two-byte character, "ab", " a" and byte fallback, as llama2.c lays them out.
fn sentence_piece(flags: Flags, split: Split) -> Vec<u8> {
    let texts: [&[u8]; 10] =
        [b"<unk>", b"<s>", b"</s>", b" ", b"a", b"b", b"ab", b" a", "é".as_bytes(), b" ab"];
    let header =
        Header { byte_base: 3, bos: 1, eos: 2, unk: 0, flags, split, ..header(Kind::SentencePieceBpe, 266) };
    // Ids from 3 on lie behind the 256 bytes.
    let id = |n: u32| n + 256;
    let index = [id(3), id(4), id(5), id(8)];
    let merges = [
        [id(4), id(5), id(6), 5],
        [id(3), id(4), id(7), 5],
        [id(3), id(6), id(9), 2],
        [id(7), id(5), id(9), 2],
    ];
    section(header, &texts, &index, &merges, &[2, 1, 0])
}

#[test]
fn sentence_piece_prefixes_falls_back_and_strips() {
    let bytes =
        sentence_piece(Flags::PREFIX_SPACE.with(Flags::STRIP_AFTER_BOS).with(Flags::ADD_BOS), Split::Words);
    let tokenizer = Tokenizer::parse(&bytes).expect("well-formed");
    tokenizer.verify().expect("consistent");
    let ids = |text: &[u8]| {
        let tokens = encode(&tokenizer, text, tokenizer.default_options()).expect("byte fallback");
        (tokens.iter().map(|token| token.0).collect::<Vec<_>>(), decode(&tokenizer, &tokens))
    };
    assert_eq!(ids(b""), (vec![1], b"".to_vec()));
    assert_eq!(ids(b"ab"), (vec![1, 265], b"ab".to_vec()));
    assert_eq!(
        ids("é€ ab".as_bytes()),
        (vec![1, 259, 264, 3 + 0xe2, 3 + 0x82, 3 + 0xac, 265], "é€ ab".into())
    );
    // A damaged character falls back byte by byte.
    assert_eq!(ids(b"a\x80"), (vec![1, 259, 3 + 0x61, 3 + 0x80], b"a\x80".to_vec()));
}

#[test]
fn cutting_at_words_changes_no_token() {
    let whole = sentence_piece(Flags::PREFIX_SPACE, Split::Whole);
    let words = sentence_piece(Flags::PREFIX_SPACE, Split::Words);
    let (whole, words) =
        (Tokenizer::parse(&whole).expect("parses"), Tokenizer::parse(&words).expect("parses"));
    let mut random = Random(3);
    for _ in 0..500 {
        let text: Vec<u8> = (0..random.below(150)).map(|_| b"ab  x"[random.below(5)]).collect();
        assert_eq!(
            encode(&whole, &text, EncodeOptions::default()),
            encode(&words, &text, EncodeOptions::default()),
            "{:?}",
            String::from_utf8_lossy(&text)
        );
    }
}

#[test]
fn special_text_is_plain_unless_asked_for() {
    let bytes = sentence_piece(Flags::PREFIX_SPACE.with(Flags::PREFIX_EVERY_STRETCH), Split::Whole);
    let tokenizer = Tokenizer::parse(&bytes).expect("well-formed");
    let plain = encode(&tokenizer, b"a</s>b", EncodeOptions::default()).expect("byte fallback");
    assert!(plain.iter().all(|token| token.0 > 2));
    let options = EncodeOptions { specials: SpecialText::Recognised, ..EncodeOptions::default() };
    let read = encode(&tokenizer, b"a</s>b<s><unk></s", options).expect("byte fallback");
    let read: Vec<u32> = read.iter().map(|token| token.0).collect();
    let tail = b"</s".map(|byte| 3 + u32::from(byte));
    assert_eq!(read, [&[263, 2, 259, 261, 1, 0, 259][..], &tail].concat());
}

#[test]
fn the_longest_special_token_wins() {
    let texts: [&[u8]; 5] = [b"<a", b"<ab>", b"<abc", b"<ab>>", b"<b"];
    let header = Header { byte_base: 5, ..header(Kind::Bytes, 261) };
    let bytes = section(header, &texts, &[], &[], &[0, 1, 3, 2, 4]);
    let tokenizer = Tokenizer::parse(&bytes).expect("well-formed");
    tokenizer.verify().expect("consistent");
    let options = EncodeOptions { specials: SpecialText::Recognised, ..EncodeOptions::default() };
    let ids = |text: &[u8]| -> Vec<u32> {
        encode(&tokenizer, text, options).expect("byte-complete").iter().map(|token| token.0).collect()
    };
    assert_eq!(ids(b"<ab>>"), [3]);
    assert_eq!(ids(b"<ab>x"), [1, 5 + u32::from(b'x')]);
    assert_eq!(ids(b"<abb"), [0, 5 + u32::from(b'b'), 5 + u32::from(b'b')]);
    assert_eq!(ids(b"<abc<"), [2, 5 + u32::from(b'<')]);
}

#[test]
fn every_truncation_and_extension_is_rejected() {
    let bytes = sentence_piece(Flags::PREFIX_SPACE, Split::Words);
    for len in 0..bytes.len() {
        assert!(matches!(Tokenizer::parse(&bytes[..len]), Err(TokenizerError::Length { .. })), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Tokenizer::parse(&longer), Err(TokenizerError::Length { .. })));
}

#[test]
fn headers_that_announce_more_than_there_is_are_rejected() {
    let bytes = sentence_piece(Flags::PREFIX_SPACE, Split::Words);
    for at in 0..HEADER_LEN {
        for value in [0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Ok(tokenizer) = Tokenizer::parse(&damaged) {
                exercise(&tokenizer);
            }
        }
    }
}

/// Runs everything that takes hostile tables; errors are fine.
fn exercise(tokenizer: &Tokenizer<'_>) {
    let text = "a ab <s>é€\u{1F600} abab bab\n\x7f  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    for specials in [SpecialText::Plain, SpecialText::Recognised] {
        let options = EncodeOptions { bos: true, eos: true, specials };
        if let Ok(tokens) = encode(tokenizer, text.as_bytes(), options) {
            assert!(tokens.iter().all(|token| (token.0 as usize) < tokenizer.vocab_size()));
            let decoded = decode(tokenizer, &tokens);
            assert!(decoded.len() <= tokens.len().saturating_mul(tokenizer.max_token_len()));
        }
    }
    for id in [0, 1, 255, 256, 300, NONE] {
        assert!(tokenizer.token_bytes(Token(id)).len() <= tokenizer.max_token_len());
    }
    let _ = tokenizer.verify();
}

#[test]
fn no_damage_to_the_tables_does_harm() {
    let mut random = Random(11);
    for round in 0..3000 {
        let mut bytes = match round % 2 {
            0 => sentence_piece(Flags::PREFIX_SPACE, Split::Words),
            _ => random_bpe(&mut random, 12),
        };
        for _ in 0..1 + random.below(30) {
            let at = HEADER_LEN + random.below(bytes.len() - HEADER_LEN);
            bytes[at] = [0, 1, 2, 3, 4, 0x61, 0xff][random.below(7)];
        }
        exercise(&Tokenizer::parse(&bytes).expect("the header is untouched"));
    }
}

#[test]
fn verify_finds_a_merge_that_does_not_join() {
    let mut bytes = random_bpe(&mut Random(5), 30);
    let places = Header::parse(&bytes).expect("well-formed").places().expect("small");
    assert_eq!(Tokenizer::parse(&bytes).expect("parses").verify(), Ok(()));
    bytes[places.results.start] ^= 1;
    let result = Tokenizer::parse(&bytes).expect("parses").verify();
    assert_eq!(result, Err(TokenizerError::Inconsistent { table: "results", index: 0 }));
}
