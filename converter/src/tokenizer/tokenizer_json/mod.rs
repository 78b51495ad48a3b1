//! Hugging Face `tokenizer.json` with a BPE model: byte-level, or SentencePiece-style.
//!
//! The file is a pipeline of named parts; each part is either one whose effect the section can state or an error that
//! names it. Added tokens' `lstrip`, `rstrip`, `single_word` and `normalized` are not followed: their text is recognised
//! literally, and only on request. `truncation` and `padding` are not the tokenizer's and are ignored.

mod byte_level;
mod sentence_piece;
mod template;

use super::gpt2::{check_id, check_ids, ranked_merges};
use super::{Result, TokenizerFileError, Vocabulary, content, read};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use whit::tokenizer::layout::Flags;

const REMEDY: &str =
    "whit cannot run this tokenizer; a byte-level or SentencePiece-style BPE tokenizer.json is needed";

/// The parts that whit looks at.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Value,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// The part `model`.
#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    dropout: Option<f32>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Vec<Pair>,
}

/// A merge, as `"a b"` or as `["a", "b"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    Joined(String),
    Split([String; 2]),
}

/// Reads a `tokenizer.json`.
///
/// # Errors
/// If the file cannot be read or parsed, or asks for something that the section cannot state; the error names the field.
pub fn open(file: &Path) -> Result<Vocabulary> {
    parse(&read(file)?, file)
}

/// As [`open`], from bytes; `file` is for messages.
///
/// # Errors
/// As [`open`].
pub fn parse(bytes: &[u8], file: &Path) -> Result<Vocabulary> {
    let not_json = |error: serde_json::Error| {
        content(file, "whole file", "a tokenizer.json", error.to_string(), "give a complete tokenizer.json")
    };
    let parts: File = serde_json::from_slice(bytes).map_err(not_json)?;
    let wrong = |field: &str, expected: &str, found: &Value| unsupported(file, field, expected, found);
    if parts.model.get("type").is_some_and(|kind| kind != "BPE") {
        return Err(wrong("model.type", "BPE", &parts.model["type"]));
    }
    let model = Model::deserialize(&parts.model).map_err(not_json)?;
    check_model(file, &model)?;
    for token in &parts.added_tokens {
        check_id(file, &token.content, token.id, model.vocab.len() + parts.added_tokens.len())?;
    }
    let mut vocabulary =
        match steps(&parts.pre_tokenizer, "pretokenizers").iter().any(|step| kind(step) == "ByteLevel") {
            true => byte_level::vocabulary(file, &parts, &model)?,
            false => sentence_piece::vocabulary(file, &parts, &model)?,
        };
    set_unknown(file, &model, &mut vocabulary)?;
    add_tokens(&parts.added_tokens, &mut vocabulary);
    template::post_process(file, &parts.post_processor, &mut vocabulary)?;
    Ok(vocabulary)
}

fn unsupported(file: &Path, field: &str, expected: &str, found: &Value) -> TokenizerFileError {
    let mut found = found.to_string();
    if found.len() > 200 {
        found = found.chars().take(200).collect::<String>() + " …";
    }
    content(file, field, expected, found, REMEDY)
}

/// The steps of a part: those of a `Sequence`, or itself, or none.
fn steps<'v>(part: &'v Value, list: &str) -> Vec<&'v Value> {
    match part {
        Value::Null => Vec::new(),
        part if kind(part) == "Sequence" => part[list].as_array().into_iter().flatten().collect(),
        part => vec![part],
    }
}

fn kind(part: &Value) -> &str {
    part["type"].as_str().unwrap_or_default()
}

fn check_model(file: &Path, model: &Model) -> Result<()> {
    let empty = |affix: &Option<String>| affix.as_deref().unwrap_or_default().is_empty();
    let found = |affix: &Option<String>| Value::from(affix.as_deref().unwrap_or_default());
    if !empty(&model.continuing_subword_prefix) {
        let found = found(&model.continuing_subword_prefix);
        return Err(unsupported(file, "model.continuing_subword_prefix", "none", &found));
    }
    if !empty(&model.end_of_word_suffix) {
        return Err(unsupported(file, "model.end_of_word_suffix", "none", &found(&model.end_of_word_suffix)));
    }
    if let Some(dropout) = model.dropout.filter(|&dropout| dropout != 0.0) {
        return Err(unsupported(
            file,
            "model.dropout",
            "null: encoding is deterministic",
            &Value::from(dropout),
        ));
    }
    check_ids(file, &model.vocab)
}

fn merges(file: &Path, model: &Model, known: &HashMap<String, u32>) -> Result<Vec<super::Merge>> {
    let mut pairs = Vec::with_capacity(model.merges.len());
    for (rank, pair) in model.merges.iter().enumerate() {
        pairs.push(match pair {
            Pair::Split([left, right]) => (left.as_str(), right.as_str()),
            Pair::Joined(text) => text.split_once(' ').ok_or_else(|| {
                let field = format!("model.merges[{rank}]");
                unsupported(file, &field, "two tokens with a space between", &Value::from(text.as_str()))
            })?,
        });
    }
    ranked_merges(file, "model.merges", known, pairs.into_iter())
}

fn set_unknown(file: &Path, model: &Model, vocabulary: &mut Vocabulary) -> Result<()> {
    let Some(unk) = &model.unk_token else { return Ok(()) };
    match model.vocab.get(unk) {
        Some(&id) => vocabulary.unk = Some(id),
        None => {
            return Err(unsupported(
                file,
                "model.unk_token",
                "a token of model.vocab",
                &Value::from(unk.as_str()),
            ));
        }
    }
    if model.fuse_unk {
        vocabulary.set(Flags::FUSE_UNKNOWN);
    }
    Ok(())
}

/// Added tokens stand for their literal text.
fn add_tokens(added: &[AddedToken], vocabulary: &mut Vocabulary) {
    let prefixed = vocabulary.flags.has(Flags::PREFIX_EVERY_STRETCH);
    let spaced = vocabulary.flags.has(Flags::METASPACE);
    for token in added {
        // A byte's token keeps the byte, not the name that the file gives it.
        if !vocabulary.bytes.contains(&Some(token.id)) {
            let text = if spaced { token.content.replace('\u{2581}', " ") } else { token.content.clone() };
            vocabulary.put(token.id, text.into_bytes());
        }
        if token.special {
            vocabulary.add_special(token.id);
        } else if !prefixed || token.content.len() > 1 {
            vocabulary.added.push(token.id);
        }
    }
}
