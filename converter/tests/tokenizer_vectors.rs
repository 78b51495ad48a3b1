//! Tokenizers built from real files, against recorded encodings and independent implementations.

mod support;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use support::Random;
use whit::tokenizer::{EncodeOptions, SpecialText, Token, Tokenizer, TokenizerError, encode_bound};
use whit_converter::tokenizer::{Vocabulary, from_directory, gpt2, llama2c, tokenizer_json};

const GPT2: &str = "tokenizers/tokenizer_rten/models/gpt2";

/// The path of a data file, from `WHIT_DATA` or `../shared/data` beside the workspace.
///
/// Without it, prints `SKIP` and gives `None`; where `CI` is `true`, fails.
fn data(test: &str, file: &str) -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("WHIT_DATA").map_or_else(default, PathBuf::from).join(file);
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{test}: {} is absent", path.display());
    // Not through a print macro: the test harness would swallow it.
    let _ = writeln!(std::io::stderr(), "SKIP {test}: {} is absent", path.display());
    None
}

fn section(vocabulary: &Vocabulary) -> Vec<u8> {
    vocabulary.to_section().expect("a consistent vocabulary")
}

fn encode_with(section: &[u8], text: &[u8], options: EncodeOptions) -> Result<Vec<u32>, TokenizerError> {
    let tokenizer = Tokenizer::parse(section)?;
    let mut out = vec![Token(0); encode_bound(text.len())];
    let count = tokenizer.encode(text, options, &mut out)?;
    Ok(out[..count].iter().map(|token| token.0).collect())
}

fn encode(section: &[u8], text: &[u8]) -> Vec<u32> {
    encode_with(section, text, EncodeOptions::default()).expect("the vocabulary spells everything")
}

fn decode(section: &[u8], ids: &[u32]) -> Vec<u8> {
    let mut decoder = Tokenizer::parse(section).expect("parses").decoder();
    ids.iter().flat_map(|&id| decoder.push(Token(id))).copied().collect()
}

#[test]
fn gpt2_encodes_the_reference_strings() {
    let test = "gpt2_encodes_the_reference_strings";
    let reference = "tokenizers/llama.cpp_vocab/ggml-vocab-gpt-2.gguf";
    let (Some(directory), Some(texts), Some(ids)) =
        (data(test, GPT2), data(test, &format!("{reference}.inp")), data(test, &format!("{reference}.out")))
    else {
        return;
    };
    let texts = std::fs::read_to_string(texts).expect("UTF-8");
    let ids = std::fs::read_to_string(ids).expect("UTF-8");
    let bytes = section(&from_directory(&directory).expect("a GPT-2 tokenizer.json"));
    let mut count = 0;
    for (text, line) in texts.split("\n__ggml_vocab_test__\n").zip(ids.split('\n')) {
        let expected: Vec<u32> = line.split_whitespace().map(|id| id.parse().expect("an id")).collect();
        assert_eq!(encode(&bytes, text.as_bytes()), expected, "{text:?}");
        assert_eq!(decode(&bytes, &expected), text.as_bytes());
        count += 1;
    }
    assert_eq!(count, 47);
    assert_eq!(encode(&bytes, b"The cat sat on"), [464, 3797, 3332, 319]);
}

#[test]
fn gpt2_is_the_same_tokenizer_from_either_pair_of_files() {
    let test = "gpt2_is_the_same_tokenizer_from_either_pair_of_files";
    let (Some(json), Some(other)) = (data(test, GPT2), data(test, "tokenizers/cs336_bpe")) else { return };
    let from_json = tokenizer_json::open(&json.join("tokenizer.json")).expect("taken");
    let from_pair = gpt2::open(&json.join("vocab.json"), &json.join("merges.txt")).expect("taken");
    let from_other =
        gpt2::open(&other.join("gpt2_vocab.json"), &other.join("gpt2_merges.txt")).expect("taken");
    assert_eq!(section(&from_pair), section(&from_other));
    assert_eq!((from_json.tokens, from_json.merges), (from_pair.tokens, from_pair.merges));
}

#[test]
fn gpt2_gives_real_and_random_text_back() {
    let test = "gpt2_gives_real_and_random_text_back";
    let Some(directory) = data(test, GPT2) else { return };
    let bytes = section(&from_directory(&directory).expect("taken"));
    for file in
        ["tokenizers/cs336_bpe/address.txt", "tokenizers/cs336_bpe/german.txt", "text/tinyshakespeare.txt"]
    {
        let Some(file) = data(test, file) else { return };
        let text = std::fs::read(file).expect("readable");
        assert_eq!(decode(&bytes, &encode(&bytes, &text)), text);
    }
    let mut random = Random(4);
    for _ in 0..500 {
        let text: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        assert_eq!(decode(&bytes, &encode(&bytes, &text)), text);
    }
}

