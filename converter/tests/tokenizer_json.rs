//! Which tokenizer.json files are taken, what they then do, and how the others are refused.

use serde_json::{Value, json};
use std::path::Path;
use whit::tokenizer::layout::Flags;
use whit::tokenizer::{EncodeOptions, PreTokenizer, Split, Token, Tokenizer, encode_bound};
use whit_converter::tokenizer::{Vocabulary, tokenizer_json};

/// A small Llama-style file: ▁, a, b, ab, ▁a, ▁ab, ▁▁ and bytes.
fn llama() -> Value {
    let mut vocab = json!({ "<unk>": 0, "<s>": 1, "</s>": 2 });
    for byte in 0..256 {
        vocab[format!("<0x{byte:02X}>")] = json!(3 + byte);
    }
    for (text, id) in ["▁", "a", "b", "ab", "▁a", "▁ab", "▁▁"].into_iter().zip(259..) {
        vocab[text] = json!(id);
    }
    let added = |id: u32, content: &str| json!({ "id": id, "content": content, "special": true });
    json!({
        "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }] },
        "pre_tokenizer": null,
        "post_processor": { "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } } },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" }, { "type": "Strip", "content": " ", "start": 1, "stop": 0 }] },
        "model": { "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": ["▁ ▁", "▁ a", ["a", "b"], "▁a b", "▁ ab"] }
    })
}

fn taken(file: &Value) -> Vocabulary {
    tokenizer_json::parse(file.to_string().as_bytes(), Path::new("tokenizer.json")).expect("taken")
}

fn encode(vocabulary: &Vocabulary, text: &str) -> Vec<u32> {
    let section = vocabulary.to_section().expect("consistent");
    let tokenizer = Tokenizer::parse(&section).expect("parses");
    let mut out = vec![Token(0); encode_bound(text.len())];
    let count = tokenizer.encode(text.as_bytes(), tokenizer.default_options(), &mut out).expect("spelled");
    let plain = EncodeOptions::default();
    assert_eq!(plain, EncodeOptions { bos: false, ..plain });
    out[..count].iter().map(|token| token.0).collect()
}

#[test]
fn llama_style_prepends_merges_by_rank_and_falls_back() {
    let vocabulary = taken(&llama());
    assert_eq!((vocabulary.bos, vocabulary.unk), (Some(1), Some(0)));
    assert_eq!(encode(&vocabulary, "ab ab"), [1, 264, 264]);
    assert_eq!(encode(&vocabulary, "  a"), [1, 265, 263]);
    assert_eq!(encode(&vocabulary, "▁é"), [1, 265, 3 + 0xc3, 3 + 0xa9]);
    let section = vocabulary.to_section().expect("consistent");
    let header = *Tokenizer::parse(&section).expect("parses").header();
    assert_eq!((header.byte_base, header.split), (3, Split::Words));
}

#[test]
fn a_merge_across_words_forbids_cutting_at_them() {
    let mut file = llama();
    file["model"]["vocab"]["a▁"] = json!(266);
    file["model"]["merges"].as_array_mut().expect("a list").push(json!(["a", "▁"]));
    let section = taken(&file).to_section().expect("consistent");
    assert_eq!(Tokenizer::parse(&section).expect("parses").header().split, Split::Whole);
}

#[test]
fn metaspace_cuts_at_every_space_and_adds_none_before_one() {
    let mut file = llama();
    file["normalizer"] = Value::Null;
    file["pre_tokenizer"] =
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let vocabulary = taken(&file);
    assert_eq!(vocabulary.split, Split::EverySpace);
    assert_eq!(encode(&vocabulary, "a  ab"), [1, 263, 259, 264]);
    assert_eq!(encode(&vocabulary, " a"), [1, 263]);
}

