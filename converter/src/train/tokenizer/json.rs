//! `tokenizer.json` as Hugging Face's library writes it, for the three kinds that are trained here.
//!
//! Characters are a BPE model without merges and without a step that cuts or replaces: every character of the text is
//! looked up as it is. (A `WordLevel` model behind a `Split` would say the same, but each character would be a word of its
//! own.) Bytes and byte pairs are GPT-2's form.

use super::END_OF_TEXT;
use super::merges::Learned;
use crate::tokenizer::stand_in;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One token for each character, ids ascending by scalar.
pub(super) fn characters(alphabet: &BTreeSet<char>, documents: bool) -> String {
    let vocabulary = alphabet.iter().map(|c| c.to_string());
    let parts =
        Parts { pre_tokenizer: Value::Null, decoder: json!({"type": "Fuse"}), post_processor: Value::Null };
    file(vocabulary.collect(), vec![], parts, documents)
}

/// One token for each byte: its id is the byte.
pub(super) fn bytes(documents: bool) -> String {
    let vocabulary = (0..=255).map(|byte| stand_in(byte).to_string());
    file(vocabulary.collect(), vec![], byte_level(false), documents)
}

/// Bytes and their merges.
pub(super) fn byte_pairs(learned: &Learned, documents: bool) -> String {
    let text = |bytes: &Vec<u8>| bytes.iter().map(|&byte| stand_in(byte)).collect::<String>();
    let vocabulary: Vec<String> = learned.tokens.iter().map(text).collect();
    let merge = |left: u32, right: u32| json!([vocabulary[left as usize], vocabulary[right as usize]]);
    let merges = learned.merges.iter().map(|pair| merge(pair.left, pair.right)).collect();
    file(vocabulary.clone(), merges, byte_level(true), documents)
}

/// The steps around the model.
struct Parts {
    pre_tokenizer: Value,
    decoder: Value,
    post_processor: Value,
}

/// Printable stand-ins for bytes; with `cut`, in GPT-2's pieces.
fn byte_level(cut: bool) -> Parts {
    let step =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cut});
    Parts { pre_tokenizer: step.clone(), decoder: step.clone(), post_processor: step }
}

/// The whole file; the token of the end of a text comes last.
fn file(vocabulary: Vec<String>, merges: Vec<Value>, parts: Parts, documents: bool) -> String {
    let end = vocabulary.len();
    let vocabulary: Map<String, Value> =
        vocabulary.into_iter().zip(0..).map(|(text, id)| (text, Value::from(id))).collect();
    let (added, post_processor) =
        if documents { (vec![added(end)], begin(end)) } else { (vec![], parts.post_processor) };
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": post_processor,
        "decoder": parts.decoder,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    });
    format!("{file:#}\n")
}

fn added(id: usize) -> Value {
    json!({
        "id": id,
        "content": END_OF_TEXT,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}

/// The step that puts the token `id` before every text.
fn begin(id: usize) -> Value {
    let special = json!({"SpecialToken": {"id": END_OF_TEXT, "type_id": 0}});
    let sequence = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    json!({
        "type": "TemplateProcessing",
        "single": [special, sequence("A", 0)],
        "pair": [special, sequence("A", 0), special, sequence("B", 1)],
        "special_tokens": {END_OF_TEXT: {"id": END_OF_TEXT, "ids": [id], "tokens": [END_OF_TEXT]}},
    })
}