#[test]
fn gpt2_reads_its_special_token_only_when_asked() {
    let Some(directory) = data("gpt2_reads_its_special_token_only_when_asked", GPT2) else { return };
    let bytes = section(&from_directory(&directory).expect("taken"));
    let text = b"a<|endoftext|>b";
    assert_eq!(encode(&bytes, text), [64, 27, 91, 437, 1659, 5239, 91, 29, 65]);
    let options = EncodeOptions { specials: SpecialText::Recognised, ..EncodeOptions::default() };
    assert_eq!(encode_with(&bytes, text, options), Ok(vec![64, 50256, 65]));
}

/// llama2.c's encoder, word for word on strings: scan all pairs for the joined text with the best score, merge, repeat.
struct ByScore {
    texts: Vec<Vec<u8>>,
    scores: Vec<f32>,
    ids: HashMap<Vec<u8>, usize>,
}

impl ByScore {
    fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).expect("readable");
        let (mut texts, mut scores, mut rest) = (Vec::new(), Vec::new(), &bytes[4..]);
        while let Some((score, after)) = rest.split_first_chunk() {
            let (len, after) = after.split_first_chunk().expect("a length");
            let (text, after) = after.split_at(u32::from_le_bytes(*len) as usize);
            scores.push(f32::from_le_bytes(*score));
            texts.push(text.to_vec());
            rest = after;
        }
        let ids = texts.iter().cloned().zip(0..).collect();
        Self { texts, scores, ids }
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens: Vec<usize> = if text.is_empty() { vec![] } else { vec![self.ids[&b" "[..]]] };
        for c in text.chars() {
            match self.ids.get(c.to_string().as_bytes()) {
                Some(&id) => tokens.push(id),
                None => tokens.extend(c.to_string().bytes().map(|byte| usize::from(byte) + 3)),
            }
        }
        loop {
            let mut best = (-1e10, 0, 0);
            for i in 1..tokens.len() {
                let joined = [&self.texts[tokens[i - 1]][..], &self.texts[tokens[i]]].concat();
                if let Some(&id) = self.ids.get(&joined)
                    && self.scores[id] > best.0
                {
                    best = (self.scores[id], i, id);
                }
            }
            if best.1 == 0 {
                return tokens.into_iter().map(|id| id as u32).collect();
            }
            tokens[best.1 - 1] = best.2;
            tokens.remove(best.1);
        }
    }
}

#[test]
fn llama2c_encodes_as_its_own_program_does() {
    let test = "llama2c_encodes_as_its_own_program_does";
    let (Some(file), Some(stories)) =
        (data(test, "llama2c/tok512.bin"), data(test, "text/tinystories_v2_small_sample.txt"))
    else {
        return;
    };
    let bytes = section(&llama2c::open(&file, 512).expect("taken"));
    let reference = ByScore::read(&file);
    let stories = std::fs::read_to_string(stories).expect("UTF-8");
    let mut random = Random(6);
    let noise: Vec<String> = (0..300).map(|len| random.text(len % 60)).collect();
    for text in stories.lines().chain(noise.iter().map(String::as_str)).chain([
        "",
        " ",
        "Once upon a time",
        "naïve 🦙",
    ]) {
        let ids = encode(&bytes, text.as_bytes());
        assert_eq!(ids, reference.encode(text), "{text:?}");
        let with_bos = [&[1], &ids[..]].concat();
        assert_eq!(decode(&bytes, &with_bos), text.as_bytes());
    }
}

#[test]
fn llama2c_starts_with_a_space_and_falls_back_to_bytes() {
    let test = "llama2c_starts_with_a_space_and_falls_back_to_bytes";
    let Some(file) = data(test, "llama2c/tok512.bin") else { return };
    let bytes = section(&llama2c::open(&file, 512).expect("taken"));
    let tokenizer = Tokenizer::parse(&bytes).expect("parses");
    let options = tokenizer.default_options();
    assert_eq!(encode_with(&bytes, b"Once upon a time", options), Ok(vec![1, 403, 407, 261, 378]));
    assert_eq!(encode(&bytes, "🦙".as_bytes()), [410, 0xf0 + 3, 0x9f + 3, 0xa6 + 3, 0x99 + 3]);
    assert!(bytes.len() < 3200, "512 tokens take {} bytes", bytes.len());
}