#[test]
fn byte_level_pipelines_are_told_apart() {
    const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let byte_level =
        |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": regex });
    let sequence = |steps: Value| json!({ "type": "Sequence", "pretokenizers": steps });
    let digits = json!({ "type": "Digits", "individual_digits": true });
    let split =
        json!({ "type": "Split", "pattern": { "Regex": LLAMA3 }, "behavior": "Isolated", "invert": false });
    for (part, rule) in [
        (byte_level(true), PreTokenizer::Gpt2),
        (sequence(json!([digits, byte_level(true)])), PreTokenizer::Gpt2Digits),
        (sequence(json!([split, byte_level(false)])), PreTokenizer::Llama3),
    ] {
        let vocab = json!({ "a": 0, "b": 1, "ab": 2, "Ġ": 3 });
        let model = json!({ "type": "BPE", "ignore_merges": true, "vocab": vocab, "merges": [] });
        let vocabulary =
            taken(&json!({ "pre_tokenizer": part, "decoder": { "type": "ByteLevel" }, "model": model }));
        assert_eq!(vocabulary.pre_tokenizer, rule);
        assert!(vocabulary.flags.has(Flags::WHOLE_PIECE));
        // Whole pieces are looked up before any merge.
        assert_eq!(encode(&vocabulary, "ab"), [2]);
        assert_eq!(encode(&vocabulary, " ab"), [3, 0, 1]);
    }
}

#[test]
fn what_cannot_be_stated_is_refused_by_name() {
    let cases = [
        ("/model/type", json!("Unigram"), "model.type: expected BPE, found \"Unigram\""),
        ("/model/dropout", json!(0.5), "model.dropout"),
        (
            "/model/end_of_word_suffix",
            json!("</w>"),
            "model.end_of_word_suffix: expected none, found \"</w>\"",
        ),
        ("/model/continuing_subword_prefix", json!("##"), "model.continuing_subword_prefix"),
        ("/model/unk_token", json!("?"), "model.unk_token"),
        (
            "/model/merges",
            json!(["a z"]),
            "model.merges (merge 0): expected tokens of the vocabulary, found \"z\"",
        ),
        ("/model/merges", json!(["az"]), "model.merges[0]"),
        ("/normalizer", json!({ "type": "NFC" }), "normalizer: expected"),
        ("/pre_tokenizer", json!({ "type": "Whitespace" }), "pre_tokenizer: expected"),
        ("/pre_tokenizer", json!({ "type": "ByteLevel", "add_prefix_space": true }), "normalizer"),
        ("/decoder", json!({ "type": "WordPiece" }), "decoder: expected"),
        ("/post_processor", json!({ "type": "BertProcessing" }), "post_processor: expected"),
    ];
    for (place, value, said) in cases {
        let mut file = llama();
        let (parent, key) = place.rsplit_once('/').expect("a path");
        file.pointer_mut(parent).expect("there")[key] = value;
        let result = tokenizer_json::parse(file.to_string().as_bytes(), Path::new("tokenizer.json"));
        let error = result.expect_err(place).to_string();
        assert!(error.starts_with("tokenizer.json: ") && error.contains(said), "{error}");
    }
}

#[test]
fn damaged_files_are_errors_not_panics() {
    let text = llama().to_string();
    for len in (0..text.len()).filter(|&len| text.is_char_boundary(len)).step_by(7) {
        assert!(tokenizer_json::parse(&text.as_bytes()[..len], Path::new("t")).is_err(), "{len}");
    }
    let mut file = llama();
    file["model"]["vocab"]["far"] = json!(u32::MAX);
    assert!(tokenizer_json::parse(file.to_string().as_bytes(), Path::new("t")).is_err());
    file["model"]["vocab"]["far"] = json!(5);
    assert!(tokenizer_json::parse(file.to_string().as_bytes(), Path::new("t")).is_err());
    let mut file = llama();
    file["added_tokens"][0]["id"] = json!(u32::MAX);
    assert!(tokenizer_json::parse(file.to_string().as_bytes(), Path::new("t")).is_err());
}

#[test]
fn characters_are_numbered_in_order_and_unknown_ones_follow_the_choice() {
    let dropped = Vocabulary::characters("hello €".chars(), true);
    assert_eq!(encode(&dropped, "h?€o"), [2, 5, 4]);
    let mut unknown = Vocabulary::characters("?ab".chars(), false);
    unknown.unk = Some(0);
    assert_eq!(encode(&unknown, "axb"), [1, 0, 2]);
}
