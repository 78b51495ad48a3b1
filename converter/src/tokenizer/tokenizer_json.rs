//! Hugging Face `tokenizer.json` with a BPE model: byte-level, or SentencePiece-style.
//!
//! The file is a pipeline of named parts; each part is either one whose effect the section can state or an error that
//! names it. Added tokens' `lstrip`, `rstrip`, `single_word` and `normalized` are not followed: their text is recognised
//! literally, and only on request. `truncation` and `padding` are not the tokenizer's and are ignored.

use super::gpt2::{byte_level, check_ids, ranked_merges};
use super::vocabulary::is_one_character;
use super::{Result, TokenizerFileError, Vocabulary, content, read};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use whit::tokenizer::layout::Flags;
use whit::tokenizer::{Kind, PreTokenizer, Split};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const REMEDY: &str =
    "whit cannot run this tokenizer; a byte-level or SentencePiece-style BPE tokenizer.json is needed";

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
    let mut vocabulary =
        match steps(&parts.pre_tokenizer, "pretokenizers").iter().any(|step| kind(step) == "ByteLevel") {
            true => byte_level_model(file, &parts, &model)?,
            false => sentence_piece_model(file, &parts, &model)?,
        };
    set_unknown(file, &model, &mut vocabulary)?;
    add_tokens(&parts.added_tokens, &mut vocabulary);
    post_process(file, &parts.post_processor, &mut vocabulary)?;
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

fn byte_level_model(file: &Path, parts: &File, model: &Model) -> Result<Vocabulary> {
    if !parts.normalizer.is_null() {
        return Err(unsupported(
            file,
            "normalizer",
            "null with a ByteLevel pre_tokenizer",
            &parts.normalizer,
        ));
    }
    if !parts.decoder.is_null() && kind(&parts.decoder) != "ByteLevel" {
        return Err(unsupported(file, "decoder", "ByteLevel", &parts.decoder));
    }
    let mut vocabulary = byte_level(file, &model.vocab)?;
    if model.byte_fallback && vocabulary.bytes.contains(&None) {
        let found = Value::from(true);
        return Err(unsupported(
            file,
            "model.byte_fallback",
            "false, or a vocabulary with all 256 bytes",
            &found,
        ));
    }
    vocabulary.pre_tokenizer = byte_level_rule(file, &parts.pre_tokenizer)?;
    vocabulary.merges = merges(file, model, &model.vocab)?;
    if model.ignore_merges {
        vocabulary.set(Flags::WHOLE_PIECE);
        vocabulary.index = model.vocab.values().copied().collect();
    }
    Ok(vocabulary)
}

