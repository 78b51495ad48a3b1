//! The SentencePiece family: characters with ▁ for spaces, put there by normalizers or by `Metaspace`.

use super::super::vocabulary::is_one_character;
use super::{File, Model, kind, merges, steps, unsupported};
use crate::tokenizer::Vocabulary;
use crate::tokenizer::error::Result;
use serde_json::Value;
use std::path::Path;
use whit::tokenizer::layout::Flags;
use whit::tokenizer::{Kind, Split};

/// The vocabulary of a file without a `ByteLevel` step.
pub(super) fn vocabulary(file: &Path, parts: &File, model: &Model) -> Result<Vocabulary> {
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
