//! A byte-level BPE `tokenizer.json` of any size: 256 bytes, then pairs of bytes, then one special token.

use serde_json::{Map, Value, json};
use std::io;

/// The token that begins and ends a text; it is the last one.
const END: &str = "<|endoftext|>";

/// A tokenizer of exactly `vocabulary` tokens, 257 to 65,793. Token 256 + k is the pair of bytes k / 256 and k mod 256
/// in GPT-2's order of bytes, and its merge has rank k.
pub(super) fn byte_level(vocabulary: usize) -> io::Result<Value> {
    let pairs = vocabulary.checked_sub(257).filter(|pairs| *pairs <= 1 << 16);
    let Some(pairs) = pairs else {
        let message = format!("a byte-level tokenizer has 257 to 65793 tokens, not {vocabulary}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    };
    let bytes = byte_characters();
    let mut tokens = Map::new();
    let mut merges = Vec::with_capacity(pairs);
    for (id, byte) in bytes.iter().enumerate() {
        tokens.insert(byte.to_string(), json!(id));
    }
    for pair in 0..pairs {
        let (left, right) = (bytes[pair / 256], bytes[pair % 256]);
        tokens.insert(format!("{left}{right}"), json!(256 + pair));
        merges.push(format!("{left} {right}"));
    }
    tokens.insert(END.to_owned(), json!(vocabulary - 1));
    let byte_level =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": vocabulary - 1, "content": END, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }],
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": tokens, "merges": merges
        }
    }))
}

/// The characters that stand for bytes in GPT-2's vocabulary (Radford et al. 2019), in the order of its token ids:
/// printable bytes as themselves, then the others as the characters from U+0100 on.
fn byte_characters() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let themselves = (0..=255).filter(printable).map(char::from);
    let others =
        (0x100..).map_while(char::from_u32).take((0..=255u8).filter(|byte| !printable(byte)).count());
    themselves.chain(others).collect()
}
