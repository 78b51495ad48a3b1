//! The published worked examples of whole models and tokenizers: what a session sees, how large models and caches are,
//! how text is cut. Those of single operations are in `seeds_golden.rs`.

use serde_json::Value;
use whit::format::{Description, Encoding, NormKind, Positions, Slots};
use whit::kernels::Activation;
use whit::parallel::Inline;
use whit::tokenizer::{EncodeOptions, Kind, Tokenizer, encode_bound};
use whit::{CacheKind, Model, SessionOptions, Token};
use whit_converter::tokenizer::{Merge, Vocabulary, gpt2};
use whit_tests::data::data;
use whit_tests::examples::{examples, list, number};
use whit_tests::imported::logits;
use whit_tests::synthetic::{Encodings, awkward, model};

#[test]
fn a_session_sees_what_the_causal_mask_shows() {
    let Some(examples) = examples("attention.causal_mask") else { return };
    let bytes = model(awkward(), Encodings::all(Encoding::F32), 3);
    let model = Model::parse(&bytes).expect("parses");
    for example in examples {
        let n = number(&example["inputs"]["n"]) as usize;
        let logits = |changed: Option<usize>| {
            let tokens: Vec<_> =
                (0..n).map(|i| Token(if changed == Some(i) { 40 } else { i as u32 })).collect();
            logits(&model, &Inline, model.options(n), &tokens)
        };
        let plain = logits(None);
        for column in 0..n {
            let changed = logits(Some(column));
            let rows = plain.chunks(67).zip(changed.chunks(67));
            let visible: Vec<_> = rows.map(|(a, b)| u64::from(a != b)).collect();
            let expected = list(&example["expected"]["visible"]).iter().map(|row| row[column].as_u64());
            assert!(visible.iter().copied().map(Some).eq(expected), "{n}, column {column}: {visible:?}");
        }
    }
}

/// A GPT-2 of any size.
fn gpt(vocabulary: u32, width: u32, layers: u32, context: u32) -> Description {
    Description {
        vocabulary,
        width,
        layers,
        context,
        heads: width / 64,
        kv_heads: width / 64,
        head_width: 64,
        hidden: 4 * width,
        rotary_width: 0,
        norm: NormKind::Layer,
        positions: Positions::Learned,
        activation: Activation::GeluTanh,
        gated: false,
        norm_bias: true,
        qkv_bias: true,
        out_bias: true,
        up_bias: true,
        down_bias: true,
        ..awkward()
    }
}

#[test]
fn a_description_has_the_parameters_of_its_model() {
    let Some(examples) = examples("size.params_gpt") else { return };
    for example in examples {
        let inputs = &example["inputs"];
        for i in 0..list(&inputs["names"]).len() {
            let size = |name: &str| number(&inputs[name][i]) as u32;
            let final_norm = inputs["final_norm"][i].as_bool().expect("a choice");
            let sizes = gpt(size("vocab"), size("width"), size("layers"), size("positions"));
            let description = Description { final_norm, ..sizes };
            let shapes = Slots::new(&description.into());
            let shapes = shapes.iter().map(|(role, _)| description.shape(role));
            let parameters: u64 = shapes.map(|(rows, cols)| rows as u64 * cols as u64).sum();
            assert_eq!(Some(parameters), example["expected"]["params"][i].as_u64(), "{}", inputs["names"][i]);
        }
    }
}