#[test]
fn llama2c_with_a_wrong_size_or_cut_off_is_an_error_that_says_so() {
    let test = "llama2c_with_a_wrong_size_or_cut_off_is_an_error_that_says_so";
    let Some(file) = data(test, "llama2c/tok512.bin") else { return };
    let bytes = std::fs::read(&file).expect("readable");
    for (bytes, size, field) in [
        (&bytes[..], 511, "end of file"),
        (&bytes, 513, "token 512"),
        (&bytes[..6000], 512, "token "),
        (&[], 1, "token 0"),
    ] {
        let error = llama2c::parse(bytes, size, Path::new("tok512.bin")).expect_err("refused").to_string();
        assert!(error.starts_with("tok512.bin: ") && error.contains(field), "{error}");
    }
}

#[test]
fn a_vocabulary_without_all_bytes_uses_its_unknown_token() {
    let test = "a_vocabulary_without_all_bytes_uses_its_unknown_token";
    let Some(directory) = data(test, "models/tiny_gpt2_lmbuddy") else { return };
    let mut vocabulary = from_directory(&directory).expect("taken");
    assert_eq!((vocabulary.bos, vocabulary.eos, vocabulary.unk), (Some(20), Some(20), Some(19)));
    // l o w e r | Ġlow | z, which is not there | Ġ n e w er: no merge for "Ġ n".
    assert_eq!(encode(&section(&vocabulary), b"lower lowz newer"), [0, 1, 2, 15, 14, 19, 10, 9, 3, 2, 15]);
    vocabulary.unk = None;
    let result = encode_with(&section(&vocabulary), b"lower lowz newer", EncodeOptions::default());
    assert_eq!(result, Err(TokenizerError::UnknownInput { offset: 9 }));
}

/// Byte-pair cases of the worked examples: merges in order of rank, words, and the tokens of each word.
#[test]
fn worked_examples_encode_as_stated() {
    let test = "worked_examples_encode_as_stated";
    let Some(file) = data(test, "seeds/golden.json") else { return };
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("a JSON list");
    let of = |area: &str| cases.iter().filter(|case| case["area"] == area).collect::<Vec<_>>();
    let byte_pairs = of("tokenizer.bpe_encode");
    assert_eq!(byte_pairs.len(), 4);
    for case in byte_pairs {
        let words = case["inputs"]["words"].as_array().expect("words");
        let expected = case["expected"]["tokens"].as_array().expect("tokens");
        let bytes = section(&byte_pairs_of(&case["inputs"]["merges"], words));
        let tokenizer = Tokenizer::parse(&bytes).expect("parses");
        for (word, expected) in words.iter().zip(expected) {
            let ids = encode(&bytes, word.as_str().expect("a word").as_bytes());
            let tokens: Vec<_> =
                ids.iter().map(|&id| String::from_utf8_lossy(tokenizer.token_bytes(Token(id)))).collect();
            assert_eq!(*expected, serde_json::json!(tokens), "{}", case["id"]);
        }
    }
    let bytes = section(&Vocabulary::bytes(&["<end>"]));
    for case in of("tokenizer.bytes") {
        let texts = case["inputs"]["text"].as_array().expect("texts").iter();
        let ids: Vec<_> =
            texts.map(|text| encode(&bytes, text.as_str().expect("a text").as_bytes())).collect();
        assert_eq!(case["expected"]["bytes"], serde_json::json!(ids), "{}", case["id"]);
    }
}

/// A tokenizer.json text over the characters of `words` with these merges.
fn byte_pairs_of(merges: &serde_json::Value, words: &[serde_json::Value]) -> Vocabulary {
    let mut texts: Vec<String> =
        words.iter().flat_map(|word| word.as_str().unwrap_or("").chars()).map(String::from).collect();
    for pair in merges.as_array().expect("merges") {
        texts.extend(
            pair.as_array().expect("a pair").iter().map(|part| part.as_str().expect("text").to_owned()),
        );
        texts.push(format!("{}{}", pair[0].as_str().expect("text"), pair[1].as_str().expect("text")));
    }
    texts.sort();
    texts.dedup();
    let vocab: serde_json::Map<_, _> = texts.into_iter().zip((0..).map(|id: u32| id.into())).collect();
    let file = serde_json::json!({ "model": { "type": "BPE", "vocab": vocab, "merges": merges } });
    tokenizer_json::parse(file.to_string().as_bytes(), Path::new("case")).expect("taken")
}
