//! The tokenizer of a Hugging Face model directory: which files it is in, and which tokens have which role.
//!
//! Roles come from `tokenizer_config.json`, else `special_tokens_map.json`, else the ids in `config.json`.

use super::{Result, Vocabulary, content, gpt2, read, tokenizer_json};
use serde_json::Value;
use std::path::Path;
use whit::tokenizer::layout::Flags;

/// Whether a model directory has the files of a tokenizer.
pub fn is_in_directory(directory: &Path) -> bool {
    ["tokenizer.json", "vocab.json"].iter().any(|name| directory.join(name).is_file())
}

/// Reads `tokenizer.json`, or else `vocab.json` and `merges.txt`, of a model directory.
///
/// # Errors
/// If neither is there, or one cannot be taken; the error names file and field.
pub fn from_directory(directory: &Path) -> Result<Vocabulary> {
    let at = |name: &str| directory.join(name);
    let mut vocabulary = if at("tokenizer.json").is_file() {
        tokenizer_json::open(&at("tokenizer.json"))?
    } else if at("vocab.json").is_file() && at("merges.txt").is_file() {
        gpt2::open(&at("vocab.json"), &at("merges.txt"))?
    } else {
        let remedy = "add the tokenizer's files to the directory";
        return Err(content(
            directory,
            "tokenizer",
            "tokenizer.json, or vocab.json and merges.txt",
            "neither",
            remedy,
        ));
    };
    let names = [optional(&at("tokenizer_config.json"))?, optional(&at("special_tokens_map.json"))?];
    let ids = optional(&at("config.json"))?;
    let bos = role("bos", &names, &ids, &vocabulary);
    let eos = role("eos", &names, &ids, &vocabulary);
    let unk = role("unk", &names, &Value::Null, &vocabulary);
    let pad = role("pad", &names, &ids, &vocabulary);
    vocabulary.bos = bos.or(vocabulary.bos);
    vocabulary.eos = eos.or(vocabulary.eos);
    vocabulary.unk = vocabulary.unk.or(unk);
    vocabulary.pad = pad.or(vocabulary.pad);
    for id in [vocabulary.bos, vocabulary.eos, vocabulary.unk, vocabulary.pad].into_iter().flatten() {
        vocabulary.add_special(id);
    }
    override_flag(&mut vocabulary, &names[0]["add_bos_token"], Flags::ADD_BOS);
    override_flag(&mut vocabulary, &names[0]["add_eos_token"], Flags::ADD_EOS);
    Ok(vocabulary)
}

/// A JSON file that may be missing.
fn optional(file: &Path) -> Result<Value> {
    if !file.is_file() {
        return Ok(Value::Null);
    }
    let broken =
        |error: serde_json::Error| content(file, "whole file", "JSON", error.to_string(), "repair the file");
    serde_json::from_slice(&read(file)?).map_err(broken)
}

/// The token with a role, by its text or else by its id.
fn role(role: &str, names: &[Value], ids: &Value, vocabulary: &Vocabulary) -> Option<u32> {
    let named = names.iter().find_map(|file| {
        let token = &file[format!("{role}_token")];
        token.as_str().or_else(|| token["content"].as_str())
    });
    let by_text = |text: &str| vocabulary.tokens.iter().position(|token| token == text.as_bytes());
    let by_id = || {
        let id = &ids[format!("{role}_token_id")];
        let id = id.as_u64().or_else(|| id[0].as_u64())?;
        usize::try_from(id).ok().filter(|&id| id < vocabulary.tokens.len())
    };
    let id = named.and_then(by_text).or_else(by_id)?;
    u32::try_from(id).ok()
}

fn override_flag(vocabulary: &mut Vocabulary, setting: &Value, flag: Flags) {
    match setting.as_bool() {
        Some(true) => vocabulary.set(flag),
        Some(false) => vocabulary.flags = Flags(vocabulary.flags.0 & !flag.0),
        None => {}
    }
}