fn byte_level_rule(file: &Path, part: &Value) -> Result<PreTokenizer> {
    let steps = steps(part, "pretokenizers");
    let wrong = || {
        let expected = "ByteLevel; Digits (individual_digits) then ByteLevel; or Split by the GPT-2 or Llama 3 expression \
                        (Isolated) then ByteLevel (use_regex false); add_prefix_space false";
        unsupported(file, "pre_tokenizer", expected, part)
    };
    let Some((last, before)) = steps.split_last() else { return Err(wrong()) };
    if kind(last) != "ByteLevel" || last["add_prefix_space"].as_bool().unwrap_or(true) {
        return Err(wrong());
    }
    match (before, last["use_regex"].as_bool().unwrap_or(true)) {
        ([], true) => Ok(PreTokenizer::Gpt2),
        ([], false) => Ok(PreTokenizer::None),
        ([digits], true) if kind(digits) == "Digits" && digits["individual_digits"] == true => {
            Ok(PreTokenizer::Gpt2Digits)
        }
        ([split], false)
            if kind(split) == "Split" && split["behavior"] == "Isolated" && split["invert"] != true =>
        {
            match split["pattern"]["Regex"].as_str() {
                Some(GPT2) => Ok(PreTokenizer::Gpt2),
                Some(LLAMA3) => Ok(PreTokenizer::Llama3),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

fn sentence_piece_model(file: &Path, parts: &File, model: &Model) -> Result<Vocabulary> {
    if model.ignore_merges {
        return Err(unsupported(file, "model.ignore_merges", "false without ByteLevel", &Value::from(true)));
    }
    let mut vocabulary = Vocabulary::empty(file.to_owned(), Kind::SentencePieceBpe);
    let spaced = normalize(file, &parts.normalizer, &mut vocabulary)?;
    let spaced = pre_tokenize(file, &parts.pre_tokenizer, spaced, &mut vocabulary)?;
    decode_rule(file, &parts.decoder, spaced, &mut vocabulary)?;
    for (text, &id) in &model.vocab {
        let text = if spaced { text.replace('\u{2581}', " ") } else { text.clone() };
        vocabulary.put(id, text.into_bytes());
    }
    // With U+2581 for spaces, a token that holds a real space can never come up.
    let reachable = |text: &str| !(spaced && text.contains(' '));
    let known = model.vocab.iter().filter(|(text, _)| reachable(text));
    vocabulary.index =
        known.filter(|(text, _)| is_one_character(text.as_bytes())).map(|(_, &id)| id).collect();
    vocabulary.merges = merges(file, model, &model.vocab)?;
    if spaced {
        let unreachable: std::collections::HashSet<u32> =
            model.vocab.iter().filter(|(text, _)| !reachable(text)).map(|(_, &id)| id).collect();
        vocabulary
            .merges
            .retain(|merge| ![merge.left, merge.right].iter().any(|id| unreachable.contains(id)));
    }
    if model.byte_fallback {
        vocabulary.bytes =
            (0..=255u8).map(|byte| model.vocab.get(&format!("<0x{byte:02X}>")).copied()).collect();
        for byte in 0..=255u8 {
            if let Some(id) = vocabulary.bytes[usize::from(byte)] {
                vocabulary.put(id, vec![byte]);
            }
        }
    }
    Ok(vocabulary)
}

/// Takes `Prepend ▁` and `Replace ' ' → ▁`; says whether spaces are replaced.
fn normalize(file: &Path, part: &Value, vocabulary: &mut Vocabulary) -> Result<bool> {
    let mut spaced = false;
    for step in steps(part, "normalizers") {
        match kind(step) {
            "Prepend" if step["prepend"] == "\u{2581}" => {
                vocabulary.set(Flags::PREFIX_SPACE.with(Flags::PREFIX_EVERY_STRETCH));
            }
            "Replace" if step["pattern"]["String"] == " " && step["content"] == "\u{2581}" => spaced = true,
            _ => {
                return Err(unsupported(
                    file,
                    "normalizer",
                    "null, Prepend \"▁\", Replace \" \" by \"▁\"",
                    step,
                ));
            }
        }
    }
    if vocabulary.flags.has(Flags::PREFIX_SPACE) && !spaced {
        return Err(unsupported(file, "normalizer", "Replace \" \" by \"▁\" with Prepend", part));
    }
    if spaced {
        vocabulary.set(Flags::METASPACE);
    }
    Ok(spaced)
}

/// Takes nothing or `Metaspace`; says whether spaces are replaced.
fn pre_tokenize(file: &Path, part: &Value, spaced: bool, vocabulary: &mut Vocabulary) -> Result<bool> {
    match steps(part, "pretokenizers")[..] {
        [] => Ok(spaced),
        [step] if kind(step) == "Metaspace" && step["replacement"] == "\u{2581}" => {
            let legacy = if step["add_prefix_space"].as_bool().unwrap_or(true) { "always" } else { "never" };
            let prefix = match step["prepend_scheme"].as_str().unwrap_or(legacy) {
                "always" => {
                    Flags::PREFIX_SPACE.with(Flags::PREFIX_UNLESS_SPACE).with(Flags::PREFIX_EVERY_STRETCH)
                }
                "first" => Flags::PREFIX_SPACE.with(Flags::PREFIX_UNLESS_SPACE),
                "never" => Flags(0),
                _ => {
                    return Err(unsupported(
                        file,
                        "pre_tokenizer.prepend_scheme",
                        "always, first or never",
                        step,
                    ));
                }
            };
            if vocabulary.flags.has(Flags::PREFIX_SPACE) && prefix != Flags(0) {
                return Err(unsupported(
                    file,
                    "pre_tokenizer",
                    "one prefix: by Prepend or by Metaspace",
                    step,
                ));
            }
            vocabulary.set(prefix.with(Flags::METASPACE));
            if step["split"].as_bool().unwrap_or(true) {
                vocabulary.split = Split::EverySpace;
            }
            Ok(true)
        }
        _ => Err(unsupported(file, "pre_tokenizer", "ByteLevel, Metaspace \"▁\" or null", part)),
    }
}

/// Takes the decoders that turn ▁ to spaces and byte tokens to bytes, with or without dropping the first space.
fn decode_rule(file: &Path, part: &Value, spaced: bool, vocabulary: &mut Vocabulary) -> Result<()> {
    let mut replaced = !spaced;
    for step in steps(part, "decoders") {
        match kind(step) {
            "Replace" if step["pattern"]["String"] == "\u{2581}" && step["content"] == " " => replaced = true,
            "ByteFallback" | "Fuse" => {}
            "Strip" if step["content"] == " " && step["start"] == 1 && step["stop"] == 0 => {
                vocabulary.set(Flags::STRIP_AT_START);
            }
            "Metaspace" if step["replacement"] == "\u{2581}" => {
                replaced = true;
                let prefixed = step["add_prefix_space"].as_bool().unwrap_or(true);
                if step["prepend_scheme"].as_str().map_or(prefixed, |scheme| scheme != "never") {
                    vocabulary.set(Flags::STRIP_AT_START);
                }
            }
            _ => {
                let expected =
                    "Replace \"▁\" by \" \", ByteFallback, Fuse, Strip of one leading \" \", Metaspace";
                return Err(unsupported(file, "decoder", expected, step));
            }
        }
    }
    if replaced {
        Ok(())
    } else {
        Err(unsupported(file, "decoder", "a step that makes \"▁\" a space", part))
    }
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

/// Takes what puts one special token before the text and one after; `ByteLevel` only concerns offsets.
fn post_process(file: &Path, part: &Value, vocabulary: &mut Vocabulary) -> Result<()> {
    for step in steps(part, "processors") {
        match kind(step) {
            "ByteLevel" => {}
            "TemplateProcessing" => template(file, step, vocabulary)?,
            _ => return Err(unsupported(file, "post_processor", "ByteLevel or TemplateProcessing", step)),
        }
    }
    Ok(())
}

fn template(file: &Path, step: &Value, vocabulary: &mut Vocabulary) -> Result<()> {
    let wrong = || {
        let expected = "at most one special token before and one after the text";
        unsupported(file, "post_processor.single", expected, &step["single"])
    };
    let items: Vec<&Value> = step["single"].as_array().into_iter().flatten().collect();
    let text = items.iter().position(|item| item.get("Sequence").is_some()).ok_or_else(wrong)?;
    let id = |item: &Value| {
        let name = item["SpecialToken"]["id"].as_str()?;
        let ids = step["special_tokens"][name]["ids"].as_array()?;
        let [id] = ids.as_slice() else { return None };
        u32::try_from(id.as_u64()?).ok()
    };
    match items[..text] {
        [] => {}
        [bos] => {
            vocabulary.bos = Some(id(bos).ok_or_else(wrong)?);
            vocabulary.set(Flags::ADD_BOS);
        }
        _ => return Err(wrong()),
    }
    match items[text + 1..] {
        [] => {}
        [eos] => {
            vocabulary.eos = Some(id(eos).ok_or_else(wrong)?);
            vocabulary.set(Flags::ADD_EOS);
        }
        _ => return Err(wrong()),
    }
    Ok(())
}