#[test]
fn an_arena_holds_the_cache_and_little_more() {
    let Some(examples) = examples("size.kv_cache") else { return };
    let inputs = &examples[0]["inputs"];
    // f32 and int8; there is no cache of halves. All that is not the cache is kept small.
    for (i, cache) in [(0, CacheKind::F32), (1, CacheKind::I8)] {
        let size = |name: &str| number(&inputs[name][i]) as u32;
        let heads = size("kv_width") / 64;
        let model_size = gpt(67, 64, size("layers"), size("tokens"));
        let description = Description { heads, kv_heads: heads, width: 5, hidden: 5, ..model_size };
        let bytes = model(description, Encodings::all(Encoding::F16), 1);
        let model = Model::parse(&bytes).expect("parses");
        let options = SessionOptions { cache, batch: 1, ..model.options(size("tokens") as usize) };
        let arena = model.arena_size(&options).expect("possible") as u64;
        // One f32 scale for each key and each value of a head.
        let scales = u64::from(2 * size("layers") * size("tokens") * heads * 4);
        let scales = if cache == CacheKind::I8 { scales } else { 0 };
        let expected = examples[0]["expected"]["bytes"][i].as_u64().expect("a size") + scales;
        println!("{cache:?}: {arena} bytes for a cache of {expected}");
        assert!((expected..expected + expected / 100).contains(&arena), "{arena} {expected}");
    }
}

/// The ids and texts of the tokens of `text`.
fn cut(vocabulary: &Vocabulary, text: &str) -> (Vec<u32>, Vec<String>) {
    let section = vocabulary.to_section().expect("it can be laid out");
    let tokenizer = Tokenizer::parse(&section).expect("parses");
    let mut tokens = vec![Token(0); encode_bound(text.len())];
    let count = tokenizer.encode(text.as_bytes(), EncodeOptions::default(), &mut tokens).expect("encoded");
    let text = |token: &Token| String::from_utf8_lossy(tokenizer.token_bytes(*token)).into_owned();
    (tokens[..count].iter().map(|token| token.0).collect(), tokens[..count].iter().map(text).collect())
}

fn ids(value: &Value) -> Vec<u32> {
    list(value).iter().map(|id| number(id) as u32).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    list(value).iter().map(|value| value.as_str().expect("a string")).collect()
}

#[test]
fn byte_pair_merges_apply_in_order_of_rank() {
    let Some(examples) = examples("tokenizer.bpe_encode") else { return };
    for example in examples {
        let mut vocabulary = Vocabulary::bytes(&[]);
        vocabulary.kind = Kind::ByteLevelBpe;
        for (priority, merge) in list(&example["inputs"]["merges"]).iter().enumerate() {
            let parts = strings(merge);
            let id = |text: &str| vocabulary.tokens.iter().position(|token| token == text.as_bytes());
            let [left, right] = [0, 1].map(|i| id(parts[i]).expect("made before") as u32);
            let (result, priority) = (vocabulary.tokens.len() as u32, priority as u32);
            vocabulary.tokens.push(parts.concat().into_bytes());
            vocabulary.merges.push(Merge { left, right, result, priority });
        }
        let words = strings(&example["inputs"]["words"]);
        for (word, expected) in words.iter().zip(list(&example["expected"]["tokens"])) {
            assert_eq!(cut(&vocabulary, word).1, strings(expected), "{}", example["id"]);
        }
    }
}

#[test]
fn bytes_are_tokens() {
    let Some(examples) = examples("tokenizer.bytes") else { return };
    for example in examples {
        let texts = strings(&example["inputs"]["text"]);
        for (text, expected) in texts.iter().zip(list(&example["expected"]["bytes"])) {
            assert_eq!(cut(&Vocabulary::bytes(&[]), text).0, ids(expected));
        }
    }
}

#[test]
fn gpt2_tokens_of_words_hold_the_space_before_them() {
    let Some(examples) = examples("tokenizer.gpt2_real") else { return };
    let Some(folder) = data("tokenizers/cs336_bpe") else { return };
    let gpt2 = gpt2::open(&folder.join("gpt2_vocab.json"), &folder.join("gpt2_merges.txt"));
    let gpt2 = gpt2.expect("opened");
    for example in examples {
        let tokens = strings(&example["expected"]["tokens"]);
        let tokens: Vec<_> = tokens.iter().map(|token| token.replace('\u{120}', " ")).collect();
        let text = example["inputs"]["text"].as_str().expect("a text");
        assert_eq!(cut(&gpt2, text), (ids(&example["expected"]["ids"]), tokens));
    }
}
