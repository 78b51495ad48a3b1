//! What `huggingface_logits.rs` leaves open: other layouts of a checkpoint, halves, and the tokenizers of directories.

use std::path::Path;
use tempfile::TempDir;
use whit::format::Encoding;
use whit::parallel::Inline;
use whit::tokenizer::{EncodeOptions, SpecialText, encode_bound};
use whit::{Model, SessionOptions, Token};
use whit_tests::checkpoints::{Dtype, Options, Shape, write};
use whit_tests::data::data;
use whit_tests::imported::{encoded, file, hugging_face, logits};
use whit_tests::synthetic::Random;

const SEED: u64 = 26;

fn written(name: &str, options: &Options) -> (TempDir, Vec<Token>) {
    let shape = Shape::named(name).expect("a known name");
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), &shape, options).expect("written");
    let mut random = Random(SEED);
    let tokens = (0..shape.context.min(40)).map(|_| Token(random.below(shape.vocabulary) as u32));
    (directory, tokens.collect())
}

/// The logits of the model in `directory`, its matrices encoded as `encoding`.
fn found(directory: &Path, encoding: Encoding, tokens: &[Token]) -> Vec<f32> {
    let bytes = file(&hugging_face(directory), &encoded(encoding, None));
    let model = Model::parse(&bytes).expect("parses");
    logits(&model, &Inline, SessionOptions { batch: 7, ..model.options(tokens.len()) }, tokens)
}

const AWKWARD: [&str; 4] = ["awkward-llama", "awkward-llama-biased", "awkward-mistral", "awkward-gpt2"];

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

#[test]
fn files_prefixes_and_transposed_matrices_do_not_change_a_bit() {
    for name in AWKWARD {
        let plain = Options::default();
        let (directory, tokens) = written(name, &plain);
        let expected = bits(&found(directory.path(), Encoding::F32, &tokens));
        for other in [
            Options { shards: 3, ..plain },
            Options { prefixed: false, ..plain },
            Options { conv1d: false, ..plain },
        ] {
            let (directory, tokens) = written(name, &other);
            assert!(bits(&found(directory.path(), Encoding::F32, &tokens)) == expected, "{name}, {other:?}");
        }
    }
}

#[test]
fn a_checkpoint_of_halves_is_the_same_model_at_f16_and_at_f32() {
    for name in AWKWARD {
        let (directory, tokens) = written(name, &Options { dtype: Dtype::F16, ..Options::default() });
        let [f16, f32] =
            [Encoding::F16, Encoding::F32].map(|encoding| found(directory.path(), encoding, &tokens));
        assert!(bits(&f16) == bits(&f32), "{name}");
    }
}

fn ids(model: &Model<'_>, text: &str, specials: SpecialText) -> Vec<u32> {
    let mut tokens = vec![Token(0); encode_bound(text.len())];
    let options = EncodeOptions { specials, ..EncodeOptions::default() };
    let tokenizer = model.tokenizer().expect("a tokenizer");
    let count = tokenizer.encode(text.as_bytes(), options, &mut tokens).expect("encoded");
    tokens[..count].iter().map(|token| token.0).collect()
}

fn text(model: &Model<'_>, ids: &[u32]) -> String {
    let tokenizer = model.tokenizer().expect("a tokenizer");
    let mut decoder = tokenizer.decoder_within_text();
    let bytes: Vec<u8> = ids.iter().flat_map(|&id| decoder.push(Token(id)).iter().copied()).collect();
    String::from_utf8(bytes).expect("whole characters")
}

#[test]
fn a_published_gpt2_tokenizer_merges_as_its_files_say() {
    let Some(directory) = data("models/tiny_gpt2_lmbuddy") else { return };
    let bytes = file(&hugging_face(&directory), &encoded(Encoding::F32, None));
    let model = Model::parse(&bytes).expect("parses");
    // merges.txt: "Ġ l", "Ġl o", "Ġlo w", "e r", in this order; " lowest" has a token but no merge leads to it.
    for (text_in, expected) in [
        (" lower", &[14, 15][..]),
        (" lowest", &[14, 3, 5, 6]),
        ("low", &[0, 1, 2]),
        (" l lo", &[11, 13]),
        ("sweeter newer", &[5, 2, 3, 3, 6, 15, 10, 9, 3, 2, 15]),
    ] {
        assert_eq!(ids(&model, text_in, SpecialText::Plain), expected, "{text_in:?}");
        assert_eq!(text(&model, expected), text_in);
    }
    assert_eq!(ids(&model, " low<|endoftext|>", SpecialText::Recognised), [14, 20]);
    assert_eq!(model.tokenizer().and_then(|tokenizer| tokenizer.eos()), Some(Token(20)));
    assert!(model.stops().expect("within the limits").is_stop_token(20));
}

#[test]
fn a_text_of_any_bytes_goes_through_a_generated_tokenizer_and_back() {
    let (directory, _) = written("awkward-llama", &Options::default());
    let bytes = file(&hugging_face(directory.path()), &encoded(Encoding::I8, None));
    let model = Model::parse(&bytes).expect("parses");
    // Tokens 256 to 305 are the pairs of GPT-2's first byte, "!", with its first fifty, "!" to "R"; but "R", a letter,
    // is cut off from "!" before any merge.
    assert_eq!(ids(&model, "!!!\"#", SpecialText::Plain), [256, 257, 2]);
    assert_eq!(ids(&model, "!!!R", SpecialText::Plain), [256, 0, 49]);
    for string in ["", "One! day!\n\n  it rained …", "!\"!!#\u{1f600}\0"] {
        assert_eq!(text(&model, &ids(&model, string, SpecialText::Plain)), string);
    }
}
