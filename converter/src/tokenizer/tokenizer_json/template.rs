//! The post-processor: which special tokens go around the text.

use super::{kind, steps, unsupported};
use crate::tokenizer::Vocabulary;
use crate::tokenizer::error::Result;
use serde_json::Value;
use std::path::Path;
use whit::tokenizer::layout::Flags;

/// Takes what puts one special token before the text and one after; `ByteLevel` only concerns offsets.
pub(super) fn post_process(file: &Path, part: &Value, vocabulary: &mut Vocabulary) -> Result<()> {
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
