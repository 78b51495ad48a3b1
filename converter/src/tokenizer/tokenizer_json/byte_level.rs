//! The byte-level family: bytes in printable stand-ins, cut by a `ByteLevel` pipeline.

use super::super::gpt2::byte_level;
use super::{File, Model, kind, merges, steps, unsupported};
use crate::tokenizer::Vocabulary;
use crate::tokenizer::error::Result;
use serde_json::Value;
use std::path::Path;
use whit::tokenizer::PreTokenizer;
use whit::tokenizer::layout::Flags;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The vocabulary of a file whose pre-tokenizer holds a `ByteLevel` step.
pub(super) fn vocabulary(file: &Path, parts: &File, model: &Model) -> Result<Vocabulary> {
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
