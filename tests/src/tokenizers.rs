//! Small tokenizer sections of every kind, built by the converter from sources written here.

use serde_json::{Map, Value, json};
use std::path::Path;
use whit_converter::tokenizer::{Vocabulary, tokenizer_json};

/// Every kind with a name. The number of tokens is at most 300.
pub fn sections() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("characters", characters()),
        ("bytes", section(&with_ends(Vocabulary::bytes(&["<s>", "</s>"]), 256))),
        (
            "byte-level",
            section(&from_json(&byte_level_json(&["th", "the", " t", " th", " the", "in", "ing"]))),
        ),
        ("sentencepiece", section(&from_json(&sentence_piece_json()))),
    ]
}

/// 34 characters, of which `<` begins and `>` ends a text: the smallest section here.
pub fn characters() -> Vec<u8> {
    let mut vocabulary = Vocabulary::characters(" .,'<>€😀abcdefghijklmnopqrstuvwxyz".chars(), true);
    let id = |c: char| vocabulary.tokens.iter().position(|text| *text == c.to_string().into_bytes());
    let (begin, end) = (id('<').map(|id| id as u32), id('>').map(|id| id as u32));
    (vocabulary.bos, vocabulary.eos) = (begin, end);
    vocabulary.specials = [begin, end].into_iter().flatten().collect();
    section(&vocabulary)
}

/// How many tokens `section` has.
pub fn vocabulary(section: &[u8]) -> u32 {
    whit::tokenizer::Tokenizer::parse(section).map_or(0, |tokenizer| tokenizer.vocab_size() as u32)
}

/// A `tokenizer.json` of GPT-2's kind: 256 bytes, then `texts` in order, each a merge of its last character with what
/// stands before it, then the token that begins and ends a text.
pub fn byte_level_json(texts: &[&str]) -> Value {
    let stands = |text: &str| text.replace(' ', "\u{120}");
    let (mut vocab, mut merges) = (Map::new(), Vec::new());
    for c in byte_characters() {
        vocab.insert(c.to_string(), json!(vocab.len()));
    }
    for text in texts {
        let text = stands(text);
        let cut = text.char_indices().last().map_or(0, |(at, _)| at);
        merges.push(format!("{} {}", &text[..cut], &text[cut..]));
        vocab.insert(text, json!(vocab.len()));
    }
    let end = vocab.len();
    vocab.insert("<|end|>".to_owned(), json!(end));
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": true });
    let end_token = json!({ "id": end, "content": "<|end|>", "special": true });
    json!({
        "added_tokens": [end_token],
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<|end|>" } }, { "Sequence": { "id": "A" } }],
            "special_tokens": { "<|end|>": { "ids": [end] } }
        },
        "decoder": byte_level,
        "model": { "type": "BPE", "vocab": vocab, "merges": merges }
    })
}

/// A `tokenizer.json` of Llama 2's kind, with byte fallback.
pub fn sentence_piece_json() -> Value {
    let mut vocab = Map::new();
    let mut add = |text: &str| vocab.insert(text.to_owned(), json!(vocab.len()));
    for text in ["<unk>", "<s>", "</s>"] {
        add(text);
    }
    for byte in 0..=255u8 {
        add(&format!("<0x{byte:02X}>"));
    }
    for text in ["▁", "a", "e", "h", "n", "t", "€", "▁t", "he", "▁the", "an"] {
        add(text);
    }
    json!({
        "added_tokens": [
            { "id": 0, "content": "<unk>", "special": true },
            { "id": 1, "content": "<s>", "special": true },
            { "id": 2, "content": "</s>", "special": true }
        ],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }
        ] },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<s>" } }, { "Sequence": { "id": "A" } }],
            "special_tokens": { "<s>": { "ids": [1] } }
        },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
        ] },
        "model": {
            "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": ["▁ t", "h e", "▁t he", "a n"]
        }
    })
}

/// The characters that stand for bytes in GPT-2's vocabulary (Radford et al. 2019): printable bytes as themselves,
/// then the others as the characters from U+0100 on.
fn byte_characters() -> impl Iterator<Item = char> {
    let printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let others = (0..=255u8).filter(move |byte| !printable(byte)).count();
    (0..=255).filter(printable).map(char::from).chain((0x100..).map_while(char::from_u32).take(others))
}

fn from_json(json: &Value) -> Vocabulary {
    tokenizer_json::parse(json.to_string().as_bytes(), Path::new("tokenizer.json"))
        .expect("a tokenizer that whit takes")
}

fn with_ends(mut vocabulary: Vocabulary, begin: u32) -> Vocabulary {
    (vocabulary.bos, vocabulary.eos) = (Some(begin), Some(begin + 1));
    vocabulary
}

fn section(vocabulary: &Vocabulary) -> Vec<u8> {
    vocabulary.to_section().expect("a vocabulary within the format")
}
